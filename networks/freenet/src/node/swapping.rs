//! Places in a network of friends (spec A5): links are given there, so that places are swapped until neighbours stand near each other (Sandberg 2006).
//! Both ends of a random walk show the hash of a bid, then the bid; whether they swap is decided by both alike.
//!
//! Liars can spoil places ("pitch black"). Two things bound what they do: whatever a neighbour asks for is counted, and once in a while a block
//! is inserted that is asked for later on: where it is not found, its place is likely to be one that nobody stands at any more, and we go there.

use bytes::Bytes;
use hexad_core::{Context, Level, Map, Span};

use super::rates::Rates;
use super::walks::{Kind, Whose};
use super::{Node, Out, Timer};
use crate::keys::{ClientChk, Location, NodeKey};
use crate::place::Place;
use crate::wire::{Bid, Message, NEIGHBOURS_MAX, Swap};

/// Steps of the random walk.
pub const SWAP_HTL: u16 = 10;
/// How long a swap may take.
const DEADLINE: Span = Span::from_secs(20);
/// Swaps that we pass on at a time.
const PASSED_MAX: usize = 256;
/// So many of one neighbour are heard within a minute.
const RATE_MAX: u16 = 240;
/// One in so many decisions has a place at random taken in place of either.
const RANDOM_OF: u64 = 16_000;

/// A swap of which we are an end.
#[derive(Clone, Debug)]
struct Ours<A> {
    uid: u64,
    /// Over whom the other end is spoken to.
    peer: A,
    /// We have begun it.
    is_begun: bool,
    bid: Bid,
    their_hash: Option<[u8; 32]>,
}

#[derive(Clone, Debug)]
struct Passed<A> {
    from: A,
    next: A,
}

/// All that is remembered of swaps.
#[derive(Clone, Debug)]
pub struct Swapping<A> {
    ours: Option<Ours<A>>,
    passed: Map<u64, Passed<A>>,
    rates: Rates<A>,
    is_going: bool,
    /// How often we have moved by a swap.
    swapped: u64,
    /// What was inserted to see whether it can be found; absent while there is nothing.
    trial: Option<NodeKey>,
    /// How often we have jumped since it could not.
    jumped: u64,
}

impl<A: Place> Default for Swapping<A> {
    fn default() -> Self {
        Self { ours: None, passed: Map::new(), rates: Rates::of(RATE_MAX), is_going: false, swapped: 0, trial: None, jumped: 0 }
    }
}

/// A product of distances, which may be far too small for a number.
struct Product {
    mantissa: f64,
    exponent: i64,
}

impl Product {
    /// Of the distances from `here` to all of them. Whoever stands just there is one of the two that swap, and stays as far as before.
    fn of(here: Location, neighbours: &[Location]) -> Self {
        let mut product = Self { mantissa: 1.0, exponent: 0 };
        for place in neighbours.iter().filter(|place| **place != here) {
            let distance = here.distance(*place);
            let bits = 64 - distance.leading_zeros();
            #[expect(clippy::cast_precision_loss, reason = "53 bits of a distance will do")]
            let mantissa = (distance << (64 - bits)) as f64 / 18_446_744_073_709_551_616.0;
            product.mantissa *= mantissa;
            product.exponent += i64::from(bits) - 64;
            // Between a half and one, so that nothing is lost.
            if product.mantissa < 0.5 {
                product.mantissa *= 2.0;
                product.exponent -= 1;
            }
        }
        product
    }

    /// This one over another, with ours: `self · more / (other · most)`.
    fn over(&self, more: &Self, other: &Self, most: &Self) -> f64 {
        let exponent = self.exponent + more.exponent - other.exponent - most.exponent;
        let mantissa = self.mantissa * more.mantissa / (other.mantissa * most.mantissa);
        mantissa * 2f64.powi(i32::try_from(exponent.clamp(-1000, 1000)).unwrap_or(0))
    }
}

