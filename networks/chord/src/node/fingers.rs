//! The finger table (C9): filled at a join, looked at in turn. A wrong finger costs time and never an answer.

use hexad_core::{Context, Span};

use super::lookups::Purpose;
use super::queries::About;
use super::{Found, Node, Out, Rules, Stage, Table};
use crate::id::{RingId, between, owns};
use crate::place::{Contact as _, Place};
use crate::wire::Body;

/// How many steps back a finger is followed before it is looked up.
const TURNS_MAX: u8 = 4;

impl<A: Place> Node<A> {
    /// Stabilisation has come round: looks at the next fingers in turn, if it is time.
    pub(super) fn look_at_fingers(&mut self, vnode: u8, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.config.0.table != Table::Fingers || self.config.0.fingers_each == 0 {
            return;
        }
        if !self.ring_mut(vnode).is_some_and(|ring| ring.pace.is_due()) {
            return;
        }
        for _ in 0..self.config.0.fingers_each {
            let Some(ring) = self.ring_mut(vnode).filter(|ring| !ring.nursery && ring.stage == Stage::Member) else { return };
            let Some(bit) = next_bit(ring) else { return };
            self.look_up_finger(vnode, bit, cx, out);
        }
    }

    /// Looks up every finger that is not the first successor.
    pub(super) fn look_up_all_fingers(&mut self, vnode: u8, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(ring) = self.ring(vnode).filter(|ring| !ring.nursery) else { return };
        for bit in ring.lowest_bit()..A::Id::BITS {
            self.look_up_finger(vnode, bit, cx, out);
        }
    }

    fn look_up_finger(&mut self, vnode: u8, bit: u8, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(ring) = self.ring(vnode) else { return };
        let start = ring.id().plus_power(bit);
        if let Some(listed) = ring.holders(start, usize::MAX).first().cloned() {
            return self.take_finger(vnode, bit, &listed, out);
        }
        if let Some(finger) = ring.finger(bit).cloned().filter(|finger| !self.is_gone(finger)) {
            // Whoever stands there knows best whether somebody else should.
            return self.ask(vnode, &finger, About::Finger { vnode, bit, turns: 0 }, Body::GetState, cx, out);
        }
        self.start_lookup(Purpose::Finger(vnode, bit), start.to_key(), Vec::new(), cx, out);
    }

    /// A finger has told who precedes it.
    pub(super) fn on_finger_end(
        &mut self,
        (vnode, bit, turns): (u8, u8, u8),
        to: &A::Contact,
        body: Option<Body<A>>,
        cx: &mut Context<'_>,
        out: &mut Out<A>,
    ) {
        let proximity = self.config.0.proximity;
        let gone = matches!(&body, Some(Body::State(Some(prdc), _)) if self.is_gone(prdc));
        let Some(ring) = self.ring_mut(vnode) else { return };
        let start = ring.id().plus_power(bit);
        match body {
            Some(Body::State(Some(prdc), list)) if prdc == ring.me || owns(prdc.id(), start, to.id()) => {
                if proximity > 1 {
                    return self.choose_near(vnode, bit, to, &list, cx, out);
                }
                self.take_finger(vnode, bit, to, out);
            }
            Some(Body::State(..)) if proximity > 1 => {
                // With proximity anybody in the arc is right.
            }
            // Somebody stands between the start and it: mostly the finger is only a step or two further back.
            Some(Body::State(Some(prdc), _)) if turns < TURNS_MAX && !gone => {
                let turns = turns + 1;
                self.ask(vnode, &prdc, About::Finger { vnode, bit, turns }, Body::GetState, cx, out);
            }
            Some(Body::State(..)) => self.start_lookup(Purpose::Finger(vnode, bit), start.to_key(), Vec::new(), cx, out),
            Some(_) => {}
            None => {
                ring.fingers.retain(|finger| finger != to);
                ring.pace.hurry();
                self.start_lookup(Purpose::Finger(vnode, bit), start.to_key(), Vec::new(), cx, out);
            }
        }
    }

    /// The first node at or behind a finger's start is found.
    pub(super) fn on_finger_found(&mut self, vnode: u8, bit: u8, found: Option<Found<A>>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(found) = found else { return };
        if self.config.0.proximity > 1 {
            return self.choose_near(vnode, bit, &found.owner, &found.following, cx, out);
        }
        self.take_finger(vnode, bit, &found.owner, out);
    }

