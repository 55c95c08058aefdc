//! The work bench: many ranges of a layout are read and hashed, by several threads; where it is by SHA-1, sixteen ranges side by side.
//!
//! Each thread reads one row of every range, then hashes the rows in SIMD lanes while they are in its cache, so memory does not
//! grow with the length of a piece.

use std::num::NonZero;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;

use hexad_content::sha1_lanes::{LANES, Sha1Lanes, lanes_worthwhile};
use hexad_content::{Layout, Sha1Digest};
use sha1::Digest as _;
use sha1::Sha1;

use crate::reader::{Reader, Trouble};
use crate::{ShareError, Work};

/// Bytes of a range that are read at once. Sixteen rows fit a second-level cache.
const ROW_BYTES: usize = 64 << 10;
/// Rows do not begin at the same place of a page, or their lines would compete for the same places of the first-level cache.
const ROW_STRIDE: usize = ROW_BYTES + 64;
/// More threads than this wait for memory rather than compute.
const THREADS_MAX: usize = 32;
/// Progress is told at most this often.
const TELLINGS_MAX: u64 = 500;
/// Progress is told at most after so many bytes.
const TELLING_BYTES_MIN: u64 = 4 << 20;

/// Ranges of a layout that are to be hashed.
pub(crate) struct Bench<'a> {
    layout: &'a Layout,
    paths: &'a [Option<PathBuf>],
    ranges: Vec<Range<u64>>,
    /// Whether bytes that are not there end the job.
    all_needed: bool,
}

/// What becomes of the bytes of one range.
pub(crate) trait Hashing: Sized {
    /// What they come to.
    type Digest: Clone + Send;
    /// How a SHA-1 is one, where that is all that is computed: then many ranges are hashed side by side.
    const OF_SHA1: Option<fn(Sha1Digest) -> Self::Digest>;
    /// The next bytes.
    fn update(&mut self, bytes: &[u8]);
    /// There are no more.
    fn finish(self) -> Self::Digest;
}

impl Hashing for Sha1 {
    type Digest = Sha1Digest;
    const OF_SHA1: Option<fn(Sha1Digest) -> Sha1Digest> = Some(|digest| digest);

    fn update(&mut self, bytes: &[u8]) {
        sha1::Digest::update(self, bytes);
    }

    fn finish(self) -> Sha1Digest {
        Sha1Digest(self.finalize().into())
    }
}

/// What the threads of one run share.
struct Run<'a, H: Hashing> {
    bench: &'a Bench<'a>,
    begin: &'a (dyn Fn(usize) -> H + Sync),
    work: &'a Work<'a>,
    batches: Vec<Range<usize>>,
    next: AtomicUsize,
    stop: AtomicBool,
    total: u64,
    done: AtomicU64,
    told: Mutex<u64>,
}

type Digests<H> = Vec<(usize, Option<<H as Hashing>::Digest>)>;

impl<'a> Bench<'a> {
    pub(crate) fn new(
        layout: &'a Layout,
        paths: &'a [Option<PathBuf>],
        ranges: Vec<Range<u64>>,
        all_needed: bool,
    ) -> Result<Self, ShareError> {
        if paths.len() != layout.files().len() {
            return Err(ShareError::Mismatch { what: "paths", expected: layout.files().len() as u64, found: paths.len() as u64 });
        }
        Ok(Self { layout, paths, ranges, all_needed })
    }

    /// What each range comes to when hashed by what `begin` gives for it; `None` where bytes are missing.
    pub(crate) fn run<H: Hashing>(
        &self,
        begin: &(dyn Fn(usize) -> H + Sync),
        work: &Work<'_>,
    ) -> Result<Vec<Option<H::Digest>>, ShareError> {
        let wanted = if work.threads == 0 { thread::available_parallelism().map_or(1, NonZero::get) } else { work.threads };
        let threads = wanted.clamp(1, THREADS_MAX);
        let run = Run {
            bench: self,
            begin,
            work,
            batches: self.batches(threads, H::OF_SHA1.is_some()),
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            total: self.ranges.iter().map(|range| range.end - range.start).sum(),
            done: AtomicU64::new(0),
            told: Mutex::new(0),
        };
        let others = threads.min(run.batches.len()).saturating_sub(1);
        let outcomes: Vec<Result<Digests<H>, ShareError>> = thread::scope(|scope| {
            let others: Vec<_> = (0..others).map(|_| scope.spawn(|| run.thread())).collect();
            let own = run.thread();
            let joined = others.into_iter().map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            std::iter::once(own).chain(joined).collect()
        });
        let mut digests = vec![None; self.ranges.len()];
        let mut wrong = None;
        for outcome in outcomes {
            match outcome {
                Ok(some) => some.into_iter().for_each(|(index, digest)| digests[index] = digest),
                Err(why) => wrong = Some(wrong.filter(|before| !matches!(before, ShareError::Cancelled)).unwrap_or(why)),
            }
        }
        match wrong {
            Some(why) => Err(why),
            None => {
                (work.progress)(run.total, run.total);
                Ok(digests)
            }
        }
    }

