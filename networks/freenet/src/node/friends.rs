//! Friends: those with whom a link is kept whoever else comes and goes, what the user has noted of them, and who of them may be spoken to in a
//! network of friends. Nobody else is ever told of them.

use bytes::{BufMut as _, Bytes, BytesMut};
use hexad_core::{Context, Endpoint, Failure, Level, Map, OpId, Outbox, Progress};

use super::{Mode, Node, Out, Reply, failed};
use crate::place::Place;
use crate::wire::Fields;

/// Friends of one node.
pub const FRIENDS_MAX: usize = 256;
/// Bytes of a friend's name, and of a note about him.
const NAME_BYTES_MAX: usize = 64;
/// The same for a note.
const NOTE_BYTES_MAX: usize = 1024;
/// Under what friends are stored.
pub(super) const FRIENDS: &[u8] = b"friends";
const VERSION: u8 = 1;

/// How far a friend is trusted, as FCP has it. It is kept for programs; routing does not mind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// A stranger, nearly.
    Low,
    /// As most.
    #[default]
    Normal,
    /// Like oneself.
    High,
}

/// What other friends would be told of a friend, as FCP has it. Here they are told nothing, whatever it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Visibility {
    /// All.
    Yes,
    /// The name.
    NameOnly,
    /// Nothing.
    #[default]
    No,
}

/// What the user says of a friend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FriendWords {
    /// What the user calls him.
    pub name: String,
    /// A note for the user's own eyes.
    pub note: String,
    /// See [`Trust`].
    pub trust: Trust,
    /// See [`Visibility`].
    pub visibility: Visibility,
    /// He is not spoken to.
    pub is_disabled: bool,
    /// We wait until he connects.
    pub is_listen_only: bool,
}

/// What is to be changed of a friend; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FriendChange {
    /// Who.
    pub key: [u8; 32],
    /// See [`FriendWords::note`].
    pub note: Option<String>,
    /// See [`FriendWords::is_disabled`].
    pub is_disabled: Option<bool>,
    /// See [`FriendWords::is_listen_only`].
    pub is_listen_only: Option<bool>,
}

/// A friend, as users see him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FriendOf {
    /// His public key.
    pub key: [u8; 32],
    /// Where he was last reached.
    pub at: Endpoint,
    /// What the user says of him.
    pub words: FriendWords,
    /// A link is open.
    pub is_connected: bool,
    /// One ever was.
    pub was_met: bool,
}

/// One friend.
#[derive(Clone, Debug)]
struct Friend<A> {
    at: A,
    words: FriendWords,
    was_met: bool,
}

/// All of them.
#[derive(Clone, Debug)]
pub struct Friends<A> {
    by_key: Map<[u8; 32], Friend<A>>,
    /// The network was joined by the invitation of somebody who speaks to friends only, and so do we.
    pub(super) is_darknet: bool,
}

impl<A> Default for Friends<A> {
    fn default() -> Self {
        Self { by_key: Map::new(), is_darknet: false }
    }
}

impl<A: Place> Friends<A> {
    /// Whether there is a friend of that key, who may be spoken to.
    pub(super) fn allow(&self, key: &[u8; 32]) -> bool {
        self.by_key.get(key).is_some_and(|friend| !friend.words.is_disabled)
    }

    /// Whether the user does not want to speak to that friend.
    pub(super) fn forbid(&self, key: &[u8; 32]) -> bool {
        self.by_key.get(key).is_some_and(|friend| friend.words.is_disabled)
    }

    /// Nobody has let us into a network of friends: we are not in one.
    pub(super) fn forget_darknet(&mut self) {
        self.is_darknet &= !self.by_key.is_empty();
    }

    /// Whether there is a friend at that address.
    pub(super) fn are_at(&self, addr: &A) -> bool {
        addr.key().is_some_and(|key| self.by_key.contains_key(&key))
    }

    /// Friends to whom a link is to be kept.
    pub(super) fn to_meet(&self) -> Vec<A> {
        let wanted = self.by_key.values().filter(|friend| !friend.words.is_disabled && !friend.words.is_listen_only);
        wanted.map(|friend| friend.at.clone()).collect()
    }

