//! The info dictionary on its way from peers. BEP 9.
//!
//! Its size is what peers say, and is believed of none: an attempt takes blocks from all who say the same size, and when the result is wrong, the
//! attempts that follow take all blocks from one peer each, so that it is known who lied.

use bytes::Bytes;
use hexad_core::{Map, Span, Time};

use super::names::{Named, Names};
use super::picker::{GiverId, Slot};
use crate::wire::metainfo::METAINFO_BYTES_MAX;

/// Bytes of a block.
pub(crate) const BLOCK: u32 = 16 << 10;
/// Blocks asked of one peer at a time.
const ASKED_MAX: usize = 8;
/// For one block.
const DEADLINE: Span = Span::from_secs(10);
/// A peer that rejected is not asked again for so long.
const PAUSE: Span = Span::from_secs(60);

/// What came of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// It was not asked for, or does not fit.
    Unasked,
    /// More is to come.
    More,
    /// The whole dictionary is there, and is what the info hash says.
    Whole(Bytes),
    /// The whole is there, and is what one of two info hashes says.
    Half,
    /// The whole is wrong; who gave blocks of it.
    Wrong(Vec<GiverId>),
}

/// The attempt under way.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    size: u32,
    blocks: Vec<Option<(Bytes, GiverId)>>,
    asked: Map<u32, (Slot, Time)>,
    /// From one peer only.
    alone: bool,
    only: Option<Slot>,
    paused: Map<Slot, Time>,
}

impl Metadata {
    /// The next block to ask that peer for, who says that the whole has `size` bytes.
    pub(crate) fn next(&mut self, slot: Slot, size: u32, now: Time) -> Option<u32> {
        if size == 0 || size as usize > METAINFO_BYTES_MAX || self.paused.get(&slot).is_some_and(|until| *until > now) {
            return None;
        }
        let begun = !self.asked.is_empty() || self.blocks.iter().any(Option::is_some);
        if !begun {
            self.size = size;
            self.blocks = vec![None; size.div_ceil(BLOCK) as usize];
            self.only = self.alone.then_some(slot);
        }
        if size != self.size || self.only.is_some_and(|only| only != slot) {
            return None;
        }
        if self.asked.values().filter(|(other, _)| *other == slot).count() >= ASKED_MAX {
            return None;
        }
        let block = (0_u32..)
            .zip(&self.blocks)
            .find(|(number, block)| block.is_none() && !self.asked.contains_key(number))
            .map(|(number, _)| number)?;
        self.asked.insert(block, (slot, now));
        Some(block)
    }

    /// A block came.
    pub(crate) fn data(&mut self, (slot, giver): (Slot, GiverId), number: u32, total: u32, data: Bytes, names: &Names) -> Came {
        let asked = self.asked.get(&number).is_some_and(|(other, _)| *other == slot);
        let expected = self.size.saturating_sub(number.saturating_mul(BLOCK)).min(BLOCK);
        if !asked || total != self.size || data.len() != expected as usize {
            return Came::Unasked;
        }
        self.asked.remove(&number);
        if let Some(place) = self.blocks.get_mut(number as usize) {
            *place = Some((data, giver));
        }
        if self.blocks.iter().any(Option::is_none) {
            return Came::More;
        }
        let mut whole = Vec::with_capacity(self.size as usize);
        let mut givers = Vec::new();
        for (data, giver) in std::mem::take(&mut self.blocks).into_iter().flatten() {
            whole.extend_from_slice(&data);
            if !givers.contains(&giver) {
                givers.push(giver);
            }
        }
        self.asked.clear();
        match names.look_at(&whole) {
            Named::Right => return Came::Whole(whole.into()),
            Named::Half => return Came::Half,
            Named::Wrong => {}
        }
        self.alone = true;
        self.only = None;
        Came::Wrong(givers)
    }

    /// A peer does not give a block.
    pub(crate) fn rejected(&mut self, slot: Slot, number: u32, now: Time) {
        if self.asked.get(&number).is_some_and(|(other, _)| *other == slot) {
            self.gone(slot);
            self.paused.insert(slot, now + PAUSE);
        }
    }

    /// Nothing is to be expected of a peer any more. An attempt that was its alone begins anew.
    pub(crate) fn gone(&mut self, slot: Slot) {
        self.paused.remove(&slot);
        self.asked.retain(|_, (other, _)| *other != slot);
        if self.only == Some(slot) {
            self.only = None;
            self.blocks.clear();
        }
    }