    /// Neighbours of equal length, at most one per lane, fewer where there would be nothing left for the other threads.
    fn batches(&self, threads: usize, in_lanes: bool) -> Vec<Range<usize>> {
        let size = if in_lanes { self.ranges.len().div_ceil(threads).clamp(lanes_worthwhile().min(LANES), LANES) } else { 1 };
        let length = |index: usize| self.ranges[index].end - self.ranges[index].start;
        let mut batches: Vec<Range<usize>> = Vec::with_capacity(self.ranges.len() / size + 2);
        for index in 0..self.ranges.len() {
            match batches.last_mut() {
                Some(batch) if batch.len() < size && length(batch.start) == length(index) => batch.end = index + 1,
                _ => batches.push(index..index + 1),
            }
        }
        batches
    }
}

impl<H: Hashing> Run<'_, H> {
    /// What one thread does: batch after batch until none is left.
    fn thread(&self) -> Result<Digests<H>, ShareError> {
        let mut rows = vec![0; LANES * ROW_STRIDE];
        let mut readers: [Reader<'_>; LANES] = std::array::from_fn(|_| Reader::new(self.bench.layout, self.bench.paths));
        let mut digests = Vec::new();
        while let Some(batch) = self.batches.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = match H::OF_SHA1 {
                Some(of_sha1) if batch.len() >= lanes_worthwhile() => {
                    self.side_by_side(batch.clone(), of_sha1, &mut rows, &mut readers, &mut digests)
                }
                _ => self.one_by_one(batch.clone(), &mut rows, &mut readers[0], &mut digests),
            };
            if outcome.is_err() {
                self.stop.store(true, Ordering::Relaxed);
            }
            outcome?;
        }
        Ok(digests)
    }

    fn side_by_side(
        &self,
        batch: Range<usize>,
        of_sha1: fn(Sha1Digest) -> H::Digest,
        rows: &mut [u8],
        readers: &mut [Reader<'_>; LANES],
        digests: &mut Digests<H>,
    ) -> Result<(), ShareError> {
        let ranges = &self.bench.ranges[batch.clone()];
        let length = ranges[0].end - ranges[0].start;
        let mut lanes = Sha1Lanes::new();
        let mut whole = [true; LANES];
        let mut offset = 0;
        loop {
            let row_bytes = (length - offset).min(ROW_BYTES as u64);
            for (lane, range) in ranges.iter().enumerate() {
                if !whole[lane] {
                    continue;
                }
                let at = range.start + offset;
                let row = &mut rows[lane * ROW_STRIDE..][..row_bytes as usize];
                whole[lane] = self.filled(readers[lane].fill(at..at + row_bytes, row))?;
            }
            // Lanes without a range hash the last one once more.
            let row = |lane: usize| &rows[lane.min(ranges.len() - 1) * ROW_STRIDE..][..row_bytes as usize];
            let row = std::array::from_fn(row);
            offset += row_bytes;
            if offset == length {
                let found = lanes.finish(&row);
                digests.extend(batch.zip(found.iter().zip(whole)).map(|(index, (digest, whole))| (index, whole.then(|| of_sha1(*digest)))));
                return self.tell(row_bytes * ranges.len() as u64);
            }
            lanes.update(&row);
            self.tell(row_bytes * ranges.len() as u64)?;
        }
    }

    fn one_by_one(
        &self,
        batch: Range<usize>,
        rows: &mut [u8],
        reader: &mut Reader<'_>,
        digests: &mut Digests<H>,
    ) -> Result<(), ShareError> {
        for index in batch {
            let range = &self.bench.ranges[index];
            let mut hash = (self.begin)(index);
            let mut whole = true;
            let mut at = range.start;
            while at < range.end {
                let row_bytes = (range.end - at).min(rows.len() as u64);
                let row = &mut rows[..row_bytes as usize];
                whole = whole && self.filled(reader.fill(at..at + row_bytes, row))?;
                if whole {
                    hash.update(row);
                }
                at += row_bytes;
                self.tell(row_bytes)?;
            }
            digests.push((index, whole.then(|| hash.finish())));
        }
        Ok(())
    }

    /// Whether the bytes are there.
    fn filled(&self, outcome: Result<(), Trouble>) -> Result<bool, ShareError> {
        match outcome {
            Ok(()) => Ok(true),
            Err(Trouble::Lacking(_)) if !self.bench.all_needed => Ok(false),
            Err(Trouble::Lacking(why) | Trouble::Broken(why)) => Err(why),
        }
    }

    /// Counts bytes as done, tells of it now and then, and ends the job where somebody wants that.
    fn tell(&self, bytes: u64) -> Result<(), ShareError> {
        let step = (self.total / TELLINGS_MAX).max(TELLING_BYTES_MIN);
        let before = self.done.fetch_add(bytes, Ordering::Relaxed);
        if before / step != (before + bytes) / step
            && let Ok(mut told) = self.told.lock()
            && *told < before + bytes
        {
            *told = before + bytes;
            (self.work.progress)(*told, self.total);
        }
        let stop = self.stop.load(Ordering::Relaxed) || self.work.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed));
        if stop { Err(ShareError::Cancelled) } else { Ok(()) }
    }
}
