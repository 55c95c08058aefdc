//! Requests, probes and inserts on their way: steepest ascent with backtracking, bounded by hops-to-live (F8–F12). What becomes of an insert once
//! its path is found is told in `inserting.rs`.

use std::collections::VecDeque;

use hexad_core::{Answer, Context, Level, Map, OpId, Payload, Set, Span, Time};

use super::store::Held;
use super::{Node, Out, Pending, Timer};
use crate::keys::{Block, NodeKey};
use crate::place::Place;
use crate::wire::{CELL_BYTES, Found, Message, Reason, Walking};

/// What a walk is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A block.
    Request,
    /// The number of hops to it.
    Probe,
    /// A place for it.
    Insert,
}

/// Who wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose<A> {
    /// A neighbour.
    Peer(A),
    /// A job of ours, and which part of it.
    Job(u64, u32),
    /// A user, at first hand.
    User(OpId),
    /// Those who have asked in vain before.
    Wanting,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Somebody is asked, or we look ourselves.
    Walking,
    /// Nobody could be asked any more; whoever asked us may come back with data all the same.
    Parked,
    /// The path is found, the data has not come.
    Clear,
    /// The data has been passed on.
    Passing,
    /// Nobody further on has anything more to say; the disk has.
    Writing,
}

/// One walk under way.
#[derive(Clone, Debug)]
pub struct Walk<A> {
    pub(super) kind: Kind,
    pub(super) key: NodeKey,
    pub(super) htl: u16,
    pub(super) whose: Whose<A>,
    tried: Vec<A>,
    pub(super) asked: Option<A>,
    /// Counts whom it was handed to, so that a late clock is known for one.
    turn: u16,
    accepted: bool,
    pub(super) phase: Phase,
    /// The first who took it and found nobody else to ask.
    pub(super) fallback: Option<A>,
    /// What is to be inserted: ours from the beginning, that of others from when it has come until somebody has said that it is stored.
    pub(super) block: Option<Block>,
    /// It is stored here, as far as the disk has not said otherwise.
    pub(super) kept: bool,
    /// What the disk has not said yet.
    pub(super) writing: usize,
    /// Somebody further on has stored it.
    pub(super) stored: bool,
    loops: usize,
    /// When what it is about at the moment has taken too long.
    until: Time,
    /// Who failed last: by its rule hops-to-live count on.
    failed: Option<A>,
}

impl<A> Walk<A> {
    /// Who wants it.
    pub(super) const fn whose(&self) -> &Whose<A> {
        &self.whose
    }

    /// Whoever began it does not want to hear of it any more.
    pub(super) fn disown(&mut self) {
        self.whose = Whose::Wanting;
    }
}

/// How a walk of ours ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The block; for an insert, what was there already.
    Block(Block),
    /// It is stored along the path.
    Stored,
    /// Hops until the block was met.
    Hops(u16),
    /// It did not come to anything.
    Missed(Miss),
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// Hops-to-live ran out.
    NotFound,
    /// Nobody was left to be asked.
    RouteNotFound,
    /// It was looked for a moment ago in vain, and may be again in so many seconds.
    RecentlyFailed(u16),
    /// Nobody answered in time.
    TimedOut,
    /// There are as many walks under way as may be.
    Overload,
}

/// Walks that have been here.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    order: VecDeque<u64>,
    uids: Set<u64>,
}

impl Seen {
    /// Remembers one; false when it was known.
    pub(super) fn add(&mut self, uid: u64, max: usize) -> bool {
        if !self.uids.insert(uid) {
            return false;
        }
        self.order.push_back(uid);
        if self.order.len() > max
            && let Some(oldest) = self.order.pop_front()
        {
            self.uids.remove(&oldest);
        }
        true
    }
}

/// All walks by their names.
pub type Walks<A> = Map<u64, Walk<A>>;

/// The clock of a whole walk, beside those of its turns.
const WHOLE: u16 = u16::MAX;

impl<A: Place> Node<A> {
    /// Begins a walk of ours.
    #[expect(clippy::too_many_arguments, reason = "what a walk is, and the host")]
    pub(super) fn begin(
        &mut self,
        kind: Kind,
        key: NodeKey,
        htl: u16,
        whose: Whose<A>,
        block: Option<Block>,
        cx: &mut Context<'_>,
        out: &mut Out<A>,
    ) {
        if self.walks.len() >= 2 * self.config.0.walks_max {
            return self.tell(whose, Outcome::Missed(Miss::Overload));
        }
        let uid = cx.dice.bits();
        self.seen.add(uid, self.config.0.seen_max);
        self.start_walk(uid, kind, key, htl, whose, block, cx, out);
    }

