//! What comes before the rarest: the place where somebody reads, files that are wanted first or last, or simply the front.

use std::ops::Range;

use hexad_content::Ranges;

use crate::node::swarm::geometry::Geometry;

/// Pieces that are looked at from the place of a reader on: what is further away can wait its turn.
const READER_PIECES_MAX: u32 = 512;

/// The order of pieces beside how rare they are.
#[derive(Debug, Default)]
pub(super) struct Order {
    sequential: bool,
    /// Of each piece, the higher the earlier; empty when all are alike.
    ranks: Vec<u8>,
    reader: Range<u32>,
}

impl Order {
    pub(super) fn set(&mut self, sequential: bool, first: &Ranges, last: &Ranges, geometry: &Geometry) {
        self.sequential = sequential;
        self.ranks = Vec::new();
        if first.is_empty() && last.is_empty() {
            return;
        }
        let rank = |piece: u32| {
            let range = geometry.range(piece);
            // A piece with bytes of several files goes with the most urgent of them.
            let lasting = last.within(range.clone()).total() == range.end - range.start;
            if first.within(range).total() > 0 { 2 } else { u8::from(!lasting) }
        };
        self.ranks = (0..geometry.pieces).map(rank).collect();
    }

    pub(super) fn set_reader(&mut self, bytes: Option<&Range<u64>>, geometry: &Geometry) {
        let bytes = bytes.filter(|bytes| bytes.start < bytes.end && bytes.start < geometry.total_bytes);
        self.reader = bytes.map_or(0..0, |bytes| {
            let start = geometry.piece_at(bytes.start);
            let end = geometry.piece_at(bytes.end.min(geometry.total_bytes) - 1) + 1;
            start..end.min(geometry.pieces).min(start.saturating_add(READER_PIECES_MAX))
        });
    }

    /// Whether nothing comes before the rarest.
    pub(super) fn is_plain(&self) -> bool {
        !self.sequential && self.ranks.is_empty() && self.reader.is_empty()
    }

    pub(super) const fn is_sequential(&self) -> bool {
        self.sequential
    }

    /// Pieces that somebody waits for, the most urgent first.
    pub(super) fn reader(&self) -> Range<u32> {
        self.reader.clone()
    }

    pub(super) fn rank(&self, piece: u32) -> u8 {
        self.ranks.get(piece as usize).copied().unwrap_or(1)
    }
}
