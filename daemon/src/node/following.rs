//! Links that their owners can change (BEP 46): those that downloads follow, and those of shares, which are ours.
//!
//! Each has a task of the session that asks the DHT every hour and keeps what it leads to stored there; it is begun again after whatever ends it. A newer version
//! is a download of its own, in a folder of its own, so that nothing is written over; what is the same in both is taken from the disk (`known.rs`).

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use hexad_api::node::{NetworkState, Share};
use hexad_api::{Event, MutableItem, Own, Problem, ProblemKind};
use hexad_content::{Digest, Digests, Magnet, Sha1Digest};
use hexad_core::OpId;
use serde::{Deserialize, Serialize};

use super::library::Kept as KeptShare;
use super::work::Turn;
use super::{House, State};
use crate::listener::{Listener, Word};
use crate::networks::NAMES;
use crate::owner::{Owner, check_name, is_named, seq_now};
use crate::session::Begin;
use crate::shelf::Key;

/// After what has ended a task, the next one is begun so much later.
const PAUSE: Duration = Duration::from_secs(30);

/// What is kept of a download whose link can be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Following {
    /// The link, and nothing else.
    pub(super) link: String,
    /// The version that this is, once that is known.
    pub(super) known: Option<MutableItem>,
    /// Where the first version went, where this is a later one.
    base: Option<String>,
    /// The download of a newer version, which follows the link from then on.
    pub(super) newer: Option<u64>,
}

impl Following {
    /// For a download of `source`, where that can be changed.
    pub(super) fn of(source: &str) -> Option<Self> {
        let magnet: Magnet = source.parse().ok()?;
        let link = Magnet { mutable: Some(magnet.mutable?), ..Magnet::default() }.to_string();
        Some(Self { link, known: None, base: None, newer: None })
    }

    /// `source`, as a link to the very version that is known.
    pub(super) fn pinned(&self, source: &str) -> Option<String> {
        let hash = data_encoding::HEXLOWER_PERMISSIVE.decode(self.known.as_ref()?.info_hash.as_bytes()).ok()?;
        let digests: Digests = [Digest::TorrentV1(Sha1Digest(hash.try_into().ok()?))].into_iter().collect();
        let magnet: Magnet = source.parse().ok()?;
        Some(Magnet { digests, mutable: None, ..magnet }.to_string())
    }
}

/// The link of a share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mutable {
    /// What tells it from other links of this node.
    pub(super) name: String,
    /// What it leads to, once that is hashed.
    pub(super) item: Option<MutableItem>,
    /// The last sequence number of whatever it led to before.
    #[serde(default)]
    last_seq: i64,
}

/// The tasks that follow links.
#[derive(Default)]
pub(super) struct Followers {
    tasks: BTreeMap<Key, Follower>,
    runs: u64,
}

struct Follower {
    link: String,
    /// What it was told that is known.
    known: Option<MutableItem>,
    /// Which of the tasks for that link counts.
    run: u64,
    op: Option<OpId>,
    /// When the next one is begun.
    at: Instant,
}

impl House {
    /// Sees to it that whatever is followed is, and nothing else.
    pub(super) fn look_after_links(&self, state: &mut State) {
        let mut wanted: BTreeMap<Key, (String, Option<MutableItem>)> = BTreeMap::new();
        for (id, following) in state.downloads.followed() {
            wanted.insert(Key::Download(id), (following.link.clone(), following.known.clone()));
        }
        for (id, item) in state.library.mutable() {
            wanted.insert(Key::Share(id), (item.link.clone(), Some(item.clone())));
        }
        let is_other = |key: &Key, follower: &Follower| match (wanted.get(key), key) {
            (None, _) => true,
            (Some((link, _)), Key::Download(_)) => *link != follower.link,
            // An owner's word counts at once.
            (Some((link, known)), Key::Share(_)) => (link, known) != (&follower.link, &follower.known),
        };
        let over: Vec<Key> = state.followers.tasks.iter().filter(|(key, follower)| is_other(key, follower)).map(|(key, _)| *key).collect();
        for key in over {
            if let Some(follower) = state.followers.tasks.remove(&key) {
                self.stop_task(follower.op);
            }
        }
        let network = NAMES.iter().position(|name| *name == "bittorrent").unwrap_or(0);
        if state.networks.get(network).is_none_or(|book| book.news.state != NetworkState::Joined) {
            return;
        }
        let now = Instant::now();
        for (key, (link, known)) in wanted {
            if state.followers.tasks.get(&key).is_some_and(|follower| follower.op.is_some() || follower.at > now) {
                continue;
            }
            state.followers.runs += 1;
            let (run, turns) = (state.followers.runs, self.turns.clone());
            let listener = Listener::new(move |word| drop(turns.send(Turn::Followed(key, run, word))));
            let own = Own::BittorrentFollow { link: link.clone(), known: known.clone() };
            let op = self.with(|session| session.begin_heard(Begin::Own(own, network), listener)).and_then(|begun| begun).ok();
            state.followers.tasks.insert(key, Follower { link, known, run, op, at: now + PAUSE });
        }
    }