    #[expect(clippy::too_many_arguments, reason = "what a walk is, and the host")]
    fn start_walk(
        &mut self,
        uid: u64,
        kind: Kind,
        key: NodeKey,
        htl: u16,
        whose: Whose<A>,
        block: Option<Block>,
        cx: &mut Context<'_>,
        out: &mut Out<A>,
    ) {
        let walk = Walk {
            kind,
            key,
            htl,
            whose,
            tried: Vec::new(),
            asked: None,
            turn: 0,
            accepted: false,
            phase: Phase::Walking,
            fallback: None,
            block,
            kept: false,
            writing: 0,
            stored: false,
            loops: 0,
            until: cx.now,
            failed: None,
        };
        self.walks.insert(uid, walk);
        self.takes_time(uid, cx, out);
        self.look(uid, cx, out);
    }

    /// Gives a walk the time that what it begins may take: the less the fewer hops are left, so that whoever asked is still there to be answered, and
    /// more for whoever began it.
    pub(super) fn takes_time(&mut self, uid: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let settings = &self.config.0;
        let Some(walk) = self.walks.get_mut(&uid) else { return };
        let ahead = if matches!(walk.whose, Whose::Peer(_)) { 4 } else { 8 };
        let share = f64::from(walk.htl.min(settings.htl_max) + ahead) / f64::from(settings.htl_max + 4);
        walk.until = cx.now + settings.walk_deadline.mul_f64(share);
        out.wake(walk.until, Timer::Walk(uid, WHOLE));
    }

    /// The same, with a span of its own.
    pub(super) fn takes(&mut self, uid: u64, span: Span, cx: &mut Context<'_>, out: &mut Out<A>) {
        if let Some(walk) = self.walks.get_mut(&uid) {
            walk.until = cx.now + span;
            out.wake(walk.until, Timer::Walk(uid, WHOLE));
        }
    }

