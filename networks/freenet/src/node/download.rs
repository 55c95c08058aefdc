//! The blocks of a file that is fetched: which are there, under way, to be asked for, cooling down or lost.
//!
//! A block that was not found is asked for again, but not at once: whoever was asked in vain remembers it for a while, and what is being inserted or is
//! held up needs its time. Check blocks take its place meanwhile.

use bytes::Bytes;
use hexad_content::Ranges;
use hexad_core::{Dice, Map, Others, Set, Span, Time};

use super::jobs::Counts;
use super::walks::Miss;
use crate::document::{BlockKey, Body, Leaf};
use crate::keys::CHK_DATA_BYTES;
use crate::splitfile::{Shape, block_range};

/// Segments of which blocks are under way at the same time: each may hold its blocks in memory.
const SEGMENTS_ACTIVE: usize = 4;
/// Before a block is asked for for the second time; four times as long before each time after that, up to [`COOL_MAX`].
const COOL: Span = Span::from_secs(2);
/// No block cools down for longer.
const COOL_MAX: Span = Span::from_secs(60);

/// How long a key is left alone that was missed so often.
pub(super) fn cool_down(missed: u32, miss: Miss, dice: &mut Dice) -> Span {
    let wait = match miss {
        Miss::RecentlyFailed(seconds) => Span::from_secs(seconds.max(1).into()).clamp(COOL, COOL_MAX),
        _ => (COOL * 4_u32.saturating_pow(missed.saturating_sub(1).min(8))).min(COOL_MAX),
    };
    // Up to half as long again, so that blocks that were lost together are not asked for together.
    wait + wait.mul_f64(f64::from(u16::try_from(dice.below(512)).unwrap_or(0)) / 1024.0)
}

/// Some blocks of a file, and as many check blocks, of which any that are enough restore all.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// Where its first byte is, and how many bytes the file has from there on.
    base: u64,
    bytes: u64,
    pub(super) shape: Shape,
    pub(super) keys: Vec<BlockKey>,
    pub(super) got: Map<usize, Bytes>,
    todo: Vec<usize>,
    begun: bool,
    under_way: usize,
    /// How often blocks were missed.
    missed: Map<usize, u32>,
    /// Blocks that are asked for again from then on.
    cooling: Vec<(Time, usize)>,
    lost: Set<usize>,
    /// Check blocks are needed.
    rescue: bool,
    decoding: bool,
    pub(super) over: bool,
}

/// A block to ask for.
pub(super) struct Pick {
    /// The number of the question.
    pub(super) part: u32,
    pub(super) key: BlockKey,
    /// Bytes of the layout that it holds; none in a check block.
    pub(super) data: Option<std::ops::Range<u64>>,
}

/// What follows from a block that was missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// It is asked for again then.
    Again(Time),
    /// Others take its place.
    Spared,
    /// The file cannot be restored any more.
    Fatal,
}

impl Segment {
    fn new(base: u64, bytes: u64, shape: Shape, keys: &[BlockKey]) -> Self {
        Self {
            base,
            bytes,
            shape,
            keys: keys.to_vec(),
            got: Map::new(),
            todo: Vec::new(),
            begun: false,
            under_way: 0,
            missed: Map::new(),
            cooling: Vec::new(),
            lost: Set::new(),
            rescue: false,
            decoding: false,
            over: false,
        }
    }

    /// Bytes of the layout that data block `index` holds.
    pub(super) fn range(&self, index: usize) -> std::ops::Range<u64> {
        let within = block_range(index, self.bytes);
        self.base + within.start..self.base + within.end
    }

    /// Which places in the list of blocks can be asked for: check blocks, and data blocks that others do not bring.
    fn open(&self, others: &Others) -> Vec<usize> {
        let free = |index: usize| self.rescue || index >= self.shape.data || !others.touch(self.range(index));
        self.todo.iter().enumerate().filter(|(_, index)| free(**index)).map(|(place, _)| place).collect()
    }

