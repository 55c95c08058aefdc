//! Invitations that we have given: what each is good for, who has been let in by one, strangers who are about to show one, and how often somebody from
//! one place has shown what is none. Of a token only its hash is kept.

use std::net::IpAddr;

use bytes::{BufMut as _, Bytes, BytesMut};
use hexad_core::{ConnId, Context, Failure, Level, Malformed, Map, OpId, Output, Progress, Span, Time};

use super::friends::{FriendWords, cut_name, put_text};
use super::{Node, Out, Pending, Reply, Timer, done, failed};
use crate::invitation::{Invitation, SOCKETS_MAX, Token};
use crate::keys::sha256;
use crate::place::Place;
use crate::wire::{Decline, Fields, Hello, Message};

/// Invitations that are kept.
pub const INVITATIONS_MAX: usize = 64;
/// Strangers at a time who have not shown an invitation yet, and how long they have for it.
const GUESTS_MAX: usize = 8;
/// The same.
const GUEST_DEADLINE: Span = Span::from_secs(10);
/// So often within an hour somebody may show what is no invitation.
const WRONG_MAX: u8 = 5;
/// The same.
const WRONG_SPAN: Span = Span::from_secs(3600);
/// Places of which that is remembered.
const PLACES_MAX: usize = 1024;
/// Under what invitations are stored.
pub(super) const INVITATIONS: &[u8] = b"invitations";
const VERSION: u8 = 1;
const NAME_BYTES_MAX: usize = 64;

/// An invitation that we have given, as users see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// By which it is revoked.
    pub number: u64,
    /// What whoever uses it is called.
    pub name: String,
    /// It is good until then, in seconds since 1970.
    pub until_s: u64,
    /// How many may still use it.
    pub uses_left: u16,
    /// How many have used it.
    pub used: u16,
    /// The invitation itself, said once, when it is made.
    pub text: Option<String>,
}

#[derive(Clone, Debug)]
struct Kept {
    given: Given,
    token_hash: [u8; 32],
}

#[derive(Clone, Debug)]
struct Guest<A> {
    at: A,
    /// What it has shown is good; that is being written down.
    is_expected: bool,
}

/// All that is remembered of them.
#[derive(Clone, Debug)]
pub struct Inviting<A> {
    kept: Vec<Kept>,
    last: u64,
    guests: Map<ConnId, Guest<A>>,
    wrong: Map<IpAddr, (u8, Time)>,
}

impl<A> Default for Inviting<A> {
    fn default() -> Self {
        Self { kept: Vec::new(), last: 0, guests: Map::new(), wrong: Map::new() }
    }
}

impl<A: Place> Inviting<A> {
    fn is_any_good(&self, now_s: u64) -> bool {
        self.kept.iter().any(|kept| kept.given.uses_left > 0 && now_s < kept.given.until_s)
    }

    /// Makes room for one more; those that are over go first, the oldest before others.
    fn make_room(&mut self, now_s: u64) -> bool {
        if self.kept.len() >= INVITATIONS_MAX
            && let Some(over) = self.kept.iter().position(|kept| kept.given.uses_left == 0 || kept.given.until_s <= now_s)
        {
            self.kept.remove(over);
        }
        self.kept.len() < INVITATIONS_MAX
    }

    /// Uses an invitation up by one; the name of whoever uses it.
    fn redeem(&mut self, token: &Token, now_s: u64) -> Result<String, Decline> {
        let hash = sha256(&[token]);
        let kept = self.kept.iter_mut().find(|kept| kept.token_hash == hash).ok_or(Decline::Unknown)?;
        if kept.given.until_s <= now_s {
            return Err(Decline::Expired);
        }
        kept.given.uses_left = kept.given.uses_left.checked_sub(1).ok_or(Decline::Used)?;
        kept.given.used = kept.given.used.saturating_add(1);
        Ok(kept.given.name.clone())
    }

    /// It was of no use after all.
    fn give_back(&mut self, token: &Token) {
        let hash = sha256(&[token]);
        if let Some(kept) = self.kept.iter_mut().find(|kept| kept.token_hash == hash) {
            kept.given.uses_left = kept.given.uses_left.saturating_add(1);
            kept.given.used = kept.given.used.saturating_sub(1);
        }
    }

    /// Whether nothing is believed from there for the moment.
    fn has_guessed_too_often(&self, at: &A, now: Time) -> bool {
        self.wrong.get(&place_of(at)).is_some_and(|(count, until)| *count >= WRONG_MAX && now < *until)
    }

    fn guessed(&mut self, at: &A, now: Time) {
        if self.wrong.len() >= PLACES_MAX {
            self.wrong.retain(|_, (_, until)| now < *until);
        }
        if self.wrong.len() >= PLACES_MAX && !self.wrong.contains_key(&place_of(at)) {
            // A thousand places guess at once: whoever has the least time left is forgiven.
            let first = self.wrong.iter().min_by_key(|(_, (_, until))| *until).map(|(place, _)| *place);
            first.and_then(|first| self.wrong.remove(&first));
        }
        let (count, until) = self.wrong.entry(place_of(at)).or_insert((0, now));
        if now >= *until {
            (*count, *until) = (0, now + WRONG_SPAN);
        }
        *count = count.saturating_add(1);
    }