    fn write(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(VERSION);
        out.put_u8(self.is_darknet.into());
        out.put_u16(u16::try_from(self.by_key.len()).unwrap_or(0));
        for (key, Friend { at, words, was_met }) in &self.by_key {
            out.put_slice(key);
            at.write(&mut out);
            put_text(&words.name, &mut out);
            put_text(&words.note, &mut out);
            out.put_u8(words.trust as u8);
            out.put_u8(words.visibility as u8);
            out.put_u8(u8::from(words.is_disabled) | u8::from(words.is_listen_only) << 1 | u8::from(*was_met) << 2);
        }
        out.freeze()
    }

    /// Takes in what was written.
    pub(super) fn load(&mut self, bytes: &[u8]) -> Result<(), hexad_core::Malformed> {
        let mut fields = Fields::new(bytes);
        let f = &mut fields;
        if f.u8()? != VERSION {
            return Err(f.wrong("expected friends of version 1"));
        }
        self.is_darknet |= f.flag()?;
        let count = usize::from(f.u16()?).min(FRIENDS_MAX);
        for _ in 0..count {
            let (key, at) = (f.array()?, A::read(f)?);
            let (name, note) = (f.text(NAME_BYTES_MAX)?, f.text(NOTE_BYTES_MAX)?);
            let trust = [Trust::Low, Trust::Normal, Trust::High].get(usize::from(f.u8()?)).copied().unwrap_or_default();
            let visibility = [Visibility::Yes, Visibility::NameOnly, Visibility::No].get(usize::from(f.u8()?)).copied().unwrap_or_default();
            let flags = f.u8()?;
            let words = FriendWords { name, note, trust, visibility, is_disabled: flags & 1 != 0, is_listen_only: flags & 2 != 0 };
            self.by_key.insert(key, Friend { at, words, was_met: flags & 4 != 0 });
        }
        Ok(())
    }
}

/// A text as [`Fields::text`] reads it.
pub(super) fn put_text(text: &str, out: &mut BytesMut) {
    out.put_u16(u16::try_from(text.len()).unwrap_or(0));
    out.put_slice(text.as_bytes());
}

/// The beginning of a text, in whole characters.
pub(super) fn cut(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        let end = (0..=bytes_max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
    }
}

/// A name that fits.
pub(super) fn cut_name(mut name: String) -> String {
    cut(&mut name, NAME_BYTES_MAX);
    name
}

impl<A: Place> Node<A> {
    /// Whether only friends are spoken to.
    #[must_use]
    pub fn is_darknet(&self) -> bool {
        self.friends.is_darknet || matches!(self.config.0.mode, Mode::Darknet(_))
    }

    /// Whether there is a friend of that key.
    #[must_use]
    pub fn has_friend(&self, key: &[u8; 32]) -> bool {
        self.friends.by_key.contains_key(key)
    }

    /// Whom a darknet's node may speak to: friends of the settings, those of the state, and those by whom we are just being invited.
    pub(super) fn is_welcome(&self, addr: &A) -> bool {
        let Some(key) = addr.key() else { return true };
        if self.friends.forbid(&key) {
            return false;
        }
        let named = match &self.config.0.mode {
            Mode::Opennet => !self.friends.is_darknet,
            Mode::Darknet(friends) => friends.contains(&key),
        };
        named || self.friends.allow(&key) || self.is_inviting_us(&key)
    }

    /// Has what is known of friends written down.
    pub(super) fn keep_friends(&mut self, out: &mut Out<A>) {
        if self.config.0.on_disk {
            let bytes = self.friends.write();
            self.write(vec![(super::joining::SELF, FRIENDS.to_vec(), bytes)], out);
        }
    }

    /// Takes a friend in without being asked by anybody, as hosts do that know who is whose friend.
    ///
    /// # Errors
    /// When the address has no key, it is our own, or there are too many.
    pub fn befriend(&mut self, at: A, mut words: FriendWords) -> Result<(), Failure> {
        let Some(key) = at.key() else { return Err(Failure::Unusable("expected an address with a public key".into())) };
        if Some(key) == self.config.0.identity {
            return Err(Failure::Unusable("nobody is his own friend".into()));
        }
        if self.friends.by_key.len() >= FRIENDS_MAX && !self.friends.by_key.contains_key(&key) {
            return Err(Failure::Full("friends"));
        }
        cut(&mut words.name, NAME_BYTES_MAX);
        cut(&mut words.note, NOTE_BYTES_MAX);
        let was_met = self.friends.by_key.get(&key).is_some_and(|before| before.was_met);
        self.friends.by_key.insert(key, Friend { at, words, was_met });
        Ok(())
    }