    /// A task that follows a link says something.
    pub(super) fn on_followed(&self, key: Key, run: u64, word: Word) {
        let mut state = self.state();
        let Some(follower) = state.followers.tasks.get_mut(&key).filter(|follower| follower.run == run) else { return };
        match (word, key) {
            (Word::Event(Event::Newer(item)), Key::Download(id)) => {
                if let Err(problem) = self.on_newer(&mut state, id, item)
                    && let Ok(download) = state.downloads.find(id)
                {
                    download.warn(format!("a newer version cannot be fetched: {}", problem.message));
                    state.downloads.touch(id);
                }
                drop(state);
                self.flush();
            }
            (Word::Event(Event::Newer(item)), Key::Share(id)) => {
                state.warn(format!(
                    "somebody else has the key of {} and has it lead to {} (version {}): it does not lead to what this node offers",
                    item.link, item.info_hash, item.seq
                ));
                state.library.on_newer(id, item);
            }
            (Word::Event(Event::Failed { message, .. }), _) => {
                tracing::debug!(link = follower.link, message, "a link is not followed for a while");
                let op = follower.op.take();
                follower.at = Instant::now() + PAUSE;
                self.stop_task(op);
            }
            _ => {}
        }
    }

    /// The owner of a download's link has named something that is newer than what is known.
    fn on_newer(&self, state: &mut State, id: u64, item: MutableItem) -> Result<(), Problem> {
        let content = self.store.content_of_download(id);
        let download = state.downloads.find(id)?;
        let runs = download.op.is_some();
        let Some(following) = download.kept.following.as_mut().filter(|following| following.newer.is_none()) else { return Ok(()) };
        match content {
            Some(content) if !is_named(&content.shape.digests, &item.info_hash) => return self.begin_version(state, id, item),
            Some(_) => following.known = Some(item),
            // Its own look has found the same, unless it was before this one.
            None => {
                let is_other = following.known.replace(item.clone()).is_some_and(|known| known.info_hash != item.info_hash);
                if is_other || !runs {
                    self.take_up(state, id)?;
                }
            }
        }
        state.downloads.touch(id);
        Ok(())
    }

    /// It has turned out what a download is of: not what its owner names by now, where that was heard before.
    pub(super) fn on_version_described(&self, state: &mut State, id: u64, digests: &Digests) {
        let Ok(download) = state.downloads.find(id) else { return };
        let known = download.kept.following.as_mut().filter(|following| following.newer.is_none()).and_then(|following| {
            let is_other = following.known.as_ref().is_some_and(|known| !is_named(digests, &known.info_hash));
            is_other.then(|| following.known.take()).flatten()
        });
        if let Some(item) = known
            && let Err(problem) = self.begin_version(state, id, item)
        {
            tracing::warn!(%problem, id, "a newer version cannot be fetched");
        }
    }

