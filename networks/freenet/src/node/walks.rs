//! Requests, probes and inserts on their way, bounded by hops-to-live (F8–F12). Whom they are handed to is told in `routing.rs`, what becomes of a
//! block that comes back in `sources.rs`, and of an insert once its path is found in `inserting.rs`.

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
    /// Ourselves, to see whether what we insert is found.
    Trial,
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
    pub(super) tried: Vec<A>,
    pub(super) asked: Option<A>,
    /// Counts whom it was handed to, so that a late clock is known for one.
    pub(super) turn: u16,
    pub(super) accepted: bool,
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
    pub(super) loops: usize,
    /// When what it is about at the moment has taken too long.
    pub(super) until: Time,
    /// Who failed last: by its rule hops-to-live count on.
    pub(super) failed: Option<A>,
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
        let is_refused = self.location.is_none() || self.is_overloaded(from);
        self.inquiries.count(kind, &key, is_refused);
        if is_refused {
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
    pub(super) fn is_overloaded(&self, from: &A) -> bool {
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
    pub(super) fn on_have(&mut self, uid: u64, block: Block, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(walk) = self.end(uid) else { return };
        let source = self.addr.clone();
        self.give(uid, walk.whose, source, block, cx, out);
    }

    pub(super) fn on_met(&mut self, uid: u64, left: u16, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(walk) = self.end(uid) else { return };
        match walk.whose {
            Whose::Peer(from) => {
                self.send(&from, Message::Probed(uid, left), cx, out);
            }
            ours => self.tell(ours, Outcome::Hops(walk.htl.saturating_sub(left))),
        }
    }

    /// Hands a block to whoever wanted it.
    pub(super) fn give(&mut self, uid: u64, whose: Whose<A>, source: Option<A>, block: Block, cx: &mut Context<'_>, out: &mut Out<A>) {
        match whose {
            Whose::Peer(from) => {
                self.send(&from, Message::Found(Box::new(Found { uid, source, block })), cx, out);
            }
            Whose::Wanting => {}
            ours => self.tell(ours, Outcome::Block(block)),
        }
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

    pub(super) fn on_probed(&mut self, from: &A, uid: u64, left: u16, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.answered(from, uid).is_some_and(|walk| walk.kind == Kind::Probe) {
            self.on_met(uid, left, cx, out);
        }
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
        self.on_inquirer_gone(addr, cx, out);
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
