//! The peers of one torrent and one address family, in as few bytes as they take: 10 for IPv4, 22 for IPv6, and what the leaves leave empty.
//!
//! Sorted leaves under a flat directory: an insertion moves at most one leaf, and any peer can be drawn at random.

use hexad_core::Dice;

/// Entries in a leaf before it is split.
const LEAF_MAX: usize = 256;
/// Leaves grow by this many entries at a time, as doubling would leave half of them empty.
const LEAF_GROWTH: usize = 16;
/// Draws for each wanted peer before we are content with fewer.
const DRAWS: usize = 4;

/// One peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<const N: usize> {
    pub ip: [u8; N],
    pub port: u16,
    /// When it was last heard, in ticks of the tracker, wrapping.
    pub seen: u16,
    pub seed: bool,
}

impl<const N: usize> Entry<N> {
    fn key(&self) -> ([u8; N], u16) {
        (self.ip, self.port)
    }
}

/// Peers of one torrent and one family, each address and port once.
#[derive(Debug, Default)]
pub(super) struct Peers<const N: usize> {
    /// Sorted, none empty, and sorted inside.
    leaves: Vec<Vec<Entry<N>>>,
    len: u32,
}

impl<const N: usize> Peers<N> {
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// How many leaves there are: the unit in which [`Self::sweep`] counts.
    pub fn leaves(&self) -> usize {
        self.leaves.len()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        let entries: usize = self.leaves.iter().map(|leaf| leaf.capacity() * size_of::<Entry<N>>()).sum();
        entries + self.leaves.capacity() * size_of::<Vec<Entry<N>>>()
    }

    /// Puts a peer in, or in place of what was known of it; returns that.
    pub fn put(&mut self, entry: Entry<N>) -> Option<Entry<N>> {
        let leaf = self.leaf_of(&entry.key());
        let Some(entries) = self.leaves.get_mut(leaf) else {
            self.leaves.push(vec![entry]);
            self.len += 1;
            return None;
        };
        match entries.binary_search_by_key(&entry.key(), Entry::key) {
            Ok(at) => Some(std::mem::replace(&mut entries[at], entry)),
            Err(at) => {
                if entries.len() == entries.capacity() {
                    entries.reserve_exact(if entries.len() < LEAF_GROWTH { 2 } else { LEAF_GROWTH });
                }
                entries.insert(at, entry);
                self.len += 1;
                if entries.len() >= LEAF_MAX {
                    let upper = entries[LEAF_MAX / 2..].to_vec();
                    entries.truncate(LEAF_MAX / 2);
                    entries.shrink_to_fit();
                    self.leaves.insert(leaf + 1, upper);
                }
                None
            }
        }
    }

    /// Takes a peer out.
    pub fn remove(&mut self, ip: [u8; N], port: u16) -> Option<Entry<N>> {
        let leaf = self.leaf_of(&(ip, port));
        let entries = self.leaves.get_mut(leaf)?;
        let at = entries.binary_search_by_key(&(ip, port), Entry::key).ok()?;
        let entry = entries.remove(at);
        self.len -= 1;
        if entries.is_empty() {
            self.leaves.remove(leaf);
        }
        Some(entry)
    }

    /// What is known of a peer.
    #[cfg(test)]
    pub fn get(&self, ip: [u8; N], port: u16) -> Option<&Entry<N>> {
        let entries = self.leaves.get(self.leaf_of(&(ip, port)))?;
        entries.binary_search_by_key(&(ip, port), Entry::key).ok().map(|at| &entries[at])
    }

    /// Goes over up to `leaves` leaves from number `from` on and drops what `keep` does not want to keep. Returns where to go on, `None` at the end.
    pub fn sweep(&mut self, from: usize, leaves: usize, mut keep: impl FnMut(&Entry<N>) -> bool) -> Option<usize> {
        let mut at = from;
        for _ in 0..leaves {
            let entries = self.leaves.get_mut(at)?;
            let before = entries.len();
            entries.retain(&mut keep);
            let dropped = before - entries.len();
            self.len -= u32::try_from(dropped).unwrap_or(0);
            if entries.is_empty() {
                self.leaves.remove(at);
                continue;
            }
            if entries.capacity() - entries.len() > LEAF_MAX / 2 {
                entries.shrink_to_fit();
            }
            // Two thin neighbours become one leaf, or a torrent whose peers come and go would end with leaves of one.
            if at > from && self.leaves[at - 1].len() + self.leaves[at].len() < LEAF_MAX / 2 {
                let thin = self.leaves.remove(at);
                self.leaves[at - 1].extend(thin);
                continue;
            }
            at += 1;
        }
        (at < self.leaves.len()).then_some(at)
    }

