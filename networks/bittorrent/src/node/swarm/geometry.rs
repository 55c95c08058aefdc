//! Pieces and blocks of a torrent, in numbers.

use std::ops::Range;
use std::sync::Arc;

use crate::wire::metainfo::Metainfo;
use crate::wire::{BlockRef, frames::BLOCK_BYTES};

/// How a torrent's bytes fall into pieces and blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) piece_bytes: u64,
    pub(crate) total_bytes: u64,
    pub(crate) pieces: u32,
    /// Where pieces end with files (BEP 52): those that padding follows, ascending, and how many bytes of a file they hold.
    pub(crate) short: Option<Arc<[(u32, u32)]>>,
}

impl Geometry {
    pub(crate) fn of(metainfo: &Metainfo) -> Self {
        let info = &metainfo.info;
        let piece_bytes = info.piece_bytes;
        let files = info.layout.files().iter().enumerate().filter(|(_, file)| !file.padding && !file.length.is_multiple_of(piece_bytes));
        let short = metainfo.trees().map(|_| {
            let last = |(file, _)| {
                let end = info.layout.file_range(file).end;
                Some((u32::try_from(end / piece_bytes).ok()?, u32::try_from(end % piece_bytes).ok()?))
            };
            files.filter_map(last).collect::<Vec<_>>().into()
        });
        Self { piece_bytes, total_bytes: info.layout.total_bytes(), pieces: info.piece_count(), short }
    }

    /// The range of the layout that a piece takes.
    pub(crate) fn range(&self, piece: u32) -> Range<u64> {
        let start = (u64::from(piece) * self.piece_bytes).min(self.total_bytes);
        if let Some(short) = &self.short
            && let Ok(place) = short.binary_search_by_key(&piece, |(piece, _)| *piece)
        {
            return start..start + u64::from(short[place].1);
        }
        start..(start + self.piece_bytes).min(self.total_bytes)
    }

    /// Bytes of a piece; at most 2 GiB (`metainfo::PIECE_BYTES_MAX`).
    pub(crate) fn bytes(&self, piece: u32) -> u32 {
        let range = self.range(piece);
        u32::try_from(range.end - range.start).unwrap_or(u32::MAX)
    }

    /// Bytes of a piece with the padding that follows it: what may be asked of us. Behind the last file of a torrent of version 2 that is the rest of
    /// a block, which libtorrent asks for.
    pub(crate) fn padded_bytes(&self, piece: u32) -> u64 {
        let laid_out = self.total_bytes.saturating_sub(u64::from(piece) * self.piece_bytes).min(self.piece_bytes);
        if self.short.is_some() { laid_out.next_multiple_of(BLOCK_BYTES.into()) } else { laid_out }
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