    /// Somebody stands where a finger should: it is one, unless the table has as many of its network as it may have.
    fn take_finger(&mut self, vnode: u8, bit: u8, found: &A::Contact, out: &mut Out<A>) {
        let crowded = self.is_crowded(vnode, found);
        let Some(ring) = self.ring_mut(vnode) else { return };
        if crowded {
            ring.fingers.retain(|finger| finger != found);
            return out.note(hexad_core::Level::Debug, "finger_too_near_its_kin", Some(found.addr()), "");
        }
        let right = ring.set_finger(bit, found);
        ring.looked_at_finger(right);
    }

    /// Measures the first nodes of an arc: any of them may be the finger, and the nearest by round trip will be.
    fn choose_near(&mut self, vnode: u8, bit: u8, first: &A::Contact, following: &[A::Contact], cx: &mut Context<'_>, out: &mut Out<A>) {
        let wanted = usize::from(self.config.0.proximity);
        let Some(ring) = self.ring(vnode) else { return };
        let here: Vec<A::Contact> = std::iter::once(first)
            .chain(following)
            .filter(|contact| ring.distance(contact).high_bit() == i16::from(bit) && !self.is_crowded(vnode, contact))
            .take(wanted)
            .cloned()
            .collect();
        match &here[..] {
            [] => return self.take_finger(vnode, bit, first, out),
            [only] => {
                if let Some(ring) = self.ring_mut(vnode) {
                    let right = ring.set_near_finger(bit, only);
                    ring.looked_at_finger(right);
                }
                return;
            }
            _ => {}
        }
        self.busy().nearest.insert((vnode, bit), (u64::MAX, first.clone()));
        for contact in here {
            self.ask(vnode, &contact, About::Near { vnode, bit }, Body::Ping, cx, out);
        }
    }

    /// One of the nodes of an arc has answered after so long; the last of them decides.
    pub(super) fn on_near_end(&mut self, vnode: u8, bit: u8, to: &A::Contact, after: Option<Span>, _: &mut Out<A>) {
        let busy = self.busy();
        let micros = after.map_or(u64::MAX, |after| u64::try_from(after.as_micros()).unwrap_or(u64::MAX));
        if let Some(best) = busy.nearest.get_mut(&(vnode, bit))
            && micros < best.0
        {
            *best = (micros, to.clone());
        }
        let waiting = busy.queries.values().any(|query| query.about == About::Near { vnode, bit });
        if !waiting
            && let Some((micros, best)) = busy.nearest.remove(&(vnode, bit))
            && micros < u64::MAX
            && let Some(ring) = self.ring_mut(vnode)
        {
            let right = ring.set_near_finger(bit, &best);
            ring.looked_at_finger(right);
        }
    }

    /// A newcomer asks its successor for its table, most of which is right for both.
    pub(super) fn copy_table(&mut self, vnode: u8, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.config.0.table != Table::Fingers {
            return;
        }
        let Some(head) = self.ring(vnode).filter(|ring| !ring.nursery).and_then(|ring| ring.succ.first()).cloned() else { return };
        self.ask(vnode, &head, About::CopyTable { vnode }, Body::GetFingers, cx, out);
    }

    /// The successor's table has come: each entry is taken for what it may be, and then looked at.
    pub(super) fn on_table(&mut self, vnode: u8, body: Option<Body<A>>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(Body::Fingers(theirs)) = body else { return };
        let Some(ring) = self.ring(vnode) else { return };
        let mut known: Vec<A::Contact> = Vec::new();
        for contact in theirs.iter().filter(|contact| **contact != ring.me) {
            super::ring::insert_sorted::<A>(&ring.me, &mut known, contact);
        }
        let mut bits = Vec::new();
        for bit in ring.lowest_bit()..A::Id::BITS {
            let Some(ring) = self.ring(vnode) else { return };
            let span = ring.id().distance(ring.id().plus_power(bit));
            let at = known.partition_point(|contact| ring.distance(contact) < span);
            let candidate = known.get(at).cloned();
            let listed = ring.holders(ring.id().plus_power(bit), usize::MAX).first().cloned();
            match listed.or(candidate) {
                // One question for each distinct entry tells whether it is right for the lowest bit that has it.
                Some(found) if ring.fingers.last() != Some(&found) => {
                    self.take_finger(vnode, bit, &found, out);
                    bits.push(bit);
                }
                Some(_) => {}
                None => bits.push(bit),
            }
        }
        for bit in bits {
            self.look_up_finger(vnode, bit, cx, out);
        }
    }

