//! What a node remembers only while something is under way. An idle node of a quiet ring has none of it.

use std::ops::{Deref, DerefMut};

use hexad_core::{ConnId, Map, OpId, Set, Time};

use super::detector::Detector;
use super::errands::Errand;
use super::fetching::Fetch;
use super::lookups::Lookup;
use super::publishing::Publishing;
use super::queries::Query;
use super::replicas::Write;
use super::roads::Roads;
use super::searching::Search;
use super::serving::Upload;
use super::slots::Slots;
use super::store::Store;
use crate::place::Place;
use crate::wire::Message;

/// A join that is not yet in effect, or the membership that came of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Joining<A> {
    /// Who wanted it.
    pub op: OpId,
    /// Where to begin.
    pub bootstrap: Vec<A>,
    /// Which of these is asked.
    pub at: usize,
    /// Whether it was reported done.
    pub done: bool,
    /// When to give up, while it is not.
    pub deadline: Time,
}

/// Everything that is under way: first what every node of a quiet ring has now and then, small enough for a million of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Busy<A: Place> {
    pub(super) queries: Slots<Query<A>>,
    pub(super) lookups: Slots<Lookup<A>>,
    /// When it is looked next what has lasted too long: one wake for all of it.
    pub(super) patience_at: Option<Time>,
    /// Of what was asked since it was last seen to that there is a wake: by when it is to be looked at the latest, and the last deadline.
    pub(super) asked: Option<(Time, Time)>,
    /// The first of other deadlines since then.
    pub(super) due: Option<Time>,
    pub(super) detector: Detector<A>,
    /// So long it is known that whoever was gone and is back is in our ring.
    pub(super) one_ring_until: Time,
    /// What we say to ourselves.
    pub(super) loopback: Vec<Message<A>>,
    /// Reads as if it were here, see `Deref`.
    seldom: Option<Box<Seldom<A>>>,
}

/// What few nodes have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seldom<A: Place> {
    pub(super) joining: Option<Joining<A>>,
    pub(super) errands: Map<u32, Errand<A>>,
    pub(super) writes: Map<u32, Write<A>>,
    pub(super) store: Store<A>,
    pub(super) publishings: Map<OpId, Publishing>,
    /// Publications that wait for others to be done with their puts.
    pub(super) waiting: Set<OpId>,
    pub(super) searches: Map<OpId, Search<A>>,
    pub(super) fetches: Map<OpId, Fetch<A>>,
    pub(super) uploads: Map<ConnId, Upload>,
    pub(super) roads: Roads<A>,
    /// The nearest so far of the nodes that may be a finger: virtual node and bit → round trip in microseconds, who.
    pub(super) nearest: Map<(u8, u8), (u64, A::Contact)>,
    /// We are leaving: who wants to know, and when it is over at the latest.
    pub(super) leaving: Option<(OpId, Time)>,
    /// A repair of the copies is asked for, at that time.
    pub(super) repair_at: Option<Time>,
    /// When copies were last compared.
    pub(super) repaired: Time,
}

impl<A: Place> Seldom<A> {
    const NOTHING: Self = Self {
        joining: None,
        errands: Map::new(),
        writes: Map::new(),
        store: Store::NOTHING,
        publishings: Map::new(),
        waiting: Set::new(),
        searches: Map::new(),
        fetches: Map::new(),
        uploads: Map::new(),
        roads: Roads::NOTHING,
        nearest: Map::new(),
        leaving: None,
        repair_at: None,
        repaired: Time::ZERO,
    };

    fn is_idle(&self) -> bool {
        self.errands.is_empty()
            && self.writes.is_empty()
            && self.nearest.is_empty()
            && self.joining.is_none()
            && self.leaving.is_none()
            && self.repair_at.is_none()
            && self.store.is_empty()
            && self.publishings.is_empty()
            && self.searches.is_empty()
            && self.fetches.is_empty()
            && self.uploads.is_empty()
            && self.roads.is_empty()
    }
}

impl<A: Place> Default for Busy<A> {
    fn default() -> Self {
        Self {
            queries: Slots::default(),
            lookups: Slots::default(),
            patience_at: None,
            asked: None,
            due: None,
            detector: Detector::NOTHING,
            one_ring_until: Time::ZERO,
            loopback: Vec::new(),
            seldom: None,
        }
    }
}

impl<A: Place> Deref for Busy<A> {
    type Target = Seldom<A>;

    fn deref(&self) -> &Seldom<A> {
        match &self.seldom {
            Some(seldom) => seldom,
            None => const { &Seldom::NOTHING },
        }
    }
}

impl<A: Place> DerefMut for Busy<A> {
    fn deref_mut(&mut self) -> &mut Seldom<A> {
        self.seldom.get_or_insert_with(|| Box::new(Seldom::NOTHING))
    }
}

impl<A: Place> Busy<A> {
    /// Whether nothing is left to be remembered.
    pub(super) fn is_idle(&self) -> bool {
        self.queries.is_empty()
            && self.lookups.is_empty()
            && self.detector.is_empty()
            && self.seldom.as_ref().is_none_or(|seldom| seldom.is_idle())
    }

    /// What few nodes have, if this is one of them.
    pub(super) fn seldom(&mut self) -> Option<&mut Seldom<A>> {
        self.seldom.as_deref_mut()
    }

    /// Gives back the room for what few nodes have, where there is nothing in it.
    pub(super) fn tidy(&mut self) {
        if self.seldom.as_ref().is_some_and(|seldom| seldom.repaired == Time::ZERO && seldom.is_idle()) {
            self.seldom = None;
        }
    }

    /// Reads it, see `hexad_core::Node::warm`.
    pub(super) fn warm(&self) -> usize {
        usize::from(self.seldom.is_some()).wrapping_add(self.queries.warm()).wrapping_add(self.lookups.warm())
    }

    /// Reads what is behind its pointers.
    pub(super) fn warm_deeper(&self) -> usize {
        let queries = self.queries.values().map(|query| usize::from(query.tries)).sum::<usize>();
        queries.wrapping_add(self.detector.warm()).wrapping_add(self.lookups.values().map(Lookup::warm).sum::<usize>())
    }

    /// A number that no question, lookup or errand has. From dice, so that nobody can answer what he was not asked.
    pub(super) fn fresh(&self, dice: &mut hexad_core::Dice) -> u32 {
        loop {
            let number = u32::try_from(dice.bits() >> 32).unwrap_or(0);
            let taken = self.queries.contains_key(&number)
                || self.lookups.contains_key(&number)
                || self.seldom.as_ref().is_some_and(|seldom| seldom.errands.contains_key(&number) || seldom.writes.contains_key(&number));
            if !taken {
                return number;
            }
        }
    }
}