    /// Gives up on those who do not answer.
    pub(crate) fn pass(&mut self, now: Time) {
        let late: Vec<Slot> = self.asked.values().filter(|(_, since)| now.since(*since) >= DEADLINE).map(|(slot, _)| *slot).collect();
        for slot in late {
            self.gone(slot);
            self.paused.insert(slot, now + PAUSE);
        }
        // Whoever said a size that nobody can confirm must not hold up the others.
        if self.asked.is_empty() && self.blocks.iter().all(Option::is_none) {
            self.blocks.clear();
        }
    }

    /// Whether blocks have come, and nobody is asked for the others: another size may be tried.
    pub(crate) fn is_stuck(&self) -> bool {
        self.asked.is_empty() && !self.blocks.is_empty()
    }

    /// Forgets what has come.
    pub(crate) fn begin_anew(&mut self) {
        self.blocks.clear();
        self.asked.clear();
        self.only = None;
    }
}

#[cfg(test)]
mod tests {
    use sha1::{Digest as _, Sha1};

    use super::*;

    fn whole() -> (Bytes, Names) {
        let bytes: Bytes = (0..BLOCK * 2 + 5).map(|byte| (byte % 251) as u8).collect::<Vec<u8>>().into();
        let hash = Names { v1: Some(Sha1::digest(&bytes).into()), v2: None };
        (bytes, hash)
    }

    fn block(bytes: &Bytes, number: u32) -> Bytes {
        let start = (number * BLOCK) as usize;
        bytes.slice(start..bytes.len().min(start + BLOCK as usize))
    }

    #[test]
    fn blocks_come_from_several_peers() {
        let (bytes, hash) = whole();
        let size = u32::try_from(bytes.len()).unwrap();
        let mut metadata = Metadata::default();
        let asked = [metadata.next(0, size, Time::ZERO), metadata.next(1, size, Time::ZERO), metadata.next(0, size, Time::ZERO)];
        assert_eq!(asked, [Some(0), Some(1), Some(2)]);
        assert_eq!(metadata.next(1, size, Time::ZERO), None);
        assert_eq!(metadata.data((0, 10), 0, size, block(&bytes, 0), &hash), Came::More);
        assert_eq!(metadata.data((0, 10), 1, size, block(&bytes, 1), &hash), Came::Unasked, "that was asked of the other");
        assert_eq!(metadata.data((1, 11), 1, size, block(&bytes, 1), &hash), Came::More);
        assert_eq!(metadata.data((0, 10), 2, size, block(&bytes, 2), &hash), Came::Whole(bytes));
    }

    #[test]
    fn after_a_wrong_result_each_attempt_is_one_peers_alone() {
        let (bytes, hash) = whole();
        let size = u32::try_from(bytes.len()).unwrap();
        let mut metadata = Metadata::default();
        for slot in [0, 1, 0] {
            metadata.next(slot, size, Time::ZERO);
        }
        metadata.data((0, 10), 0, size, block(&bytes, 0), &hash);
        metadata.data((1, 11), 1, size, vec![0; BLOCK as usize].into(), &hash);
        assert_eq!(metadata.data((0, 10), 2, size, block(&bytes, 2), &hash), Came::Wrong(vec![10, 11]));
        assert_eq!(metadata.next(1, size, Time::ZERO), Some(0));
        assert_eq!(metadata.next(0, size, Time::ZERO), None);
    }

    #[test]
    fn impossible_sizes_are_not_asked_for() {
        let mut metadata = Metadata::default();
        assert_eq!(metadata.next(0, 0, Time::ZERO), None);
        assert_eq!(metadata.next(0, u32::MAX, Time::ZERO), None);
    }

    #[test]
    fn a_peer_that_rejects_is_not_asked_again_at_once() {
        let mut metadata = Metadata::default();
        assert_eq!(metadata.next(0, 100, Time::ZERO), Some(0));
        metadata.rejected(0, 0, Time::ZERO);
        assert_eq!(metadata.next(0, 100, Time::ZERO), None);
        assert_eq!(metadata.next(1, 100, Time::ZERO), Some(0));
        metadata.rejected(1, 0, Time::ZERO);
        assert_eq!(metadata.next(0, 100, Time::ZERO + PAUSE), Some(0));
    }
}