    /// The join of 2001: those that ought to have us as a finger are told so, one lookup for each power of two (C12).
    pub(super) fn update_others(&mut self, vnode: u8, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(ring) = self.ring(vnode) else { return };
        let (me, head, prdc) = (ring.me.clone(), ring.succ.first().cloned(), ring.prdc.clone());
        let bits = ring.lowest_bit()..A::Id::BITS;
        if let Some(head) = head {
            self.tell(vnode, &head, Body::Notify, cx, out);
        }
        if let Some(prdc) = prdc {
            self.tell(vnode, &prdc, Body::SetFinger(0, me.clone()), cx, out);
        }
        for bit in bits {
            // The last node before n - 2^i: the predecessor of whoever owns the place behind it.
            let behind = RingIdExt::minus_power(me.id(), bit);
            self.start_lookup(Purpose::Others(vnode, bit), behind.to_key(), Vec::new(), cx, out);
        }
    }

    /// The owner of n - 2^i is found, whose predecessor is the last node before it.
    pub(super) fn on_others_found(&mut self, vnode: u8, bit: u8, found: Option<Found<A>>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let (Some(found), Some(ring)) = (found, self.ring(vnode)) else { return };
        let me = ring.me.clone();
        // It stands exactly there, or passes the word on to who precedes it.
        if found.owner != me {
            self.tell(vnode, &found.owner, Body::SetFinger(bit, me), cx, out);
        }
    }

    /// Somebody has joined that may be our finger; if it is, it may be our predecessor's as well.
    pub(super) fn on_set_finger(&mut self, vnode: u8, bit: u8, contact: &A::Contact, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.config.0.rules != Rules::UpdateOthers {
            return out.note(hexad_core::Level::Drop, "finger_set_by_another", Some(contact.addr()), "");
        }
        let length = self.config.0.successors;
        let Some(ring) = self.ring_mut(vnode).filter(|ring| bit < A::Id::BITS && *contact != ring.me) else { return };
        if bit == 0 {
            if ring.succ.first().is_none_or(|head| between(ring.id(), contact.id(), head.id())) {
                super::ring::insert_sorted::<A>(&ring.me, &mut ring.succ, contact);
                ring.succ.truncate(length);
            }
            return;
        }
        let start = ring.id().plus_power(bit);
        let span = ring.id().distance(start);
        let reaches = ring.distance(contact) >= span;
        let better = ring.finger(bit).is_none_or(|finger| ring.distance(contact) < ring.distance(finger));
        if reaches && better {
            ring.set_finger(bit, contact);
        }
        // The owner of n - 2^i itself may stand behind it; then it only passes the word on.
        if (!reaches || better)
            && let Some(prdc) = ring.prdc.clone()
            && prdc != *contact
        {
            self.tell(vnode, &prdc, Body::SetFinger(bit, contact.clone()), cx, out);
        }
    }

    /// Remembers whoever is heard of, where everybody is to be known.
    pub(super) fn learn(&mut self, contact: &A::Contact) {
        let Table::Everybody(max) = self.config.0.table else { return };
        for ring in &mut *self.rings {
            if *contact != ring.me && ring.succ.first() != Some(contact) && ring.fingers.len() < max {
                super::ring::insert_sorted::<A>(&ring.me, &mut ring.fingers, contact);
            }
        }
    }

    /// Whether a table has as many nodes of one network as one may have (eclipse).
    pub(super) fn is_crowded(&self, vnode: u8, contact: &A::Contact) -> bool {
        let max = self.config.0.per_neighbourhood_max;
        let (true, Some(net), Some(ring)) = (max > 0, contact.addr().neighbourhood(), self.ring(vnode)) else { return false };
        let kin = |other: &&A::Contact| *other != contact && other.addr().neighbourhood() == Some(net);
        ring.fingers.iter().filter(kin).count() >= max
    }
}

/// Which finger is to be looked at next, from the farthest to the nearest.
fn next_bit<A: Place>(ring: &mut super::Ring<A>) -> Option<u8> {
    let lowest = ring.lowest_bit();
    if lowest >= A::Id::BITS {
        return None;
    }
    let bit = if ring.next_bit <= lowest || ring.next_bit > A::Id::BITS { A::Id::BITS } else { ring.next_bit } - 1;
    ring.next_bit = bit;
    Some(bit)
}

/// Subtraction, which only the join of 2001 needs.
trait RingIdExt: RingId {
    fn minus_power(self, bit: u8) -> Self;
}

impl<I: RingId> RingIdExt for I {
    fn minus_power(self, bit: u8) -> Self {
        // Going 2^bit back is going the whole ring less 2^bit on: all powers from bit upwards add up to that.
        (bit..I::BITS).fold(self, RingId::plus_power)
    }
}
