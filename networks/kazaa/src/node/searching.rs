//! Searches of ours: one question to a supernode (or to our own index and on, while we are one), answers as they come.

use hexad_catalogue::words_of;
use hexad_content::{Digest, Magnet};
use hexad_core::{ConnId, Context, Failure, Hit, Map, OpId, Progress, Query, Set, Source, Span, Time, What};

use super::lines::Kind;
use super::{Node, Out, Role, Timer, failed};
use crate::place::Place;
use crate::wire::{Flood, Group, Looked, Message, SHORTS_MAX, Sourced, WORD_BYTES_MAX, WORDS_MAX};

/// A search ends so much after its question may, at the latest.
const GRACE: Span = Span::from_secs(2);
/// A supernode that has said nothing for so long may be gone: another one is asked as well.
const SILENCE: Span = Span::from_secs(2);
/// Questions whose ways are remembered, for those who want more.
const TRAILS_MAX: usize = 64;
/// How long they are.
const TRAIL_FOR: Span = Span::from_secs(3600);
/// Contents of one search whose sources are remembered.
const FOUND_MAX: usize = 4096;
/// Sources of one content that are remembered.
const SOURCES_KNOWN_MAX: usize = 256;

/// Who has asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// A user.
    User(OpId),
    /// A fetch that needs sources.
    Fetch(OpId),
}

/// One search under way.
#[derive(Debug)]
struct Search<A: Place> {
    whose: For,
    what: Looked,
    wanted: u16,
    skip: Vec<u32>,
    deadline: Time,
    /// The supernode that was asked; `None` while there is none, or it is ourselves.
    asked: Option<ConnId>,
    /// Those that were asked before it and have said nothing yet, and under which name.
    silent: Vec<(ConnId, [u8; 16])>,
    /// Supernodes of ours that have been asked.
    tried: Set<A::Name>,
    flooding: bool,
    /// What was found, and at whom.
    found: Map<Digest, Set<A::Name>>,
    reached: Set<u32>,
}

/// All of them, and where earlier ones have looked.
#[derive(Debug)]
pub(super) struct Searches<A: Place> {
    under: Map<[u8; 16], Search<A>>,
    trails: Map<String, (Time, Set<u32>)>,
}

impl<A: Place> Default for Searches<A> {
    fn default() -> Self {
        Self { under: Map::new(), trails: Map::new() }
    }
}

impl<A: Place> Searches<A> {
    pub(super) fn len(&self) -> usize {
        self.under.len()
    }
}

impl<A: Place> Node<A> {
    pub(super) fn start_search(&mut self, op: OpId, query: Query, more: bool, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.member.is_none() {
            return failed(op, Failure::NotReady("not in the network".into()), out);
        }
        let (what, wanted) = match query {
            Query::Digest { digest, wanted } => (Looked::Digest(digest), wanted),
            Query::Words { words, wanted } => {
                let mut plain: Vec<String> = Vec::new();
                words_of(words.join(" ").as_bytes(), |word| {
                    if word.len() <= WORD_BYTES_MAX && !plain.iter().any(|other| other == word) {
                        plain.push(word.to_owned());
                    }
                    plain.len() < WORDS_MAX
                });
                if plain.is_empty() {
                    return failed(op, Failure::Unusable("expected a word, came none".into()), out);
                }
                (Looked::Words(plain), wanted)
            }
        };
        if self.searches.under.len() >= self.config.0.searches_max {
            return failed(op, Failure::Full("searches"), out);
        }
        let skip = if more { self.trail(&what, cx.now) } else { Vec::new() };
        let wanted = u16::try_from(wanted).unwrap_or(u16::MAX);
        self.ask_network(For::User(op), what, wanted, skip, cx, out);
    }

    /// Where searches for the same have looked.
    fn trail(&self, what: &Looked, now: Time) -> Vec<u32> {
        let Some((at, reached)) = self.searches.trails.get(&format!("{what:?}")) else { return Vec::new() };
        if now.since(*at) > TRAIL_FOR { Vec::new() } else { reached.iter().copied().take(SHORTS_MAX).collect() }
    }

    /// Puts a question to the network.
    pub(super) fn ask_network(&mut self, whose: For, what: Looked, wanted: u16, skip: Vec<u32>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let id: [u8; 16] = cx.dice.bytes();
        let deadline = cx.now + self.config.0.search_deadline;
        let search = Search {
            whose,
            what,
            wanted,
            skip,
            deadline,
            asked: None,
            silent: Vec::new(),
            tried: Set::new(),
            flooding: false,
            found: Map::new(),
            reached: Set::new(),
        };
        self.searches.under.insert(id, search);
        out.wake(deadline + GRACE, Timer::Search(id));
        self.ask_somebody(&id, cx, out);
    }

