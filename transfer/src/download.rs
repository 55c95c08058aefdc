//! What the engine remembers of one download: which parts are good, and what has come of those that are not.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use hexad_content::{Layout, Proof, Ranges};
use hexad_core::{LeaseId, Map, Set};

use crate::bits::Bits;
use crate::division::Division;
use crate::pool::Buffer;

/// Where a part stands between its first byte and its verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Bytes are missing.
    Filling,
    /// Whole in memory, waits for a job.
    Ready,
    /// All bytes have come; some are still being spilled.
    Settling,
    /// Whole on disk, waits for a job.
    Spilled,
    /// A job has it.
    InJob,
}

/// Bytes of a part that are in memory.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Which one of the part.
    pub(crate) index: u64,
    /// Its memory.
    pub(crate) buffer: Buffer,
    /// Which positions of the buffer have come since it was taken.
    pub(crate) fresh: Ranges,
    /// When bytes last came, by the engine's count of deliveries.
    pub(crate) touched: u64,
}

/// A part of which something has come.
#[derive(Debug)]
pub(crate) struct OpenPart {
    /// Which positions of the layout have come.
    pub(crate) have: Ranges,
    /// Those of them that are in memory.
    pub(crate) segments: Vec<Segment>,
    /// Whether some are on disk, or on their way there.
    pub(crate) spilled: bool,
    /// Spills that are not done yet.
    pub(crate) spills: u32,
    /// Who gave bytes.
    pub(crate) givers: Vec<LeaseId>,
    /// What the lab's tokens say: whether all so far were right. `None` for real bytes.
    pub(crate) tokens: Option<bool>,
    /// What of them was not.
    pub(crate) wrong: Ranges,
    /// How far it is.
    pub(crate) stage: Stage,
}

impl OpenPart {
    /// Nothing has come.
    pub(crate) const fn new() -> Self {
        Self {
            have: Ranges::new(),
            segments: Vec::new(),
            spilled: false,
            spills: 0,
            givers: Vec::new(),
            tokens: None,
            wrong: Ranges::new(),
            stage: Stage::Filling,
        }
    }

    /// The segment of that number, when it is in memory.
    pub(crate) fn segment(&mut self, index: u64) -> Option<&mut Segment> {
        self.segments.iter_mut().find(|segment| segment.index == index)
    }

    /// Takes a segment out of memory.
    pub(crate) fn take_segment(&mut self, index: u64) -> Option<Segment> {
        let place = self.segments.iter().position(|segment| segment.index == index)?;
        Some(self.segments.swap_remove(place))
    }

    /// Remembers a source.
    pub(crate) fn given_by(&mut self, lease: LeaseId) {
        if !self.givers.contains(&lease) {
            self.givers.push(lease);
        }
    }
}

/// From whom a part is taken that several have spoiled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Alone {
    /// Whoever has it; the first who comes where nobody does.
    pub(crate) owner: Option<LeaseId>,
    /// When he last gave something, by the engine's count of deliveries.
    pub(crate) touched: u64,
    /// Who came since and was refused, and how often they have said since that they have nothing left to ask for.
    pub(crate) turned_away: Map<LeaseId, u32>,
}

impl Alone {
    /// It is that lease's from now on.
    pub(crate) fn of(owner: LeaseId, now: u64) -> Self {
        Self { owner: Some(owner), touched: now, turned_away: Map::new() }
    }
}

/// One download.
#[derive(Debug)]
pub(crate) struct Download {
    pub(crate) proof: Proof,
    pub(crate) total_bytes: u64,
    pub(crate) wanted: Ranges,
    /// Wanted bytes of parts; padding may belong to none.
    pub(crate) wanted_bytes: u64,
    /// Good bytes among the wanted ones.
    pub(crate) verified_bytes: u64,
    pub(crate) wanted_parts: Bits,
    pub(crate) good: Bits,
    /// Parts that are wanted and not good.
    pub(crate) missing: u32,
    pub(crate) open: Map<u32, OpenPart>,
    /// Open parts beyond [`Stage::Filling`].
    pub(crate) whole: u32,
    /// Parts in [`Stage::Ready`], oldest first.
    pub(crate) ready: VecDeque<u32>,
    pub(crate) ready_bytes: u64,
    /// Parts in [`Stage::Spilled`], oldest first.
    pub(crate) spilled: VecDeque<u32>,
    pub(crate) leases: Set<LeaseId>,
    /// Which of them brings what.
    pub(crate) division: Division,
    /// Leases some of whose bytes found no room: they are told again what is missing.
    pub(crate) starved: Set<LeaseId>,
    pub(crate) paused: bool,
    /// Parts that several leases have spoiled together: taken from one alone.
    pub(crate) alone: Map<u32, Alone>,
    /// The number by which the lab calls the right content.
    pub(crate) content: Option<u64>,
    /// Bytes of one segment; as many as a part has where parts fit into memory.
    pub(crate) segment_bytes: u64,
    /// Whether a part is one segment.
    pub(crate) fits: bool,
}

