//! Which way answers go: ids of messages and the connections that they came over, in bounded memory.
//!
//! Two generations: when the younger one is full or old enough, it takes the place of the older one, which is forgotten. A table of its own with
//! open addressing, since it is looked at for every message.

use hexad_core::{ConnId, Span, Time};

use crate::wire::Guid;

/// Where something came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The connection; 0 is ourselves.
    pub(crate) conn: ConnId,
    /// The hops to go with which it came, to tell a query that was sent again to reach further.
    pub(crate) ttl: u8,
    /// The hops that it had travelled.
    pub(crate) hops: u8,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    id: Guid,
    route: Route,
}

#[derive(Debug, Default)]
struct Generation {
    slots: Vec<Option<Slot>>,
    used: usize,
}

impl Generation {
    fn place(&self, id: &Guid, seed: u64) -> usize {
        let word = |from: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&id.0[from..from + 8]);
            u64::from_le_bytes(bytes)
        };
        // Strangers choose ids; without the seed they do not choose who collides.
        let mixed = (word(0) ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ word(8).rotate_left(29).wrapping_mul(seed | 1);
        let mixed = (mixed ^ mixed >> 32).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mask = self.slots.len() - 1;
        let mut at = usize::try_from(mixed >> 20).unwrap_or(0) & mask;
        while self.slots[at].as_ref().is_some_and(|slot| slot.id != *id) {
            at = (at + 1) & mask;
        }
        at
    }

    fn find(&mut self, id: &Guid, seed: u64) -> Option<&mut Route> {
        if self.slots.is_empty() {
            return None;
        }
        let at = self.place(id, seed);
        self.slots[at].as_mut().map(|slot| &mut slot.route)
    }

    fn insert(&mut self, id: Guid, route: Route, seed: u64) {
        if (self.used + 1) * 2 > self.slots.len() {
            let larger = vec![None; (self.slots.len() * 2).max(8)];
            for slot in std::mem::replace(&mut self.slots, larger).into_iter().flatten() {
                let at = self.place(&slot.id, seed);
                self.slots[at] = Some(slot);
            }
        }
        let at = self.place(&id, seed);
        self.used += usize::from(self.slots[at].is_none());
        self.slots[at] = Some(Slot { id, route });
    }
}

/// Ids and where they came from.
#[derive(Debug)]
pub(crate) struct Routes {
    young: Generation,
    old: Generation,
    began: Time,
    max: usize,
    life: Span,
    seed: u64,
}

impl Routes {
    /// At most `max` ids, half of them surely the latest; forgotten after once to twice `life`.
    pub(crate) fn new(max: usize, life: Span, seed: u64) -> Self {
        Self { young: Generation::default(), old: Generation::default(), began: Time::ZERO, max: max.max(2), life, seed }
    }

    pub(crate) fn len(&self) -> usize {
        self.young.used + self.old.used
    }

    /// The route of an id, to be changed where it is a query that reaches further.
    pub(crate) fn find(&mut self, id: &Guid) -> Option<&mut Route> {
        let seed = self.seed;
        match self.young.find(id, seed) {
            Some(route) => Some(route),
            None => self.old.find(id, seed),
        }
    }

    /// Remembers the way of an id.
    pub(crate) fn insert(&mut self, id: Guid, route: Route, now: Time) {
        if self.young.used * 2 >= self.max || (self.young.used > 0 && now.since(self.began) > self.life) {
            self.old = std::mem::take(&mut self.young);
        }
        if self.young.used == 0 {
            self.began = now;
        }
        self.young.insert(id, route, self.seed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hexad_core::Dice;

    fn route(number: u64) -> Route {
        Route { conn: ConnId(number), ttl: 3, hops: 1 }
    }

    #[test]
    fn what_is_put_in_is_found_until_it_is_old_and_memory_is_bounded() {
        let mut dice = Dice::counter(1, 1);
        let mut routes = Routes::new(1000, Span::from_secs(10), 7);
        let ids: Vec<Guid> = (0..5000).map(|_| Guid::fresh(&mut dice)).collect();
        for (number, id) in ids.iter().enumerate() {
            routes.insert(*id, route(number as u64), Time::ZERO);
            assert!(routes.len() <= 1000);
            let oldest = number.saturating_sub(498);
            assert_eq!(routes.find(&ids[oldest]).map(|route| *route), Some(route(oldest as u64)), "the latest half is surely there");
        }
        assert!(routes.find(&ids[0]).is_none());
        for late in 1..4 {
            routes.insert(Guid([late; 16]), route(1), Time::from_micros(u64::from(late) * 11_000_000));
        }
        assert!(routes.find(&ids[4999]).is_none(), "two lives later");
    }
}