    fn write(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(VERSION);
        out.put_u64(self.last);
        out.put_u16(u16::try_from(self.kept.len()).unwrap_or(0));
        for Kept { given, token_hash } in &self.kept {
            out.put_slice(token_hash);
            out.put_u64(given.number);
            put_text(&given.name, &mut out);
            out.put_u64(given.until_s);
            out.put_u16(given.uses_left);
            out.put_u16(given.used);
        }
        out.freeze()
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let mut fields = Fields::new(bytes);
        let f = &mut fields;
        if f.u8()? != VERSION {
            return Err(f.wrong("expected invitations of version 1"));
        }
        self.last = f.u64()?;
        let count = usize::from(f.u16()?).min(INVITATIONS_MAX);
        self.kept.clear();
        for _ in 0..count {
            let token_hash = f.array()?;
            let (number, name) = (f.u64()?, f.text(NAME_BYTES_MAX)?);
            let given = Given { number, name, until_s: f.u64()?, uses_left: f.u16()?, used: f.u16()?, text: None };
            self.kept.push(Kept { given, token_hash });
        }
        Ok(())
    }
}

/// Where somebody comes from: a host, or a network of IPv6, of which one host has as many addresses as it likes.
fn place_of<A: Place>(at: &A) -> IpAddr {
    match at.host() {
        IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) >> 64 << 64).into()),
        ip => ip,
    }
}

impl<A: Place> Node<A> {
    /// Makes an invitation.
    pub(super) fn start_invite(&mut self, op: OpId, wanted: InvitationWanted, cx: &mut Context<'_>, out: &mut Out<A>) {
        let InvitationWanted { name, lasts_s, uses, more } = wanted;
        let here = self.addr.as_ref().and_then(Place::to_user).and_then(|at| at.socket());
        let (Some(here), Some(key)) = (here, self.addr.as_ref().and_then(Place::key)) else {
            return failed(op, Failure::NotReady("nobody has said yet where we are reached".into()), out);
        };
        if uses == 0 || lasts_s == 0 {
            return failed(op, Failure::Unusable("expected an invitation that somebody can use".into()), out);
        }
        if !self.inviting.make_room(cx.unix_s()) {
            return failed(op, Failure::Full("invitations"), out);
        }
        let mut sockets = more;
        if !sockets.contains(&here) {
            sockets.push(here);
        }
        sockets.truncate(SOCKETS_MAX);
        let (token, until_s): (Token, u64) = (cx.dice.bytes(), cx.unix_s().saturating_add(lasts_s));
        let text = Invitation { key, sockets, token, until_s, is_darknet: self.is_darknet() }.to_string();
        self.inviting.last += 1;
        let given = Given { number: self.inviting.last, name: cut_name(name), until_s, uses_left: uses, used: 0, text: None };
        self.inviting.kept.push(Kept { given: given.clone(), token_hash: sha256(&[&token]) });
        self.keep_invitations(out);
        done(op, Reply::Invitation(Box::new(Given { text: Some(text), ..given })), out);
    }

    /// Says which invitations there are.
    pub(super) fn start_list_invitations(&self, op: OpId, out: &mut Out<A>) {
        done(op, Reply::Invitations(self.inviting.kept.iter().map(|kept| kept.given.clone()).collect()), out);
    }

    /// Takes an invitation back; who has used it stays a friend.
    pub(super) fn start_revoke(&mut self, op: OpId, number: u64, out: &mut Out<A>) {
        let before = self.inviting.kept.len();
        self.inviting.kept.retain(|kept| kept.given.number != number);
        if self.inviting.kept.len() == before {
            return failed(op, Failure::NotFound(format!("there is no invitation {number}")), out);
        }
        self.keep_invitations(out);
        out.report(op, Progress::Done);
    }

    fn keep_invitations(&mut self, out: &mut Out<A>) {
        if self.config.0.on_disk {
            let bytes = self.inviting.write();
            self.write(vec![(super::joining::SELF, INVITATIONS.to_vec(), bytes)], out);
        }
    }

    pub(super) fn on_invitations_loaded(&mut self, bytes: &[u8], out: &mut Out<A>) {
        if let Err(wrong) = self.inviting.load(bytes) {
            out.note(Level::Warn, "invitations_unreadable", None, format!("what was kept of invitations cannot be read: {wrong}"));
        }
    }

    /// A stranger has come who is not wanted here, unless he shows an invitation; whether he is waited for.
    pub(super) fn receives(&mut self, conn: ConnId, at: &A, cx: &mut Context<'_>, out: &mut Out<A>) -> bool {
        let is_forbidden = at.key().is_none_or(|key| self.friends.forbid(&key) || Some(key) == self.config.0.identity);
        if is_forbidden || self.links.is_banned(at) || !self.inviting.is_any_good(cx.unix_s()) {
            return false;
        }
        if self.inviting.guests.len() >= GUESTS_MAX || self.inviting.has_guessed_too_often(at, cx.now) {
            out.note(Level::Drop, "guest_refused", Some(at.clone()), "");
            return false;
        }
        self.inviting.guests.insert(conn, Guest { at: at.clone(), is_expected: false });
        out.wake(cx.now + GUEST_DEADLINE, Timer::Guest(conn));
        true
    }