/// Whether two who show these bids swap: both come to the same.
#[must_use]
pub fn decide(a: &Bid, b: &Bid) -> bool {
    let before = (Product::of(a.location, &a.neighbours), Product::of(b.location, &b.neighbours));
    let after = (Product::of(b.location, &a.neighbours), Product::of(a.location, &b.neighbours));
    let ratio = before.0.over(&before.1, &after.0, &after.1);
    let mut rolled = [0; 8];
    for (at, byte) in rolled.iter_mut().enumerate() {
        *byte = a.random[at] ^ b.random[at];
    }
    #[expect(clippy::cast_precision_loss, reason = "a chance")]
    let rolled = u64::from_be_bytes(rolled) as f64 / 18_446_744_073_709_551_616.0;
    ratio >= 1.0 || rolled < ratio
}

impl<A: Place> Node<A> {
    /// How often we have moved by a swap, and how often because a trial had failed.
    #[must_use]
    pub const fn moves(&self) -> (u64, u64) {
        (self.swapping.swapped, self.swapping.jumped)
    }

    fn swaps(&self) -> bool {
        self.is_darknet() && self.config.0.swap_every.is_some() && self.location.is_some()
    }

    /// Begins to swap, where places are swapped.
    pub(super) fn begin_swapping(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.swaps() && !std::mem::replace(&mut self.swapping.is_going, true) {
            self.wake_to_swap(cx, out);
            out.wake(cx.now + self.config.0.trial_every, Timer::Trial);
        }
    }

    fn wake_to_swap(&self, cx: &mut Context<'_>, out: &mut Out<A>) {
        // From half of the time to one and a half, so that nodes do not all swap at once.
        let Some(every) = self.config.0.swap_every else { return };
        out.wake(cx.now + every.mul_f64(0.5 + cx.dice.unit()), Timer::Swap);
    }

    pub(super) fn on_swap_timer(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.member.is_none() || !self.swaps() {
            self.swapping.is_going = false;
            return;
        }
        self.wake_to_swap(cx, out);
        if self.swapping.ours.is_some() {
            return;
        }
        let Some(peer) = self.random_neighbour(None, cx) else { return };
        let (uid, bid) = (cx.dice.bits(), self.bid(cx));
        self.seen.add(uid, self.config.0.seen_max);
        let request = Swap { uid, htl: SWAP_HTL, hash: bid.hash() };
        self.swapping.ours = Some(Ours { uid, peer: peer.clone(), is_begun: true, bid, their_hash: None });
        out.wake(cx.now + DEADLINE, Timer::SwapOver(uid));
        self.send(&peer, Message::SwapRequest(Box::new(request)), cx, out);
    }

    fn bid(&self, cx: &mut Context<'_>) -> Bid {
        let neighbours = self.links.open().filter_map(|(_, peer)| peer.location).take(NEIGHBOURS_MAX).collect();
        Bid { random: cx.dice.bytes(), location: self.location.unwrap_or_default(), neighbours }
    }

    /// Somebody would swap.
    pub(super) fn on_swap_request(&mut self, from: &A, swap: Swap, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Swap { uid, htl, hash } = swap;
        let may_ask = self.swapping.rates.may_ask(from, cx.now);
        if !may_ask {
            out.note(Level::Drop, "swap_flood", Some(from.clone()), "");
        }
        if !may_ask || !self.swaps() || !self.seen.add(uid, self.config.0.seen_max) || self.swapping.passed.len() >= PASSED_MAX {
            self.send(from, Message::SwapRejected(uid), cx, out);
            return;
        }
        let left = htl.min(SWAP_HTL).saturating_sub(1);
        let next = if left == 0 { None } else { self.random_neighbour(Some(from), cx) };
        if let Some(next) = next {
            self.swapping.passed.insert(uid, Passed { from: from.clone(), next: next.clone() });
            out.wake(cx.now + DEADLINE, Timer::SwapOver(uid));
            self.send(&next, Message::SwapRequest(Box::new(Swap { uid, htl: left, hash })), cx, out);
            return;
        }
        if self.swapping.ours.is_some() {
            // One at a time: what we bid must hold until it is decided.
            self.send(from, Message::SwapRejected(uid), cx, out);
            return;
        }
        let bid = self.bid(cx);
        let reply = Message::SwapReply(uid, Box::new(bid.hash()));
        self.swapping.ours = Some(Ours { uid, peer: from.clone(), is_begun: false, bid, their_hash: Some(hash) });
        out.wake(cx.now + DEADLINE, Timer::SwapOver(uid));
        self.send(from, reply, cx, out);
    }

