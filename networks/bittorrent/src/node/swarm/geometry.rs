//! Pieces and blocks of a torrent, in numbers.

use std::ops::Range;

use crate::wire::metainfo::Info;
use crate::wire::{BlockRef, frames::BLOCK_BYTES};

/// How a torrent's bytes fall into pieces and blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) piece_bytes: u64,
    pub(crate) total_bytes: u64,
    pub(crate) pieces: u32,
}

impl Geometry {
    pub(crate) fn of(info: &Info) -> Self {
        Self { piece_bytes: info.piece_bytes, total_bytes: info.layout.total_bytes(), pieces: info.piece_count() }
    }

    /// The range of the layout that a piece takes.
    pub(crate) fn range(&self, piece: u32) -> Range<u64> {
        let start = (u64::from(piece) * self.piece_bytes).min(self.total_bytes);
        start..(start + self.piece_bytes).min(self.total_bytes)
    }

    /// Bytes of a piece; at most 2 GiB (`metainfo::PIECE_BYTES_MAX`).
    pub(crate) fn bytes(&self, piece: u32) -> u32 {
        let range = self.range(piece);
        u32::try_from(range.end - range.start).unwrap_or(u32::MAX)
    }

    /// Blocks of a piece.
    pub(crate) fn blocks(&self, piece: u32) -> u32 {
        self.bytes(piece).div_ceil(BLOCK_BYTES)
    }

    /// A block as it is asked for.
    pub(crate) fn block(&self, piece: u32, block: u32) -> BlockRef {
        let begin = block * BLOCK_BYTES;
        BlockRef { piece, begin, length: (self.bytes(piece) - begin).min(BLOCK_BYTES) }
    }

    /// Which block begins there with that length; `None` for one that nobody would ask for.
    pub(crate) fn block_at(&self, piece: u32, begin: u32, length: u64) -> Option<u32> {
        let fits = piece < self.pieces && begin.is_multiple_of(BLOCK_BYTES) && begin < self.bytes(piece);
        let block = begin / BLOCK_BYTES;
        (fits && u64::from(self.block(piece, block).length) == length).then_some(block)
    }

    /// The piece that covers a position below the end.
    pub(crate) fn piece_at(&self, position: u64) -> u32 {
        u32::try_from(position / self.piece_bytes).unwrap_or(u32::MAX)
    }
}
