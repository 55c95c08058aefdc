//! What proves a range of a layout: the grid on which bytes become verified.

use std::ops::Range;
use std::sync::Arc;

use crate::Sha1Digest;

/// A set of digests that together prove a layout, part by part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// BitTorrent v1: equal pieces across file borders, SHA-1 each, the last one short.
    V1Pieces {
        /// Length of every piece but the last; at least 1.
        piece_bytes: u64,
        /// All bytes of the layout.
        total_bytes: u64,
        /// One digest per piece.
        hashes: Arc<[Sha1Digest]>,
    },
}

impl Proof {
    /// How many parts are proven one by one.
    #[must_use]
    pub fn part_count(&self) -> usize {
        match self {
            Self::V1Pieces { hashes, .. } => hashes.len(),
        }
    }

    /// The range of the layout that part `index` proves; empty beyond the last part.
    #[must_use]
    pub fn part_range(&self, index: usize) -> Range<u64> {
        match self {
            Self::V1Pieces { piece_bytes, total_bytes, .. } => {
                let start = (index as u64).saturating_mul(*piece_bytes).min(*total_bytes);
                start..start.saturating_add(*piece_bytes).min(*total_bytes)
            }
        }
    }

    /// The part that covers `position`; meaningless beyond the end of the layout.
    #[must_use]
    pub fn part_at(&self, position: u64) -> usize {
        match self {
            Self::V1Pieces { piece_bytes, .. } => usize::try_from(position / piece_bytes).unwrap_or(usize::MAX),
        }
    }

    /// The SHA-1 that part `index` must have.
    #[must_use]
    pub fn sha1(&self, index: usize) -> Option<Sha1Digest> {
        match self {
            Self::V1Pieces { hashes, .. } => hashes.get(index).copied(),
        }
    }
}