    /// A user names a friend.
    pub(super) fn start_befriend(&mut self, op: OpId, at: &Endpoint, words: FriendWords, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(addr) = A::of_user(at) else {
            return failed(op, Failure::Unusable(format!("expected KEY@IP:PORT, came {at}")), out);
        };
        if addr.key().is_some_and(|key| self.friends.by_key.contains_key(&key)) {
            return failed(op, Failure::Refused("he is a friend already".into()), out);
        }
        if let Err(failure) = self.befriend(addr.clone(), words) {
            return failed(op, failure, out);
        }
        self.keep_friends(out);
        self.connect(&addr, cx, out);
        self.tell_friend(op, &addr, out);
    }

    /// Changes what is noted of a friend.
    pub(super) fn start_change_friend(&mut self, op: OpId, change: FriendChange, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(friend) = self.friends.by_key.get_mut(&change.key) else { return no_friend(op, out) };
        if let Some(mut note) = change.note {
            cut(&mut note, NOTE_BYTES_MAX);
            friend.words.note = note;
        }
        friend.words.is_disabled = change.is_disabled.unwrap_or(friend.words.is_disabled);
        friend.words.is_listen_only = change.is_listen_only.unwrap_or(friend.words.is_listen_only);
        let (addr, words) = (friend.at.clone(), friend.words.clone());
        self.keep_friends(out);
        if words.is_disabled {
            self.drop_links(&change.key, cx, out);
        } else if !words.is_listen_only {
            self.connect(&addr, cx, out);
        }
        self.tell_friend(op, &addr, out);
    }

    /// Forgets a friend.
    pub(super) fn start_unfriend(&mut self, op: OpId, key: &[u8; 32], cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.friends.by_key.remove(key).is_none() {
            return no_friend(op, out);
        }
        self.keep_friends(out);
        self.drop_links(key, cx, out);
        out.report(op, Progress::Done);
    }

    fn drop_links(&mut self, key: &[u8; 32], cx: &mut Context<'_>, out: &mut Out<A>) {
        for addr in self.links.all().into_iter().filter(|addr| addr.key().as_ref() == Some(key)) {
            self.let_go(&addr, "no friend any more", out);
            self.on_peer_gone(&addr, cx, out);
        }
    }

    /// All friends, as users see them.
    pub(super) fn friends_told(&self) -> Vec<FriendOf> {
        self.friends.by_key.keys().filter_map(|key| self.friend_told(key)).collect()
    }

    fn friend_told(&self, key: &[u8; 32]) -> Option<FriendOf> {
        let friend = self.friends.by_key.get(key)?;
        let is_connected = self.links.open().any(|(addr, _)| addr.key().as_ref() == Some(key));
        Some(FriendOf { key: *key, at: friend.at.to_user()?, words: friend.words.clone(), is_connected, was_met: friend.was_met })
    }

    pub(super) fn tell_friend(&self, op: OpId, addr: &A, out: &mut Outbox<Self>) {
        match addr.key().and_then(|key| self.friend_told(&key)) {
            Some(friend) => super::done(op, Reply::Friend(Box::new(friend)), out),
            None => failed(op, Failure::Full("friends"), out),
        }
    }

    /// A link to somebody is open: if he is a friend, he is there from here on.
    pub(super) fn on_friend_here(&mut self, addr: &A, out: &mut Out<A>) {
        let Some(friend) = addr.key().and_then(|key| self.friends.by_key.get_mut(&key)) else { return };
        if !friend.was_met || friend.at != *addr {
            friend.was_met = true;
            friend.at = addr.clone();
            self.keep_friends(out);
        }
    }

    /// Connects to friends to whom there is no link.
    pub(super) fn meet_friends(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        for addr in self.friends.to_meet() {
            let key = addr.key();
            if !self.links.all().iter().any(|other| other.key() == key) {
                self.connect(&addr, cx, out);
            }
        }
    }

    pub(super) fn on_friends_loaded(&mut self, bytes: &[u8], out: &mut Out<A>) {
        if let Err(wrong) = self.friends.load(bytes) {
            out.note(Level::Warn, "friends_unreadable", None, format!("what was kept of friends cannot be read: {wrong}"));
        }
    }
}

fn no_friend<A: Place>(op: OpId, out: &mut Out<A>) {
    failed(op, Failure::NotFound("there is no such friend".into()), out);
}
