//! Whom a walk is handed to, and what they answer: steepest ascent with backtracking (F8–F10).

use hexad_core::{Context, Time};

use super::links::Peer;
use super::walks::{Kind, Miss, Phase, Walk, Whose};
use super::{Node, Out, Timer};
use crate::place::Place;
use crate::wire::{Message, Reason, Walking};

/// So many of the nearest entries that were learned say whom to ask.
const LEARNED: usize = 64;
impl<A: Place> Node<A> {
    /// Hands the walk to the best who has not had it.
    pub(super) fn advance(&mut self, uid: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
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
    pub(super) fn next_hop(&self, walk: &Walk<A>, now: Time) -> Option<A> {
        let from = if let Whose::Peer(from) = &walk.whose { Some(from) } else { None };
        let fits = |addr: &A| Some(addr) != from && self.addr.as_ref() != Some(addr) && !walk.tried.contains(addr);
        let key = walk.key.location();
        if self.config.0.dials_the_table {
            return self.table.nearest(key).map(|(_, addr)| addr).find(|addr| fits(addr)).cloned();
        }
        let place = |peer: &Peer<A>| peer.location.map_or(u64::MAX >> 1, |location| location.distance(key));
        // In the order of addresses, as links are.
        let mut open: Vec<(&A, &Peer<A>, u64)> =
            self.links.open().filter(|(addr, _)| fits(addr)).map(|(addr, peer)| (addr, peer, place(peer))).collect();
        // What was learned says of a neighbour what it is good for, beside the place where it stands.
        for (distance, addr) in self.table.nearest(key).take(if open.len() > 1 { LEARNED } else { 0 }) {
            if let Ok(at) = open.binary_search_by(|(other, ..)| (*other).cmp(addr)) {
                open[at].2 = open[at].2.min(distance);
            }
        }
        let avoided: Vec<&A> = self.failures.avoided(&walk.key, now).collect();
        let rank = |&(addr, peer, distance): &(&A, &Peer<A>, u64)| (peer.is_backed_off(now), avoided.contains(&addr), distance);
        open.iter().min_by_key(|link| rank(link)).map(|&(addr, ..)| addr.clone())
    }

    /// Hops-to-live have run out here.
    pub(super) fn at_end(&mut self, uid: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(walk) = self.walks.get_mut(&uid) else { return };
        walk.asked = None;
        if walk.kind == Kind::Insert {
            return self.clear(uid, cx, out);
        }
        self.miss(uid, Miss::NotFound, cx, out);
    }

    /// Nobody is left to be asked.
    pub(super) fn exhausted(&mut self, uid: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
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

    pub(super) fn on_accepted(&mut self, from: &A, uid: u64) {
        if let Some(walk) = self.answered(from, uid) {
            walk.accepted = true;
        }
    }

    /// Whoever was asked does not help.
    pub(super) fn next_after(&mut self, from: &A, uid: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
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
}