    /// Looks whether it is over; true when its blocks are to be restored from those that are there.
    pub(super) fn tend(&mut self) -> bool {
        if self.over || self.decoding {
            return false;
        }
        let whole = (0..self.shape.data).all(|index| self.got.contains_key(&index));
        if whole || (!self.rescue && self.is_quiet()) {
            self.over = true;
            self.got.clear();
            self.rest();
            return false;
        }
        if !self.rescue || self.got.len() < self.shape.data {
            return false;
        }
        self.decoding = true;
        self.rest();
        true
    }

    /// Whether nothing is under way, nor to be asked for.
    fn is_quiet(&self) -> bool {
        self.todo.is_empty() && self.under_way == 0 && self.cooling.is_empty()
    }

    /// Nothing more is asked for.
    fn rest(&mut self) {
        self.todo.clear();
        self.cooling.clear();
    }
}

/// All blocks of a file.
#[derive(Clone, Debug)]
pub(super) struct Download {
    pub(super) segments: Vec<Segment>,
    parts: Map<u32, (usize, usize)>,
    last_part: u32,
    window: usize,
    pub(super) wanted: Ranges,
    pub(super) delivered: Ranges,
    /// Bytes that were in the document itself.
    pub(super) inline: Vec<(u64, Bytes)>,
    pub(super) memory: Option<Vec<u8>>,
    pub(super) total: u64,
    succeeded: usize,
}