    pub(super) fn on_guest_timer(&mut self, conn: ConnId, out: &mut Out<A>) {
        if let Some(guest) = self.inviting.guests.remove(&conn) {
            out.note(Level::Drop, "guest_silent", Some(guest.at), "");
            out.push(Output::Close(conn, "no invitation was shown".into()));
        }
    }

    pub(super) fn on_guest_closed(&mut self, conn: ConnId) -> bool {
        self.inviting.guests.remove(&conn).is_some()
    }

    /// Somebody who is no neighbour says something: an invitation is all that is listened to.
    pub(super) fn on_guest(&mut self, conn: ConnId, message: Message<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(guest) = self.inviting.guests.get(&conn).filter(|guest| !guest.is_expected).cloned() else { return };
        if let Message::Introduce(token) = message {
            return self.on_introduce(conn, &guest.at, &token, cx, out);
        }
        self.inviting.guests.remove(&conn);
        out.note(Level::Drop, "guest_spoke", Some(guest.at), "");
        out.push(Output::Close(conn, "an invitation was expected".into()));
    }

    /// Somebody shows an invitation.
    pub(super) fn on_introduce(&mut self, conn: ConnId, from: &A, token: &Token, cx: &mut Context<'_>, out: &mut Out<A>) {
        if from.key().is_some_and(|key| self.friends.allow(&key)) {
            // He has not heard that he is welcome.
            return self.admit(conn, from, cx, out);
        }
        if self.inviting.has_guessed_too_often(from, cx.now) {
            return self.decline(conn, from, Decline::TooOften, out);
        }
        let name = match self.inviting.redeem(token, cx.unix_s()) {
            Ok(name) => name,
            Err(why) => {
                self.inviting.guessed(from, cx.now);
                return self.decline(conn, from, why, out);
            }
        };
        if let Err(failure) = self.befriend(from.clone(), FriendWords { name, ..FriendWords::default() }) {
            self.inviting.give_back(token);
            out.note(Level::Warn, "no_room_for_friend", Some(from.clone()), failure.to_string());
            return self.decline(conn, from, Decline::Full, out);
        }
        out.note(Level::Info, "invitation_used", Some(from.clone()), "");
        if !self.config.0.on_disk {
            return self.admit(conn, from, cx, out);
        }
        // Nobody is welcome before it is written down that he is, and that the invitation is used.
        if let Some(guest) = self.inviting.guests.get_mut(&conn) {
            guest.is_expected = true;
        }
        self.keep_friends(out);
        let bytes = self.inviting.write();
        let store = hexad_core::Ask::Store(super::joining::SELF, INVITATIONS.to_vec(), hexad_core::Payload::Bytes(bytes));
        self.ask(Pending::Welcome(conn), store, out);
    }

    /// It is written down.
    pub(super) fn on_welcome_written(&mut self, conn: ConnId, answer: &hexad_core::Answer, cx: &mut Context<'_>, out: &mut Out<A>) {
        if let hexad_core::Answer::Failed(why) = answer {
            out.note(Level::Warn, "store_failed", None, why.to_string());
        }
        let guest = self.inviting.guests.get(&conn).map(|guest| guest.at.clone());
        if let Some(at) = guest.or_else(|| self.links.at(conn).cloned()) {
            self.admit(conn, &at, cx, out);
        }
    }

    /// Somebody is a friend: if he was a guest, he is a neighbour from here on.
    fn admit(&mut self, conn: ConnId, at: &A, cx: &mut Context<'_>, out: &mut Out<A>) {
        let was_guest = self.inviting.guests.remove(&conn).is_some();
        if was_guest && !self.take_in(conn, at, cx, out) {
            return;
        }
        out.send_to(conn, Message::Welcome);
        if was_guest {
            out.send_to(conn, Message::Hello(Box::new(Hello { you: at.clone(), location: self.location })));
        }
        self.on_friend_here(at, out);
    }

    fn decline(&mut self, conn: ConnId, from: &A, why: Decline, out: &mut Out<A>) {
        out.note(Level::Drop, why.code(), Some(from.clone()), "");
        out.send_to(conn, Message::Declined(why));
        if self.inviting.guests.remove(&conn).is_some() {
            out.push(Output::Close(conn, "the invitation is not good".into()));
        }
    }
}

/// What an invitation is to be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvitationWanted {
    /// What whoever uses it is called.
    pub name: String,
    /// How long it is good, in seconds.
    pub lasts_s: u64,
    /// How many may use it.
    pub uses: u16,
    /// Where we are reached beside the address that we know ourselves: at a router, say.
    pub more: Vec<std::net::SocketAddr>,
}
