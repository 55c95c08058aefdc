//! What is known of some hosts: like a map, but where the memory is read of few entries only, wherever they lie.

use super::contacts::Spot;

/// Values by the address that they belong to, in no order. For some hundreds.
#[derive(Debug)]
pub(super) struct Hosts<V> {
    /// What the addresses hash to: beside each other, so that all are looked through at once.
    hashes: Vec<u32>,
    entries: Vec<(Spot, V)>,
}

impl<V> Hosts<V> {
    pub const fn new() -> Self {
        Self { hashes: Vec::new(), entries: Vec::new() }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn get_mut(&mut self, spot: Spot) -> Option<&mut V> {
        let hash = spot.hash();
        // Nobody, often; and without a way out the loop takes many at a time.
        if self.hashes.iter().fold(true, |all, &other| all & (other != hash)) {
            return None;
        }
        let hashes = self.hashes.iter().zip(&mut self.entries);
        hashes.filter(|(other, _)| **other == hash).map(|(_, entry)| entry).find(|(other, _)| *other == spot).map(|(_, value)| value)
    }

    /// Of an address of which nothing is known.
    pub fn insert(&mut self, spot: Spot, value: V) {
        self.hashes.push(spot.hash());
        self.entries.push((spot, value));
    }

    /// Forgets the others, and gives back room that is not needed.
    pub fn retain(&mut self, mut stays: impl FnMut(Spot, &V) -> bool) {
        let mut at = 0;
        while at < self.entries.len() {
            let (spot, value) = &self.entries[at];
            if stays(*spot, value) {
                at += 1;
            } else {
                self.hashes.swap_remove(at);
                self.entries.swap_remove(at);
            }
        }
        if self.entries.capacity() > 4 * self.entries.len() {
            self.hashes.shrink_to(2 * self.entries.len());
            self.entries.shrink_to(2 * self.entries.len());
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (Spot, &V)> {
        self.entries.iter().map(|(spot, value)| (*spot, value))
    }

    /// Reads it, see [`super::Dht::warm`].
    pub fn warm(&self) -> usize {
        self.hashes.iter().step_by(16).fold(0, |sum, &hash| sum ^ hash as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hexad_core::{Dice, Map};

    #[test]
    fn it_is_a_map_without_an_order() {
        let mut dice = Dice::counter(9, 1);
        let (mut hosts, mut map) = (Hosts::new(), Map::new());
        let spot = |n: u64| Spot::of(([192, 0, 2, n as u8 / 4], n as u16 % 4).into());
        for turn in 0..10_000_u64 {
            let at = spot(dice.below(400));
            match hosts.get_mut(at) {
                Some(known) => *known += turn,
                None => hosts.insert(at, turn),
            }
            map.entry(at).and_modify(|known| *known += turn).or_insert(turn);
            assert_eq!(hosts.get_mut(at), map.get_mut(&at));
            if dice.chance(1, 100) {
                hosts.retain(|_, value| value % 3 > 0);
                map.retain(|_, value| *value % 3 > 0);
            }
            assert_eq!(hosts.len(), map.len());
        }
        assert_eq!(hosts.iter().collect::<Map<_, _>>(), map.iter().map(|(spot, value)| (*spot, value)).collect());
    }
}