    /// All peers.
    pub fn iter(&self) -> impl Iterator<Item = &Entry<N>> {
        self.leaves.iter().flatten()
    }

    /// Up to `wanted` different peers that are `fit`, drawn at random.
    ///
    /// Out of many peers each draw takes a random leaf and a random entry of it. Leaves differ in size by a factor of two at most, save for the
    /// thin ones that expiry leaves behind for a while, so no peer is drawn much more often than another.
    pub fn draw(&self, wanted: usize, dice: &mut Dice, mut fit: impl FnMut(&Entry<N>) -> bool) -> Vec<Entry<N>> {
        if self.len() <= wanted.saturating_mul(2) {
            let mut all: Vec<Entry<N>> = self.iter().copied().filter(|entry| fit(entry)).collect();
            dice.shuffle(&mut all);
            all.truncate(wanted);
            return all;
        }
        let mut drawn: Vec<(usize, usize)> = Vec::with_capacity(wanted);
        for _ in 0..wanted.saturating_mul(DRAWS) {
            if drawn.len() >= wanted {
                break;
            }
            let Some(leaf) = dice.index(self.leaves.len()) else { break };
            let Some(at) = dice.index(self.leaves[leaf].len()) else { break };
            if let Err(place) = drawn.binary_search(&(leaf, at))
                && fit(&self.leaves[leaf][at])
            {
                drawn.insert(place, (leaf, at));
            }
        }
        drawn.into_iter().map(|(leaf, at)| self.leaves[leaf][at]).collect()
    }

    /// The index of the leaf in which `key` is, or into which it goes.
    fn leaf_of(&self, key: &([u8; N], u16)) -> usize {
        self.leaves.partition_point(|leaf| leaf.first().is_some_and(|first| first.key() <= *key)).saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hexad_core::{Map, Set};

    fn entry(n: u32, seed: bool) -> Entry<4> {
        Entry { ip: (n / 3).to_be_bytes(), port: u16::try_from(n % 3 + 1).unwrap(), seen: 0, seed }
    }

    #[test]
    fn peers_come_and_go_as_in_a_map() {
        let mut dice = Dice::counter(7, 0);
        let mut peers = Peers::<4>::default();
        let mut model = Map::new();
        for _ in 0..30_000 {
            let peer = entry(u32::try_from(dice.below(5000)).unwrap(), dice.chance(1, 2));
            if dice.chance(2, 3) {
                assert_eq!(peers.put(peer), model.insert(peer.key(), peer));
            } else {
                assert_eq!(peers.remove(peer.ip, peer.port), model.remove(&peer.key()));
            }
        }
        assert_eq!(peers.len(), model.len());
        assert!(peers.iter().copied().eq(model.values().copied()));
        let mut at = Some(0);
        while let Some(from) = at {
            at = peers.sweep(from, 3, |peer| peer.seed);
        }
        model.retain(|_, peer| peer.seed);
        assert_eq!(peers.len(), model.len());
        assert!(peers.iter().copied().eq(model.values().copied()));
        assert!(model.values().all(|peer| peers.get(peer.ip, peer.port) == Some(peer)));
    }

    #[test]
    fn a_draw_gives_different_peers_and_all_get_their_turn() {
        let mut dice = Dice::counter(8, 0);
        let mut peers = Peers::<4>::default();
        for n in 0..2000 {
            peers.put(entry(n, n % 2 == 0));
        }
        let mut seen = Set::new();
        for _ in 0..400 {
            let drawn = peers.draw(50, &mut dice, |peer| !peer.seed);
            assert!(drawn.len() > 40);
            let keys: Set<_> = drawn.iter().map(Entry::key).collect();
            assert_eq!(keys.len(), drawn.len());
            assert!(drawn.iter().all(|peer| !peer.seed));
            seen.extend(keys);
        }
        assert!(seen.len() > 990, "{}", seen.len());
    }

    #[test]
    fn a_small_torrent_gives_all_it_has() {
        let mut dice = Dice::counter(9, 0);
        let mut peers = Peers::<4>::default();
        for n in 0..7 {
            peers.put(entry(n, false));
        }
        assert_eq!(peers.draw(50, &mut dice, |_| true).len(), 7);
        assert_eq!(peers.draw(0, &mut dice, |_| true).len(), 0);
    }
}