impl Download {
    /// Nothing open; `held` is good as far as it covers whole parts. `None` when the proof does not fit the layout.
    pub(crate) fn new(
        layout: &Arc<Layout>,
        proof: Proof,
        wanted: Ranges,
        held: &Ranges,
        big_part_bytes: u64,
        segment_bytes: u64,
    ) -> Option<Self> {
        if !proof.fits(layout) {
            return None;
        }
        let (piece_bytes, total_bytes) = (proof.part_bytes(), proof.total_bytes());
        let parts = u32::try_from(proof.part_count()).ok()?;
        let part_bytes = piece_bytes.min(total_bytes.max(1));
        let fits = part_bytes <= big_part_bytes;
        let mut good = Bits::new(parts);
        for span in held.iter() {
            let first = u32::try_from(span.start.div_ceil(piece_bytes)).unwrap_or(u32::MAX);
            for part in first..parts {
                let range = proof.part_range(part as usize);
                if range.end > span.end {
                    break;
                }
                good.insert(part);
            }
        }
        let mut download = Self {
            proof,
            total_bytes,
            wanted: Ranges::new(),
            wanted_bytes: 0,
            verified_bytes: 0,
            wanted_parts: Bits::default(),
            good,
            missing: 0,
            open: Map::new(),
            whole: 0,
            ready: VecDeque::new(),
            ready_bytes: 0,
            spilled: VecDeque::new(),
            leases: Set::new(),
            division: Division::default(),
            starved: Set::new(),
            paused: false,
            alone: Map::new(),
            content: None,
            segment_bytes: if fits { part_bytes } else { segment_bytes },
            fits,
        };
        download.want(wanted);
        Some(download)
    }

    /// Puts another selection in place of the one before.
    pub(crate) fn want(&mut self, wanted: Ranges) {
        self.wanted = wanted.within(0..self.total_bytes);
        self.wanted_bytes = 0;
        self.wanted_parts = Bits::new(self.good.indices().end);
        self.verified_bytes = 0;
        self.missing = 0;
        for span in self.wanted.iter() {
            let first = self.part_at(span.start);
            for part in first..self.good.indices().end {
                let range = self.part_range(part);
                if range.start >= span.end {
                    break;
                }
                if !self.wanted_parts.contains(part) {
                    self.wanted_parts.insert(part);
                    self.missing += u32::from(!self.good.contains(part));
                }
                let bytes = range.end.min(span.end).saturating_sub(range.start.max(span.start));
                self.wanted_bytes += bytes;
                if self.good.contains(part) {
                    self.verified_bytes += bytes;
                }
            }
        }
    }

    /// The range of the layout that a part covers.
    pub(crate) fn part_range(&self, part: u32) -> Range<u64> {
        self.proof.part_range(part as usize)
    }

    /// The part that covers a position below the end.
    pub(crate) fn part_at(&self, position: u64) -> u32 {
        u32::try_from(self.proof.part_at(position)).unwrap_or(u32::MAX)
    }

    /// The range of the layout that a segment of a part covers.
    pub(crate) fn segment_range(&self, part: u32, index: u64) -> Range<u64> {
        let range = self.part_range(part);
        let start = range.start + index * self.segment_bytes;
        start..(start + self.segment_bytes).min(range.end)
    }

    /// The whole parts that are wanted and missing.
    pub(crate) fn missing_ranges(&self) -> Ranges {
        let missing = self.good.indices().filter(|&part| self.wanted_parts.contains(part) && !self.good.contains(part));
        missing.map(|part| self.part_range(part)).collect()
    }

    /// All good parts.
    pub(crate) fn held(&self) -> Ranges {
        self.good.indices().filter(|&part| self.good.contains(part)).map(|part| self.part_range(part)).collect()
    }

    /// Whether every part that is missing has come and waits for its verdict.
    pub(crate) fn nothing_more_comes(&self) -> bool {
        self.missing <= self.whole
    }
}