    /// Somebody hands a walk on to us.
    pub(super) fn on_walking(&mut self, from: &A, kind: Kind, walking: Walking, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Walking { uid, htl, key } = walking;
        let refuse = |node: &mut Self, reason, cx: &mut Context<'_>, out: &mut Out<A>| {
            node.send(from, Message::Rejected(uid, reason), cx, out);
        };
        if self.location.is_none() || self.is_overloaded(from) {
            out.note(Level::Drop, "overload", Some(from.clone()), "");
            return refuse(self, Reason::Overload, cx, out);
        }
        if !self.seen.add(uid, self.config.0.seen_max) {
            return refuse(self, Reason::Loop, cx, out);
        }
        if kind == Kind::Request
            && let Some(seconds) = self.failures.quenched(&key, cx.now)
            && !self.store.holds(&key)
        {
            self.failures.wants(&key, from);
            self.send(from, Message::RecentlyFailed(uid, seconds), cx, out);
            return;
        }
        if self.config.0.accept_within.is_some() {
            self.send(from, Message::Accepted(uid), cx, out);
        }
        if let Some(peer) = self.links.peer_mut(from) {
            peer.running += 1;
        }
        let htl = htl.min(self.config.0.htl_max);
        self.start_walk(uid, kind, key, htl, Whose::Peer(from.clone()), None, cx, out);
    }

    /// Whether we promise more than we can keep if we take on another walk of this peer.
    fn is_overloaded(&self, from: &A) -> bool {
        let settings = &self.config.0;
        let promised = (self.walks.len() as u64 + 1).saturating_mul(CELL_BYTES[2] as u64);
        let sendable = settings.up_bytes_per_s.saturating_mul(settings.liability.as_secs());
        let fair = (2 * settings.walks_max / (self.links.len() + 1)).max(64);
        let his = self.links.peer(from).map_or(0, |peer| peer.running);
        self.walks.len() >= settings.walks_max || promised > sendable || his >= fair
    }

    /// Looks at home first.
    fn look(&mut self, uid: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(walk) = self.walks.get(&uid) else { return };
        let (key, htl) = (walk.key, walk.htl);
        if walk.kind == Kind::Probe {
            if self.store.holds(&key) {
                return self.on_met(uid, htl, cx, out);
            }
            return self.advance(uid, cx, out);
        }
        match self.store.ask(&key) {
            Some(Held::Memory(block)) => self.on_have(uid, block, cx, out),
            Some(Held::Disk(at)) => {
                self.ask(Pending::Walk(uid), hexad_core::Ask::Load(super::store::BLOCKS, at), out);
            }
            None => self.advance(uid, cx, out),
        }
    }

    /// The disk has answered.
    pub(super) fn on_loaded(&mut self, uid: u64, answer: Answer, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(key) = self.walks.get(&uid).map(|walk| walk.key) else { return };
        let block = match answer {
            Answer::Loaded(Some(Payload::Bytes(bytes))) => self.store.unseal(&key, &bytes),
            Answer::Failed(why) => {
                // A disk that does not answer at the moment has not lost anything.
                out.note(Level::Warn, "load_failed", None, why.to_string());
                return self.advance(uid, cx, out);
            }
            _ => None,
        };
        match block {
            Some(block) => self.on_have(uid, block, cx, out),
            None => {
                out.note(Level::Warn, "bad_block", None, "a stored block cannot be read back, and is dropped");
                self.store.drop_bad(&key);
                self.flush(out);
                self.advance(uid, cx, out);
            }
        }
    }

    /// We have the block ourselves.
    fn on_have(&mut self, uid: u64, block: Block, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(walk) = self.end(uid) else { return };
        let source = self.addr.clone();
        self.give(uid, walk.whose, source, block, cx, out);
    }

    fn on_met(&mut self, uid: u64, left: u16, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(walk) = self.end(uid) else { return };
        match walk.whose {
            Whose::Peer(from) => {
                self.send(&from, Message::Probed(uid, left), cx, out);
            }
            ours => self.tell(ours, Outcome::Hops(walk.htl.saturating_sub(left))),
        }
    }

    /// Hands a block to whoever wanted it.
    fn give(&mut self, uid: u64, whose: Whose<A>, source: Option<A>, block: Block, cx: &mut Context<'_>, out: &mut Out<A>) {
        match whose {
            Whose::Peer(from) => {
                self.send(&from, Message::Found(Box::new(Found { uid, source, block })), cx, out);
            }
            Whose::Wanting => {}
            ours => self.tell(ours, Outcome::Block(block)),
        }
    }

    /// Hands the walk to the best who has not had it.
    fn advance(&mut self, uid: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        loop {
            let Some(walk) = self.walks.get(&uid) else { return };
            if walk.htl == 0 {
                return self.at_end(uid, cx, out);
            }
            let next = if walk.loops > self.config.0.loops_max { None } else { self.next_hop(walk, cx.now) };
            let Some(next) = next else { return self.exhausted(uid, cx, out) };
            let rule = walk.failed.as_ref().or(if let Whose::Peer(from) = &walk.whose { Some(from) } else { None });
            let (at_max, at_one) =
                rule.and_then(|addr| self.links.peer(addr)).map_or(self.rule, |peer| (peer.decrements_at_max, peer.decrements_at_one));
            let max = self.config.0.htl_max;
            let Some(walk) = self.walks.get_mut(&uid) else { return };
            let htl = match walk.htl {
                htl if htl >= max => max - u16::from(at_max),
                1 => 1 - u16::from(at_one),
                htl => htl - 1,
            };
            walk.asked = Some(next.clone());
            walk.accepted = false;
            walk.turn += 1;
            let (turn, kind) = (walk.turn, walk.kind);
            let walking = Box::new(Walking { uid, htl, key: walk.key });
            let message = match kind {
                Kind::Request => Message::Request(walking),
                Kind::Probe => Message::Probe(walking),
                Kind::Insert => Message::Insert(walking),
            };
            if self.send(&next, message, cx, out) {
                if let Some(within) = self.config.0.accept_within {
                    out.wake(cx.now + within, Timer::Walk(uid, turn));
                }
                return;
            }
            if let Some(walk) = self.walks.get_mut(&uid) {
                walk.tried.push(next);
                walk.asked = None;
            }
        }
    }

    /// The best neighbour, or entry of the table, that has not been asked.
    fn next_hop(&self, walk: &Walk<A>, now: Time) -> Option<A> {
        let from = if let Whose::Peer(from) = &walk.whose { Some(from) } else { None };
        let fits = |addr: &A| Some(addr) != from && self.addr.as_ref() != Some(addr) && !walk.tried.contains(addr);
        let key = walk.key.location();
        if self.config.0.dials_the_table {
            return self.table.nearest(key).map(|(_, addr)| addr).find(|addr| fits(addr)).cloned();
        }
        // What was learned says of a neighbour what it is good for, beside the place where it stands.
        let mut learned: Map<&A, u64> = Map::new();
        for (distance, addr) in self.table.nearest(key).take(64) {
            learned.entry(addr).or_insert(distance);
        }
        let rank = |addr: &A, peer: &super::links::Peer<A>| {
            let place = peer.location.map_or(u64::MAX >> 1, |location| location.distance(key));
            let distance = learned.get(addr).map_or(place, |learned| (*learned).min(place));
            (peer.is_backed_off(now), self.failures.avoids(&walk.key, addr, now), distance)
        };
        let open = self.links.open().filter(|(addr, _)| fits(addr));
        open.min_by_key(|(addr, peer)| rank(addr, peer)).map(|(addr, _)| addr.clone())
    }

    /// Hops-to-live have run out here.
    fn at_end(&mut self, uid: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(walk) = self.walks.get_mut(&uid) else { return };
        walk.asked = None;
        if walk.kind == Kind::Insert {
            return self.clear(uid, cx, out);
        }
        self.miss(uid, Miss::NotFound, cx, out);
    }

    /// Nobody is left to be asked.
    fn exhausted(&mut self, uid: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(walk) = self.walks.get_mut(&uid) else { return };
        walk.asked = None;
        if walk.kind == Kind::Insert {
            let htl = walk.htl;
            return match walk.whose.clone() {
                Whose::Peer(from) => {
                    walk.phase = Phase::Parked;
                    self.takes_time(uid, cx, out);
                    self.send(&from, Message::RouteNotFound(uid, htl), cx, out);
                }
                _ if walk.fallback.is_some() => self.pass(uid, cx, out),
                _ => self.miss(uid, Miss::RouteNotFound, cx, out),
            };
        }
        // Whoever began it has learnt that those who could be asked do not have it. That there were few is for those on the way to know, who go on.
        let looked = walk.failed.is_some() && !matches!(walk.whose, Whose::Peer(_));
        self.miss(uid, if looked { Miss::NotFound } else { Miss::RouteNotFound }, cx, out);
    }

    /// Ends a walk without what it was for.
    pub(super) fn miss(&mut self, uid: u64, miss: Miss, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(walk) = self.end(uid) else { return };
        if walk.kind == Kind::Request {
            let from = if let Whose::Peer(from) = &walk.whose { Some(from) } else { None };
            let asked: Vec<A> = walk.tried.iter().chain(&walk.asked).cloned().collect();
            self.failures.failed(&walk.key, &asked, from, cx.now);
        }
        match walk.whose {
            Whose::Peer(from) => {
                let message = match miss {
                    // Whoever ran out of time says nothing of where the block is: others may know.
                    Miss::RouteNotFound | Miss::TimedOut | Miss::Overload => Message::RouteNotFound(uid, walk.htl),
                    Miss::RecentlyFailed(seconds) => Message::RecentlyFailed(uid, seconds),
                    Miss::NotFound => Message::NotFound(uid),
                };
                self.send(&from, message, cx, out);
            }
            ours => self.tell(ours, Outcome::Missed(miss)),
        }
    }

    pub(super) fn end(&mut self, uid: u64) -> Option<Walk<A>> {
        let walk = self.walks.remove(&uid)?;
        if let Whose::Peer(from) = &walk.whose
            && let Some(peer) = self.links.peer_mut(from)
        {
            peer.running = peer.running.saturating_sub(1);
        }
        Some(walk)
    }

    /// The walk that `from` was asked for, while it has not answered.
    pub(super) fn answered(&mut self, from: &A, uid: u64) -> Option<&mut Walk<A>> {
        self.walks.get_mut(&uid).filter(|walk| walk.asked.as_ref() == Some(from))
    }

    pub(super) fn on_accepted(&mut self, from: &A, uid: u64) {
        if let Some(walk) = self.answered(from, uid) {
            walk.accepted = true;
        }
    }

    /// Whoever was asked does not help.
    fn next_after(&mut self, from: &A, uid: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(walk) = self.answered(from, uid).filter(|walk| walk.phase == Phase::Walking) else { return };
        walk.tried.push(from.clone());
        walk.asked = None;
        self.advance(uid, cx, out);
    }

    pub(super) fn on_rejected(&mut self, from: &A, uid: u64, reason: Reason, cx: &mut Context<'_>, out: &mut Out<A>) {
        let now = cx.now;
        let Some(walk) = self.answered(from, uid) else { return };
        match reason {
            Reason::Loop => walk.loops += 1,
            Reason::Overload => {
                if let Some(peer) = self.links.peer_mut(from) {
                    peer.back_off(now);
                }
            }
        }
        self.next_after(from, uid, cx, out);
    }

    pub(super) fn on_not_found(&mut self, from: &A, uid: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(walk) = self.answered(from, uid).filter(|walk| walk.phase == Phase::Walking) else { return };
        if walk.kind == Kind::Insert {
            return self.next_after(from, uid, cx, out);
        }
        self.miss(uid, Miss::NotFound, cx, out);
    }

    pub(super) fn on_recently_failed(&mut self, from: &A, uid: u64, seconds: u16, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(walk) = self.answered(from, uid).filter(|walk| walk.phase == Phase::Walking) else { return };
        if walk.kind != Kind::Request {
            return self.next_after(from, uid, cx, out);
        }
        self.miss(uid, Miss::RecentlyFailed(seconds), cx, out);
    }

    pub(super) fn on_route_not_found(&mut self, from: &A, uid: u64, left: u16, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(walk) = self.answered(from, uid) else { return };
        if walk.phase == Phase::Passing {
            // The path was there, and yet nobody on it has stored.
            return self.on_not_stored(uid, cx, out);
        }
        if walk.phase != Phase::Walking {
            return;
        }
        walk.htl = walk.htl.min(left);
        walk.failed = Some(from.clone());
        // Whoever has no hops-to-live left has ended the walk and would not know the data.
        if walk.kind == Kind::Insert && walk.fallback.is_none() && left > 0 {
            walk.fallback = Some(from.clone());
        }
        self.next_after(from, uid, cx, out);
    }

    pub(super) fn on_probed(&mut self, from: &A, uid: u64, left: u16, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.answered(from, uid).is_some_and(|walk| walk.kind == Kind::Probe) {
            self.on_met(uid, left, cx, out);
        }
    }

    /// A block has come back along the chain.
    pub(super) fn on_found(&mut self, from: &A, found: Found<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Found { uid, source, block } = found;
        let Some(walk) = self.answered(from, uid).filter(|walk| walk.phase == Phase::Walking && walk.kind != Kind::Probe) else {
            return out.note(Level::Drop, "unasked_block", Some(from.clone()), "");
        };
        if block.key != walk.key || !block.is_genuine() {
            self.strike(from, "forged_block", out);
            return self.next_after(from, uid, cx, out);
        }
        let kind = walk.kind;
        let Some(walk) = self.end(uid) else { return };
        if let Some(peer) = self.links.peer_mut(from) {
            peer.was_useful(cx.now);
        }
        let source = self.learn_source(&block.key, source.unwrap_or_else(|| from.clone()), kind == Kind::Request, cx, out);
        let passed_on = matches!(walk.whose, Whose::Peer(_) | Whose::Wanting);
        if self.config.0.stores_everywhere || (passed_on && walk.htl <= self.config.0.htl_max.saturating_sub(2)) {
            self.keep(&block, !self.config.0.stores_everywhere, None, out);
        }
        self.offer(&block.key, cx, out);
        self.give(uid, walk.whose, source, block, cx, out);
    }

    /// Remembers whom to ask for keys like this one; returns whom to name to the next.
    pub(super) fn learn_source(&mut self, key: &NodeKey, source: A, fold: bool, cx: &mut Context<'_>, out: &mut Out<A>) -> Option<A> {
        let mut named = source.clone();
        if self.may_know(&source) {
            self.table.learn(key.location(), source.clone());
            let wanted = self.config.0.peers_wanted;
            // Path folding: the first on the way that wants another neighbour takes the source for one, and stands in for it from there on.
            if fold && self.links.peer(&source).is_none() && self.links.len() < wanted && self.connect(&source, cx, out) {
                named = self.addr.clone()?;
            }
        }
        let (chance, of) = self.config.0.replace_source;
        if cx.dice.chance(chance, of) || !matches!(self.config.0.mode, super::Mode::Opennet) {
            return self.addr.clone();
        }
        Some(named)
    }

    /// Tells those who have asked for a key in vain that it is here.
    pub(super) fn offer(&mut self, key: &NodeKey, cx: &mut Context<'_>, out: &mut Out<A>) {
        if !self.store.holds(key) {
            return;
        }
        for addr in self.failures.found(key, cx.now) {
            if self.links.peer(&addr).is_some() {
                self.send(&addr, Message::Offer(Box::new(*key)), cx, out);
            }
        }
    }

    /// A neighbour has what we asked for in vain: it is fetched for those who asked us.
    pub(super) fn on_offer(&mut self, from: &A, key: NodeKey, cx: &mut Context<'_>, out: &mut Out<A>) {
        if !self.failures.knows(&key) || self.store.holds(&key) || self.is_overloaded(from) {
            return;
        }
        let uid = cx.dice.bits();
        self.seen.add(uid, self.config.0.seen_max);
        let walk = Walk {
            kind: Kind::Request,
            key,
            // Far from the most, so that it is kept; and nobody but who has offered it is asked.
            htl: 1,
            whose: Whose::Wanting,
            tried: Vec::new(),
            asked: Some(from.clone()),
            turn: 1,
            accepted: true,
            phase: Phase::Walking,
            fallback: None,
            block: None,
            kept: false,
            writing: 0,
            stored: false,
            loops: usize::MAX / 2,
            until: cx.now,
            failed: None,
        };
        self.walks.insert(uid, walk);
        self.takes(uid, Span::from_secs(20), cx, out);
        self.send(from, Message::Request(Box::new(Walking { uid, htl: 0, key })), cx, out);
    }

    pub(super) fn on_walk_timer(&mut self, uid: u64, turn: u16, cx: &mut Context<'_>, out: &mut Out<A>) {
        let now = cx.now;
        let Some(walk) = self.walks.get(&uid) else { return };
        if turn != WHOLE {
            let silent = walk.turn == turn && !walk.accepted && walk.phase == Phase::Walking;
            if let Some(asked) = walk.asked.clone().filter(|_| silent) {
                out.note(Level::Drop, "not_accepted", Some(asked.clone()), "");
                if let Some(peer) = self.links.peer_mut(&asked) {
                    peer.back_off(now);
                }
                self.next_after(&asked, uid, cx, out);
            }
            return;
        }
        if now < walk.until {
            // It has come to something else since.
            return;
        }
        match walk.phase {
            Phase::Walking => {
                out.note(Level::Drop, "walk_timed_out", walk.asked.clone(), "");
                if walk.kind == Kind::Insert
                    && let Whose::Peer(from) = walk.whose.clone()
                {
                    self.end(uid);
                    self.send(&from, Message::RouteNotFound(uid, 0), cx, out);
                    return;
                }
                self.miss(uid, Miss::TimedOut, cx, out);
            }
            Phase::Passing if matches!(walk.whose, Whose::Peer(_)) => self.on_not_stored(uid, cx, out),
            Phase::Passing => self.miss(uid, Miss::TimedOut, cx, out),
            Phase::Writing => self.on_disk_silent(uid, cx, out),
            Phase::Clear | Phase::Parked => {
                self.end(uid);
            }
        }
    }

    /// A neighbour is no more: whoever waits for it goes on, and what it wanted is not wanted any more.
    pub(super) fn on_peer_gone(&mut self, addr: &A, cx: &mut Context<'_>, out: &mut Out<A>) {
        let concerned = |walk: &Walk<A>| walk.asked.as_ref() == Some(addr) || walk.whose == Whose::Peer(addr.clone());
        let uids: Vec<u64> = self.walks.iter().filter(|(_, walk)| concerned(walk)).map(|(uid, _)| *uid).collect();
        for uid in uids {
            let Some(walk) = self.walks.get_mut(&uid) else { continue };
            if walk.whose == Whose::Peer(addr.clone()) {
                self.walks.remove(&uid);
                continue;
            }
            match walk.phase {
                Phase::Walking => self.next_after(addr, uid, cx, out),
                Phase::Clear | Phase::Parked => walk.asked = None,
                Phase::Passing => self.on_not_stored(uid, cx, out),
                Phase::Writing => {}
            }
        }
    }
}