    /// Whether somebody may say this of a swap of ours.
    fn is_ours(&self, from: &A, uid: u64, is_begun: bool) -> bool {
        self.swapping.ours.as_ref().is_some_and(|ours| ours.uid == uid && ours.peer == *from && ours.is_begun == is_begun)
    }

    /// Passes on what is said of a swap of others, back to whoever began it or on to its end; whether there is one.
    fn pass_swap(&mut self, from: &A, uid: u64, message: Message<A>, is_over: bool, cx: &mut Context<'_>, out: &mut Out<A>) -> bool {
        let Some(passed) = self.swapping.passed.get(&uid) else {
            out.note(Level::Drop, "unasked_swap", Some(from.clone()), "");
            return false;
        };
        let back = passed.next == *from;
        if !back && passed.from != *from {
            out.note(Level::Drop, "unasked_swap", Some(from.clone()), "");
            return false;
        }
        let to = if back { passed.from.clone() } else { passed.next.clone() };
        if is_over {
            self.swapping.passed.remove(&uid);
        }
        self.send(&to, message, cx, out)
    }

    pub(super) fn on_swap_reply(&mut self, from: &A, uid: u64, hash: Box<[u8; 32]>, cx: &mut Context<'_>, out: &mut Out<A>) {
        if !self.is_ours(from, uid, true) {
            self.pass_swap(from, uid, Message::SwapReply(uid, hash), false, cx, out);
            return;
        }
        let Some(ours) = self.swapping.ours.as_mut().filter(|ours| ours.their_hash.is_none()) else { return };
        ours.their_hash = Some(*hash);
        let commit = Message::SwapCommit(uid, Box::new(ours.bid.clone()));
        self.send(from, commit, cx, out);
    }

    pub(super) fn on_swap_commit(&mut self, from: &A, uid: u64, bid: Box<Bid>, cx: &mut Context<'_>, out: &mut Out<A>) {
        if !self.is_ours(from, uid, false) {
            self.pass_swap(from, uid, Message::SwapCommit(uid, bid), false, cx, out);
            return;
        }
        let Some(ours) = self.swapping.ours.take() else { return };
        if ours.their_hash != Some(bid.hash()) {
            return out.note(Level::Drop, "swap_broken", Some(from.clone()), "a bid is not what was committed to");
        }
        self.send(from, Message::SwapComplete(uid, Box::new(ours.bid.clone())), cx, out);
        self.settle_swap(&ours.bid, &bid, cx, out);
    }

    pub(super) fn on_swap_complete(&mut self, from: &A, uid: u64, bid: Box<Bid>, cx: &mut Context<'_>, out: &mut Out<A>) {
        if !self.is_ours(from, uid, true) {
            self.pass_swap(from, uid, Message::SwapComplete(uid, bid), true, cx, out);
            return;
        }
        let Some(ours) = self.swapping.ours.take() else { return };
        if ours.their_hash != Some(bid.hash()) {
            return out.note(Level::Drop, "swap_broken", Some(from.clone()), "a bid is not what was committed to");
        }
        self.settle_swap(&ours.bid, &bid, cx, out);
    }

    pub(super) fn on_swap_rejected(&mut self, from: &A, uid: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.is_ours(from, uid, true) {
            self.swapping.ours = None;
        } else {
            self.pass_swap(from, uid, Message::SwapRejected(uid), true, cx, out);
        }
    }