impl Download {
    pub(super) fn of<'a>(leaves: impl IntoIterator<Item = (u64, &'a Leaf)>, total: u64, memory: bool) -> Self {
        let mut segments = Vec::new();
        let mut inline = Vec::new();
        for (base, leaf) in leaves {
            match &leaf.body {
                Body::Inline(bytes) => inline.push((base, bytes.clone())),
                Body::Block(key) => {
                    segments.push(Segment::new(base, leaf.stored_bytes, Shape { data: 1, check: 0 }, std::slice::from_ref(key)));
                }
                Body::Split(lists) => {
                    let mut first = 0;
                    for (shape, keys) in leaf.shapes().iter().zip(lists) {
                        let start = first as u64 * CHK_DATA_BYTES as u64;
                        let bytes = (leaf.stored_bytes - start).min(shape.data as u64 * CHK_DATA_BYTES as u64);
                        segments.push(Segment::new(base + start, bytes, *shape, keys));
                        first += shape.data;
                    }
                }
            }
        }
        let memory = memory.then(|| vec![0; usize::try_from(total).unwrap_or(0)]);
        let wanted = Ranges::of(0..total);
        Self { segments, parts: Map::new(), last_part: 0, window: 8, wanted, delivered: Ranges::new(), inline, memory, total, succeeded: 0 }
    }

    /// Whether as many blocks are under way as may be.
    pub(super) fn is_busy(&self) -> bool {
        self.parts.len() >= self.window
    }

    /// The next block to ask for, of those that others do not bring.
    pub(super) fn pick(&mut self, others: &Others, dice: &mut Dice) -> Option<Pick> {
        let mut active = Vec::new();
        for (number, segment) in self.segments.iter_mut().enumerate().filter(|(_, segment)| !segment.over) {
            if !segment.begun {
                segment.begun = true;
                let wanted = (0..segment.shape.data).filter(|&index| !self.wanted.within(segment.range(index)).is_empty());
                segment.todo = wanted.collect();
                if segment.todo.is_empty() {
                    segment.over = true;
                    continue;
                }
            }
            let open = segment.open(others);
            if !open.is_empty() {
                active.push((number, open));
            }
            if active.len() >= SEGMENTS_ACTIVE || (segment.rescue && active.len() >= 2) {
                break;
            }
        }
        let blocks = active.iter().map(|(_, open)| open.len()).sum();
        let mut chosen = dice.index(blocks)?;
        for (number, open) in active {
            if let Some(&place) = open.get(chosen) {
                let segment = &mut self.segments[number];
                let index = segment.todo.swap_remove(place);
                segment.under_way += 1;
                self.last_part += 1;
                self.parts.insert(self.last_part, (number, index));
                let data = (index < segment.shape.data).then(|| segment.range(index));
                return Some(Pick { part: self.last_part, key: segment.keys[index], data });
            }
            chosen -= open.len();
        }
        None
    }

    /// What has come from another network is not to be asked for.
    pub(super) fn came_elsewhere(&mut self, range: std::ops::Range<u64>) {
        self.wanted.remove(range);
        for segment in self.segments.iter_mut().filter(|segment| segment.begun && !segment.rescue && !segment.over) {
            let (todo, cooling) = (std::mem::take(&mut segment.todo), std::mem::take(&mut segment.cooling));
            let wants = |segment: &Segment, index: usize| !self.wanted.within(segment.range(index)).is_empty();
            segment.todo = todo.into_iter().filter(|&index| wants(segment, index)).collect();
            segment.cooling = cooling.into_iter().filter(|&(_, index)| wants(segment, index)).collect();
            segment.over = segment.is_quiet();
        }
    }

    /// Where the blocks under way belong.
    pub(super) fn under_way(&self) -> Ranges {
        let data = self.parts.values().filter(|(number, index)| *index < self.segments[*number].shape.data);
        data.map(|&(number, index)| self.segments[number].range(index)).collect()
    }

    /// A question is answered: which segment and block it was about.
    pub(super) fn answered(&mut self, part: u32) -> Option<(usize, usize)> {
        let (number, index) = self.parts.remove(&part)?;
        self.segments[number].under_way -= 1;
        Some((number, index))
    }

    /// A block has come.
    pub(super) fn gain(&mut self, number: usize, index: usize, plain: Bytes, window_max: usize) {
        self.window = (self.window + 1).min(window_max);
        self.succeeded += 1;
        let segment = &mut self.segments[number];
        if !segment.over && !segment.decoding {
            segment.got.insert(index, plain);
        }
    }

    /// A block was missed, and is not asked for more often than `tries_max` times.
    pub(super) fn lose(&mut self, number: usize, index: usize, miss: Miss, tries_max: u32, now: Time, dice: &mut Dice) -> Loss {
        self.window = (self.window / 2).max(4);
        let segment = &mut self.segments[number];
        if segment.decoding || segment.over {
            return Loss::Spared;
        }
        let missed = segment.missed.entry(index).or_insert(0);
        *missed = missed.saturating_add(1);
        let mut loss = Loss::Spared;
        if *missed < tries_max {
            let at = now + cool_down(*missed, miss, dice);
            segment.cooling.push((at, index));
            loss = Loss::Again(at);
        } else {
            segment.lost.insert(index);
            if segment.keys.len() - segment.lost.len() < segment.shape.data {
                return Loss::Fatal;
            }
        }
        if segment.keys.len() == segment.shape.data {
            return loss;
        }
        segment.rescue = true;
        // As many more as are needed, in the order of the list: all data blocks, then check blocks.
        let coming = segment.got.len() + segment.under_way + segment.todo.len();
        let mut missing = segment.shape.data.saturating_sub(coming);
        for index in 0..segment.keys.len() {
            if missing == 0 {
                break;
            }
            // What was tried is got, lost, cooling down, under way or in the list.
            let known = segment.got.contains_key(&index)
                || segment.lost.contains(&index)
                || segment.todo.contains(&index)
                || segment.cooling.iter().any(|(_, cooling)| *cooling == index);
            let under_way = self.parts.values().any(|part| *part == (number, index));
            if !known && !under_way {
                segment.todo.push(index);
                missing -= 1;
            }
        }
        loss
    }

    /// Has blocks asked for again that have cooled down.
    pub(super) fn take_up(&mut self, now: Time) {
        for segment in &mut self.segments {
            let todo = &mut segment.todo;
            segment.cooling.retain(|&(at, index)| {
                if at <= now {
                    todo.push(index);
                }
                at > now
            });
        }
    }

    /// How far it is.
    pub(super) fn counts(&self) -> Counts {
        let sum = |of: fn(&Segment) -> usize| self.segments.iter().map(of).sum::<usize>() as u64;
        Counts {
            total: sum(|segment| segment.keys.len()),
            required: sum(|segment| segment.shape.data),
            succeeded: self.succeeded as u64,
            failed: sum(|segment| segment.lost.len()),
            is_final: true,
        }
    }
}