    /// Asks a supernode that was not asked yet; whether there is one.
    fn ask_somebody(&mut self, id: &[u8; 16], cx: &mut Context<'_>, out: &mut Out<A>) -> bool {
        let (hops, fan_out) = (self.config.0.hops, self.config.0.fan_out);
        let Some(search) = self.searches.under.get_mut(id) else { return false };
        let left = search.deadline.since(cx.now);
        let flood = |id: [u8; 16], search: &Search<A>| Flood {
            id,
            hops,
            fan_out,
            wanted: search.wanted,
            deadline_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX),
            what: search.what.clone(),
            skip: search.skip.clone(),
        };
        if self.role == Role::Supernode {
            if std::mem::replace(&mut search.flooding, true) {
                return false;
            }
            let flood = flood(*id, search);
            if !self.flood_own(flood, cx, out) {
                self.end_search(id, cx, out);
            }
            return true;
        }
        // The nearest of ours first.
        let mut parents: Vec<(bool, Option<u32>, ConnId, A::Name)> = self
            .lines
            .iter()
            .filter_map(|(conn, line)| match &line.kind {
                Kind::Parent(parent) => {
                    let rtt = self.known.get(&line.peer.name()).and_then(|known| known.rtt_us);
                    Some((parent.moving, rtt, conn, line.peer.name()))
                }
                _ => None,
            })
            .filter(|(.., name)| !search.tried.contains(name))
            .collect();
        parents.sort();
        let Some(&(_, _, conn, name)) = parents.first() else { return false };
        // Each supernode hears of it under a name of its own, or it would take the second question for the first.
        let fresh: [u8; 16] = if search.tried.is_empty() { *id } else { cx.dice.bytes() };
        search.tried.insert(name);
        search.asked = Some(conn);
        let flood = flood(fresh, search);
        if fresh != *id
            && let Some(search) = self.searches.under.remove(id)
        {
            out.wake(search.deadline + GRACE, Timer::Search(fresh));
            self.searches.under.insert(fresh, search);
        }
        out.send_to(conn, Message::Query(Box::new(flood)));
        out.wake(cx.now + SILENCE, Timer::Silence(fresh));
        true
    }

    /// Whoever was asked had time to say something. It may be gone, which we are told much later, or wait for others that are: another supernode of ours
    /// is asked too, and what either finds counts.
    pub(super) fn on_search_silence(&mut self, id: &[u8; 16], cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(search) = self.searches.under.get_mut(id) else { return };
        let Some(asked) = search.asked.filter(|_| search.found.is_empty()) else { return };
        search.silent.push((asked, *id));
        if !self.ask_somebody(id, cx, out)
            && let Some(search) = self.searches.under.get_mut(id)
        {
            search.silent.pop();
        }
    }

    /// There is a supernode: what waited for one is asked.
    pub(super) fn searches_may_go(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        let waiting: Vec<[u8; 16]> =
            self.searches.under.iter().filter(|(_, search)| search.asked.is_none() && !search.flooding).map(|(id, _)| *id).collect();
        for id in waiting {
            self.ask_somebody(&id, cx, out);
        }
    }

    /// A supernode that we have asked is gone: another one is asked.
    pub(super) fn on_asked_lost(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out<A>) {
        self.searches.under.values_mut().for_each(|search| search.silent.retain(|(silent, _)| *silent != conn));
        let asked: Vec<[u8; 16]> = self.searches.under.iter().filter(|(_, search)| search.asked == Some(conn)).map(|(id, _)| *id).collect();
        for id in asked {
            if let Some(search) = self.searches.under.get_mut(&id) {
                search.asked = None;
            }
            self.ask_somebody(&id, cx, out);
        }
    }

    /// We are no supernode any more: our own questions wait for one.
    pub(super) fn searches_go_elsewhere(&mut self, ids: &[[u8; 16]], _: &mut Out<A>) {
        for id in ids {
            if let Some(search) = self.searches.under.get_mut(id) {
                search.flooding = false;
                search.asked = None;
            }
        }
    }

    pub(super) fn on_search_results(&mut self, conn: ConnId, id: &[u8; 16], groups: Vec<Group<A>>, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.searches.under.get(id).is_some_and(|search| search.asked == Some(conn)) {
            return self.on_own_results(id, groups, cx, out);
        }
        let late = self.searches.under.iter().find(|(_, search)| search.silent.contains(&(conn, *id))).map(|(id, _)| *id);
        if let Some(id) = late {
            self.on_own_results(&id, groups, cx, out);
        }
    }

    pub(super) fn on_search_end(&mut self, conn: ConnId, id: &[u8; 16], reached: &[u32], cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.searches.under.get(id).is_some_and(|search| search.asked == Some(conn)) {
            return self.on_own_end(id, reached, cx, out);
        }
        for search in self.searches.under.values_mut() {
            if let Some(at) = search.silent.iter().position(|silent| *silent == (conn, *id)) {
                search.silent.remove(at);
                search.reached.extend(reached.iter().take(SHORTS_MAX));
            }
        }
    }

    /// Something was found.
    pub(super) fn on_own_results(&mut self, id: &[u8; 16], groups: Vec<Group<A>>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let (own, keyed) = (self.addr.as_ref().map(Place::name), self.config.0.identity.is_some());
        let Some(search) = self.searches.under.get_mut(id) else { return };
        let mut fresh: Vec<Group<A>> = Vec::new();
        for mut group in groups {
            let asked_for = match &search.what {
                Looked::Digest(digest) => *digest == group.digest,
                Looked::Words(_) => true,
            };
            let many = search.found.len();
            let new = !search.found.contains_key(&group.digest);
            if !asked_for || (new && (many >= FOUND_MAX || (many >= usize::from(search.wanted) && matches!(search.whose, For::User(_))))) {
                continue;
            }
            let known = search.found.entry(group.digest).or_default();
            group.sources.retain(|source| {
                let name = source.addr.name();
                Some(name) != own && source.addr.fits(keyed) && known.len() < SOURCES_KNOWN_MAX && known.insert(name)
            });
            if !group.sources.is_empty() {
                fresh.push(group);
            }
        }
        search.found.retain(|_, sources| !sources.is_empty());
        match search.whose {
            For::User(op) => {
                for group in fresh {
                    out.report(op, Progress::Hit(Box::new(hit_of(&group))));
                }
            }
            For::Fetch(op) => {
                let sources: Vec<Sourced<A>> = fresh.into_iter().flat_map(|group| group.sources).collect();
                self.on_sources(op, sources, cx, out);
            }
        }
    }

    /// Nothing more will be found there.
    pub(super) fn on_own_end(&mut self, id: &[u8; 16], reached: &[u32], cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(search) = self.searches.under.get_mut(id) else { return };
        search.reached.extend(reached.iter().take(SHORTS_MAX));
        search.asked = None;
        // Where nothing was found another supernode of ours is asked, whose neighbours are others.
        if search.found.is_empty() && search.deadline > cx.now && self.ask_somebody(id, cx, out) {
            return;
        }
        self.end_search(id, cx, out);
    }

    fn end_search(&mut self, id: &[u8; 16], cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(search) = self.searches.under.remove(id) else { return };
        for &(conn, id) in &search.silent {
            out.send_to(conn, Message::QueryStop(id));
        }
        self.remember_trail(&search, cx.now);
        match search.whose {
            For::User(op) => out.report(op, Progress::Done),
            For::Fetch(op) => self.on_sources_end(op, cx, out),
        }
    }

    fn remember_trail(&mut self, search: &Search<A>, now: Time) {
        let trails = &mut self.searches.trails;
        let key = format!("{:?}", search.what);
        if trails.len() >= TRAILS_MAX && !trails.contains_key(&key) {
            let oldest = trails.iter().min_by_key(|(_, (at, _))| *at).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| trails.remove(&oldest));
        }
        let trail = trails.entry(key).or_default();
        trail.0 = now;
        trail.1.extend(search.reached.iter().chain(&search.skip));
        while trail.1.len() > SHORTS_MAX {
            trail.1.pop_first();
        }
    }

    pub(super) fn on_search_late(&mut self, id: &[u8; 16], out: &mut Out<A>) {
        let Some(search) = self.searches.under.remove(id) else { return };
        self.stop_asking(id, &search, out);
        match search.whose {
            // What was found is all there is; with nothing found, nobody has answered at all.
            For::User(op) if search.found.is_empty() && search.reached.is_empty() => {
                failed(op, Failure::TimedOut(self.config.0.search_deadline.as_secs()), out);
            }
            For::User(op) => out.report(op, Progress::Done),
            For::Fetch(op) => self.sources_are_late(op),
        }
    }

    fn stop_asking(&mut self, id: &[u8; 16], search: &Search<A>, out: &mut Out<A>) {
        for (conn, id) in search.asked.map(|conn| (conn, *id)).into_iter().chain(search.silent.iter().copied()) {
            out.send_to(conn, Message::QueryStop(id));
        }
        if search.flooding {
            self.stop_own_flood(id, out);
        }
    }

    pub(super) fn cancel_search(&mut self, op: OpId, out: &mut Out<A>) {
        if self.forget_search(For::User(op), out) {
            out.report(op, Progress::Ended);
        }
    }

    /// Takes a question back.
    pub(super) fn forget_search(&mut self, whose: For, out: &mut Out<A>) -> bool {
        let Some(id) = self.searches.under.iter().find(|(_, search)| search.whose == whose).map(|(id, _)| *id) else { return false };
        let Some(search) = self.searches.under.remove(&id) else { return false };
        self.stop_asking(&id, &search, out);
        true
    }

    /// We are no longer in the network.
    pub(super) fn end_searches(&mut self, out: &mut Out<A>) {
        for search in std::mem::take(&mut self.searches.under).into_values() {
            if let For::User(op) = search.whose {
                failed(op, Failure::NotReady("left the network".into()), out);
            }
        }
    }
}

/// A content as users see it.
fn hit_of<A: Place>(group: &Group<A>) -> Hit {
    let digests: hexad_content::Digests = std::iter::once(group.digest).chain(group.others.iter().copied()).collect();
    let magnet =
        Magnet { digests: digests.clone(), name: Some(group.name.clone()), size_bytes: Some(group.size_bytes), ..Magnet::default() };
    Hit {
        name: group.name.clone(),
        size_bytes: Some(group.size_bytes),
        digests,
        source: Source {
            what: What::Magnet(Box::new(magnet)),
            peers: group.sources.iter().map(|source| source.addr.to_endpoint()).collect(),
        },
    }
}