    pub(super) fn on_swap_over(&mut self, uid: u64) {
        self.swapping.passed.remove(&uid);
        self.swapping.ours.take_if(|ours| ours.uid == uid);
    }

    fn settle_swap(&mut self, mine: &Bid, theirs: &Bid, cx: &mut Context<'_>, out: &mut Out<A>) {
        if cx.dice.below(RANDOM_OF) == 0 {
            return self.move_to(Location(cx.dice.bits()), out);
        }
        // Whoever has moved since has bid what is no longer so.
        if self.location == Some(mine.location) && mine.location != theirs.location && decide(mine, theirs) {
            self.swapping.swapped += 1;
            self.move_to(theirs.location, out);
        }
    }

    fn move_to(&mut self, location: Location, out: &mut Out<A>) {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&location.0.to_be_bytes());
        self.take_place(id, out);
    }

    /// Inserts something, or looks whether what was inserted is still found.
    pub(super) fn on_trial_timer(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.member.is_none() || !self.swaps() {
            return;
        }
        out.wake(cx.now + self.config.0.trial_every, Timer::Trial);
        let htl = self.config.0.htl_max;
        if let Some(key) = self.swapping.trial {
            return self.begin(Kind::Request, key, htl, Whose::Trial, None, cx, out);
        }
        let bytes: [u8; 32] = cx.dice.bytes();
        if let Some((_, block)) = ClientChk::encode(&Bytes::copy_from_slice(&bytes), false) {
            self.swapping.trial = Some(block.key);
            self.begin(Kind::Insert, block.key, htl, Whose::Trial, Some(block), cx, out);
        }
    }

    /// What was inserted is found, or is not; then something else is tried. Half of those who miss something go where it would be.
    pub(super) fn on_trial(&mut self, outcome: &super::walks::Outcome, cx: &mut Context<'_>, out: &mut Out<A>) {
        use super::walks::{Miss, Outcome};
        match outcome {
            // It stands; it is looked for when the time has come.
            Outcome::Stored | Outcome::Hops(_) => {}
            Outcome::Block(_) => self.swapping.trial = None,
            Outcome::Missed(miss) => {
                let key = self.swapping.trial.take();
                // That nobody could answer says nothing of the place.
                let is_lost = matches!(miss, Miss::NotFound | Miss::RouteNotFound | Miss::RecentlyFailed(_));
                if let Some(key) = key.filter(|_| is_lost && self.swaps() && cx.dice.chance(1, 2)) {
                    self.swapping.jumped += 1;
                    out.note(Level::Info, "place_left", None, "a block of our own is not found any more: we go where it belongs");
                    self.move_to(key.location(), out);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bid(random: u8, location: u64, neighbours: &[u64]) -> Bid {
        Bid { random: [random; 32], location: Location(location), neighbours: neighbours.iter().copied().map(Location).collect() }
    }

    #[test]
    fn who_comes_nearer_to_his_neighbours_swaps_and_both_see_it_alike() {
        let (here, there) = (1 << 60, 9 << 60);
        let near_there = [there + 5, there + 9, there - 7];
        let near_here = [here + 5, here - 11];
        let (a, b) = (bid(0, here, &near_there), bid(255, there, &near_here));
        assert!(decide(&a, &b) && decide(&b, &a), "whatever the dice say");
        let (a, b) = (bid(0, there, &near_there), bid(255, here, &near_here));
        assert!(!decide(&a, &b) && !decide(&b, &a), "not for a chance of one in 10^80");
        // Dice that both have rolled alike make zero, which is below any chance.
        assert!(decide(&bid(7, there, &[there + (1 << 58)]), &bid(7, here, &[here + (1 << 58)])));
        // Neighbours of each other stay as far as they are.
        assert!(decide(&bid(9, here, &[there]), &bid(3, there, &[here])));
        assert!(decide(&bid(0, here, &[0; 64]), &bid(0, there, &[u64::MAX; 64])));
    }
}