    /// Begins to fetch a newer version of what a download is of. One that is not complete rests from then on.
    fn begin_version(&self, state: &mut State, id: u64, item: MutableItem) -> Result<(), Problem> {
        let old = state.downloads.find(id)?;
        let mut request = old.kept.request.clone();
        let Some(following) = old.kept.following.clone() else { return Ok(()) };
        let base = following.base.clone().or(request.into.clone()).unwrap_or_default();
        request.into = Some(Path::new(&base).join(format!("version-{}", item.seq)).display().to_string());
        request.choose = false;
        // A version that was given enough says nothing of the next one.
        request.seed = if request.how.has_goal() { Some(true) } else { request.seed };
        let (seq, is_complete) = (item.seq, old.is_complete());
        let new = state.downloads.add(request)?;
        let begun = Following { known: Some(item), base: Some(base), newer: None, ..following };
        state.downloads.find(new)?.kept.following = Some(begun);
        let old = state.downloads.find(id)?;
        old.warn(format!("its owner has a newer version, {seq}: download {new} fetches it"));
        if let Some(following) = &mut old.kept.following {
            following.newer = Some(new);
        }
        tracing::info!(id, new, seq, "a newer version is fetched");
        state.downloads.touch(id);
        if !is_complete {
            self.rest(state, id)?;
        }
        if let Err(problem) = self.begin_download(state, new) {
            state.downloads.fail(new, problem);
        }
        Ok(())
    }

    /// A version is complete: those before it are given on no longer.
    pub(super) fn rest_older(&self, state: &mut State, id: u64) {
        for older in state.downloads.older_than(id) {
            if state.downloads.find(older).is_ok_and(|download| !download.is_over())
                && let Err(problem) = self.rest(state, older)
            {
                tracing::warn!(%problem, older, "an older version does not rest");
            }
        }
    }

    /// Gives a share a link that leads to it, in place of what it led to before.
    pub(super) fn name_share(&self, id: u64, name: String) -> Result<Share, Problem> {
        check_name(&name)?;
        // Whoever is told that it has a link can rely on the key.
        Owner::of(self.given.session.state_dir.as_deref()).map_err(|problem| problem.kind(ProblemKind::Unavailable))?;
        let mut state = self.state();
        state.library.view(id)?;
        let before = state.library.named_so(&name);
        if before == Some(id) {
            return state.library.view(id);
        }
        let last_seq = before.and_then(|other| state.library.take_name(other)).map_or(0, |mutable| mutable.seq());
        state.library.set_mutable(id, Mutable { name, item: None, last_seq });
        let content = self.store.content_of_share(id);
        if let Some(content) = content.as_ref().filter(|_| state.library.item(id).is_some_and(|item| item.hashed)) {
            self.sign(&mut state, id, &content.shape.digests);
        }
        for id in before.into_iter().chain([id]) {
            let known = self.store.share::<KeptShare>(id);
            let music = known.as_ref().map(|(kept, _)| kept.music.clone()).unwrap_or_default();
            let content = known.map(|(_, content)| content).filter(|_| state.library.item(id).is_some_and(|item| item.hashed));
            let keep = state.library.keep(id, music, content.as_ref());
            state.keep.extend(keep);
        }
        let view = state.library.view(id);
        drop(state);
        self.flush();
        view
    }

    /// Gives the owner's word for what a share is of, where it has a link.
    pub(super) fn sign(&self, state: &mut State, id: u64, digests: &Digests) {
        let Some(mut mutable) = state.library.item(id).and_then(|item| item.mutable.as_deref().cloned()) else { return };
        if mutable.item.as_ref().is_some_and(|item| is_named(digests, &item.info_hash)) {
            return;
        }
        // A clock that was set back must not make what is newest look old.
        let seq = seq_now(&self.given.wall).max(mutable.seq() + 1);
        match Owner::of(self.given.session.state_dir.as_deref()) {
            Ok(owner) => mutable.item = owner.word(&mutable.name, seq, digests),
            Err(problem) => state.warn(problem.message),
        }
        state.library.set_mutable(id, mutable);
    }
}

impl Mutable {
    /// The greatest sequence number that was used.
    fn seq(&self) -> i64 {
        self.item.as_ref().map_or(self.last_seq, |item| item.seq.max(self.last_seq))
    }
}
