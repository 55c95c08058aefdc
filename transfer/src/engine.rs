//! The engine: takes what sources deliver, has it verified and written, and tells everybody what was found.

use std::collections::VecDeque;
use std::ops::{Bound, Range};
use std::sync::Arc;

use hexad_content::{Layout, Proof, Ranges};
use hexad_core::{LeaseId, Map, Payload, ShareId, Token, Verdict};
use thiserror::Error;

use crate::download::{Download, OpenPart, Segment, Stage};
use crate::job::{Action, Finding, Job, JobId, Run, WholePart};
use crate::pool::{Buffer, Pool};

/// Bounds of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Never more than this many bytes of buffers, lent and idle.
    pub buffer_bytes_max: u64,
    /// A batch is full with this many parts (as many as SHA-1 has lanes) …
    pub batch_parts: usize,
    /// … that are at least this many bytes …
    pub batch_bytes_min: u64,
    /// … or with this many bytes.
    pub batch_bytes_max: u64,
    /// Parts over this many bytes (and those over a sixteenth of all buffers) are written as they come and read back when whole.
    pub big_part_bytes: u64,
    /// How much of a big part is written at once.
    pub segment_bytes: u64,
    /// Jobs that may be out at a time.
    pub jobs_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            buffer_bytes_max: 64 << 20,
            batch_parts: 16,
            batch_bytes_min: 4 << 20,
            batch_bytes_max: 16 << 20,
            big_part_bytes: 2 << 20,
            segment_bytes: 1 << 20,
            jobs_max: 4,
        }
    }
}

/// The proof does not cover the layout: other length, or another number of digests than parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the proof does not fit the layout")]
pub struct Misfit;

/// How far a download is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Wanted bytes that are good.
    pub verified_bytes: u64,
    /// Wanted bytes.
    pub wanted_bytes: u64,
}

/// Bytes that came for nothing, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Outside of what the lease covers, or under no lease at all.
    pub outside_bytes: u64,
    /// Already there.
    pub duplicate_bytes: u64,
    /// In parts that turned out to be wrong.
    pub bad_bytes: u64,
    /// No room was left, though the engine was congested and said so.
    pub dropped_bytes: u64,
}

/// Bytes on their way to the disk without proof.
#[derive(Debug)]
struct Spill {
    share: ShareId,
    run: Run,
}

#[derive(Debug)]
struct Out {
    bytes: u64,
    spill: bool,
}

/// All downloads of this machine. Feed it, then take its [`Action`]s with [`Engine::next_action`].
#[derive(Debug)]
pub struct Engine {
    config: Config,
    pool: Pool,
    downloads: Map<ShareId, Download>,
    leases: Map<LeaseId, ShareId>,
    spills: VecDeque<Spill>,
    /// Bytes of buffers in `spills` and in spill jobs.
    spilling_bytes: u64,
    /// Bytes of buffers that wait for a job or are in one.
    queued_bytes: u64,
    /// Parts in [`Stage::Ready`] of all downloads.
    waiting: usize,
    jobs: Map<JobId, Out>,
    jobs_made: u64,
    /// Whose turn was last.
    turn: ShareId,
    deliveries: u64,
    congested: bool,
    actions: VecDeque<Action>,
    counters: Counters,
}

impl Engine {
    /// An engine without downloads.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            pool: Pool::new(config.buffer_bytes_max),
            config,
            downloads: Map::new(),
            leases: Map::new(),
            spills: VecDeque::new(),
            spilling_bytes: 0,
            queued_bytes: 0,
            waiting: 0,
            jobs: Map::new(),
            jobs_made: 0,
            turn: ShareId(0),
            deliveries: 0,
            congested: false,
            actions: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Begins a download of the parts that touch `wanted`. Parts that `held` covers are good already. Says [`Action::Complete`] when nothing is
    /// missing.
    ///
    /// # Errors
    /// When `proof` does not cover `layout` part by part.
    pub fn add(&mut self, share: ShareId, layout: &Arc<Layout>, proof: Proof, wanted: Ranges, held: &Ranges) -> Result<(), Misfit> {
        let largest = (self.config.buffer_bytes_max / 16).max(1);
        let (big, segment) = (self.config.big_part_bytes.min(largest), self.config.segment_bytes.clamp(1, largest));
        let download = Download::new(layout, proof, wanted, held, big, segment).ok_or(Misfit)?;
        let complete = download.missing == 0;
        self.remove(share);
        self.downloads.insert(share, download);
        if complete {
            self.actions.push_back(Action::Complete(share));
        }
        Ok(())
    }

    /// Says by which number the lab's tokens call the right content of a share. Without it, every honest token is right.
    pub fn expect_content(&mut self, share: ShareId, content: u64) {
        if let Some(download) = self.downloads.get_mut(&share) {
            download.content = Some(content);
        }
    }

    /// Ends a download with its leases. What is in memory is forgotten; jobs that are out still have to be answered.
    pub fn remove(&mut self, share: ShareId) {
        let Some(mut download) = self.downloads.remove(&share) else { return };
        for lease in &download.leases {
            self.leases.remove(lease);
        }
        self.clear(share, &mut download);
        if self.downloads.is_empty() {
            self.pool.shrink();
        }
        self.look_at_congestion();
    }

    /// Puts another selection in place of the one before, and tells all leases.
    pub fn want(&mut self, share: ShareId, wanted: Ranges) {
        let Some(download) = self.downloads.get_mut(&share) else { return };
        download.want(wanted);
        if download.missing == 0 {
            self.actions.push_back(Action::Complete(share));
        }
        self.lend_again(share);
    }

    /// Lends all that is missing of a share to a source, which is told so with [`Action::Leased`].
    pub fn lend(&mut self, lease: LeaseId, share: ShareId) {
        let Some(download) = self.downloads.get_mut(&share) else { return };
        download.leases.insert(lease);
        let ranges = if download.paused { Ranges::new() } else { download.missing_ranges() };
        self.actions.push_back(Action::Leased(lease, ranges));
        if let Some(before) = self.leases.insert(lease, share).filter(|&before| before != share)
            && let Some(other) = self.downloads.get_mut(&before)
        {
            other.leases.remove(&lease);
        }
    }

    /// Ends a lease. What came under it stays.
    pub fn end(&mut self, lease: LeaseId) {
        if let Some(share) = self.leases.remove(&lease)
            && let Some(download) = self.downloads.get_mut(&share)
        {
            download.leases.remove(&lease);
            download.starved.remove(&lease);
        }
    }

    /// Goes on after [`Action::Failed`].
    pub fn resume(&mut self, share: ShareId) {
        if let Some(download) = self.downloads.get_mut(&share)
            && std::mem::replace(&mut download.paused, false)
        {
            self.lend_again(share);
        }
    }

    /// Takes bytes of a lease that belong at `offset` of the layout. Copied before this returns.
    pub fn deliver(&mut self, lease: LeaseId, offset: u64, payload: &Payload) {
        let Some((&share, download)) =
            self.leases.get(&lease).and_then(|share| self.downloads.get(share).map(|download| (share, download)))
        else {
            self.counters.outside_bytes += payload.len();
            return;
        };
        self.deliveries += 1;
        let end = offset.saturating_add(payload.len());
        let inside = end.min(download.total_bytes);
        self.counters.outside_bytes += end - inside.max(offset).min(end);
        let mut at = offset;
        let mut whole = false;
        while at < inside {
            let Some(download) = self.downloads.get(&share) else { return };
            let part = download.part_at(at);
            let until = download.part_range(part).end.min(inside);
            whole |= match payload {
                Payload::Bytes(bytes) => {
                    let first = usize::try_from(at - offset).unwrap_or(usize::MAX);
                    let after = usize::try_from(until - offset).unwrap_or(usize::MAX);
                    self.take_bytes(share, lease, part, at, &bytes[first..after])
                }
                Payload::Token(token) => self.take_token(share, lease, part, at..until, token, offset),
            };
            at = until;
        }
        if whole || !self.spills.is_empty() {
            self.issue(false);
        }
        self.look_at_congestion();
    }

    /// Sends what is whole on its way without waiting for a full batch, as far as jobs may be out.
    pub fn flush(&mut self) {
        self.issue(true);
    }

    /// Takes the answer to a job: the job itself, for its buffers, and as many findings as [`Job::findings`] says, in its order; what has no
    /// finding counts as not written.
    pub fn job_done(&mut self, id: JobId, job: Job, findings: Vec<Finding>) {
        let Some(out) = self.jobs.remove(&id) else { return };
        self.queued_bytes = self.queued_bytes.saturating_sub(out.bytes);
        if out.spill {
            self.spilling_bytes = self.spilling_bytes.saturating_sub(out.bytes);
        }
        let share = job.share();
        let mut findings = findings.into_iter();
        let mut next = || findings.next().unwrap_or_else(|| Finding::Unwritten("the job was not finished".into()));
        let mut trouble = None;
        match job {
            Job::VerifyAndWrite { parts, .. } => {
                for whole in parts {
                    self.pool.give(whole.bytes);
                    trouble = trouble.or(self.conclude(share, whole.part, next()));
                }
            }
            Job::ReadBack { parts, .. } => {
                for part in parts {
                    trouble = trouble.or(self.conclude(share, part, next()));
                }
            }
            Job::Spill { runs, .. } => {
                for run in runs {
                    self.pool.give(run.bytes);
                    match next() {
                        Finding::Unwritten(why) => trouble = trouble.or(Some(why)),
                        Finding::Good | Finding::Bad => self.spill_done(share, run.part),
                    }
                }
            }
        }
        if let Some(why) = trouble {
            self.pause(share, why);
        }
        self.issue(false);
        self.look_at_congestion();
    }

    /// The next thing to do, in the order in which things came about.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Whether so much waits for hashing and disk that nothing more should be delivered until [`Action::Relieved`].
    #[must_use]
    pub fn congested(&self) -> bool {
        self.congested
    }

    /// How many parts are whole and wait for a full batch or [`Self::flush`].
    #[must_use]
    pub fn waiting_parts(&self) -> usize {
        self.waiting
    }

    /// How many parts of a download have come as a whole and have no verdict yet.
    #[must_use]
    pub fn whole_parts(&self, share: ShareId) -> u32 {
        self.downloads.get(&share).map_or(0, |download| download.whole)
    }

    /// How many jobs are out.
    #[must_use]
    pub fn jobs_out(&self) -> usize {
        self.jobs.len()
    }

    /// How far a download is; `None` when there is no such download.
    #[must_use]
    pub fn progress(&self, share: ShareId) -> Option<Progress> {
        let download = self.downloads.get(&share)?;
        Some(Progress { verified_bytes: download.verified_bytes, wanted_bytes: download.wanted_bytes })
    }

    /// The good parts of a download, wanted or not.
    #[must_use]
    pub fn held(&self, share: ShareId) -> Option<Ranges> {
        self.downloads.get(&share).map(Download::held)
    }

    /// What came for nothing.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Bytes of all buffers; never over [`Config::buffer_bytes_max`].
    #[must_use]
    pub fn buffer_bytes(&self) -> u64 {
        self.pool.bytes()
    }

    /// Whether bytes for this part are of use; otherwise says so and counts them.
    fn admits(&mut self, share: ShareId, lease: LeaseId, part: u32, range: Range<u64>) -> Option<&mut Download> {
        let download = self.downloads.get_mut(&share)?;
        let bytes = range.end - range.start;
        if download.good.contains(part) || download.open.get(&part).is_some_and(|open| open.stage != Stage::Filling) {
            self.counters.duplicate_bytes += bytes;
            self.actions.push_back(Action::Judged(lease, range, Verdict::Duplicate));
            return None;
        }
        if download.paused || !download.wanted_parts.contains(part) {
            self.counters.outside_bytes += bytes;
            return None;
        }
        Some(download)
    }

    /// Says what of `range` has come before, and returns the rest.
    fn unknown(&mut self, share: ShareId, lease: LeaseId, part: u32, range: Range<u64>) -> Ranges {
        let known = self.downloads.get(&share).and_then(|download| download.open.get(&part)).map(|open| open.have.within(range.clone()));
        let known = known.unwrap_or_default();
        let mut rest = Ranges::of(range);
        for span in known.iter() {
            self.counters.duplicate_bytes += span.end - span.start;
            rest.remove(span.clone());
            self.actions.push_back(Action::Judged(lease, span, Verdict::Duplicate));
        }
        rest
    }

    /// Takes bytes of one part; returns whether it is whole by them.
    fn take_bytes(&mut self, share: ShareId, lease: LeaseId, part: u32, at: u64, bytes: &[u8]) -> bool {
        let range = at..at + bytes.len() as u64;
        let Some(download) = self.admits(share, lease, part, range.clone()) else { return false };
        let (start, segment_bytes) = (download.part_range(part).start, download.segment_bytes);
        for gap in self.unknown(share, lease, part, range).iter() {
            for index in (gap.start - start) / segment_bytes..(gap.end - start).div_ceil(segment_bytes) {
                let segment_start = start + index * segment_bytes;
                let piece = gap.start.max(segment_start)..gap.end.min(segment_start + segment_bytes);
                let (Ok(first), Ok(after)) = (usize::try_from(piece.start - at), usize::try_from(piece.end - at)) else { return false };
                self.store(share, lease, part, index, piece, &bytes[first..after]);
            }
        }
        self.see_whether_whole(share, part)
    }

    /// Copies bytes into one segment, taking memory for it where there is none.
    fn store(&mut self, share: ShareId, lease: LeaseId, part: u32, index: u64, range: Range<u64>, bytes: &[u8]) {
        let now = self.deliveries;
        let Some(download) = self.downloads.get_mut(&share) else { return };
        let place = download.segment_range(part, index);
        let segment_bytes = download.segment_bytes;
        let open = download.open.entry(part).or_insert_with(OpenPart::new);
        if open.segment(index).is_none() {
            let size = usize::try_from(segment_bytes).unwrap_or(usize::MAX);
            let used = usize::try_from(place.end - place.start).unwrap_or(usize::MAX);
            let Some(buffer) = self.pool.take(size, used) else {
                download.starved.insert(lease);
                self.congested = true;
                self.counters.dropped_bytes += bytes.len() as u64;
                return;
            };
            open.segments.push(Segment { index, buffer, fresh: Ranges::new(), touched: now });
        }
        let Some(segment) = open.segment(index) else { return };
        let (Ok(from), Ok(to)) = (usize::try_from(range.start - place.start), usize::try_from(range.end - place.start)) else { return };
        segment.buffer[from..to].copy_from_slice(bytes);
        segment.fresh.insert(range.start - place.start..range.end - place.start);
        segment.touched = now;
        open.have.insert(range);
        open.given_by(lease);
        if !download.fits && open.have.covers(place) {
            self.spill(share, part, index);
        }
        // Half parts that wait for their sources must leave room: what is lent without a job may take five eighths, congestion begins at six.
        while self.pool.lent_bytes() > self.config.buffer_bytes_max / 8 * 5 + self.spilling_bytes && self.spill_the_oldest(now) {}
    }

    /// Takes a token of one part; returns whether a job waits by it.
    fn take_token(&mut self, share: ShareId, lease: LeaseId, part: u32, range: Range<u64>, token: &Token, offset: u64) -> bool {
        if self.admits(share, lease, part, range.clone()).is_none() {
            return false;
        }
        let unknown = self.unknown(share, lease, part, range);
        let Some(download) = self.downloads.get_mut(&share) else { return false };
        let right = token.honest && token.range.start == offset && download.content.is_none_or(|content| content == token.content);
        let whole = download.part_range(part);
        let open = download.open.entry(part).or_insert_with(OpenPart::new);
        for gap in unknown.iter() {
            open.have.insert(gap);
            open.tokens = Some(open.tokens.unwrap_or(true) && right);
            open.given_by(lease);
        }
        if open.have.covers(whole) {
            // Real bytes among tokens prove nothing.
            let right = open.tokens == Some(true) && open.segments.is_empty() && !open.spilled;
            self.conclude(share, part, if right { Finding::Good } else { Finding::Bad });
        }
        false
    }

    /// Moves a part on when all its bytes have come; returns whether a job waits for it.
    fn see_whether_whole(&mut self, share: ShareId, part: u32) -> bool {
        let Some(download) = self.downloads.get_mut(&share) else { return false };
        let range = download.part_range(part);
        let Some(open) = download.open.get_mut(&part) else { return false };
        if open.stage != Stage::Filling || !open.have.covers(range.clone()) {
            return false;
        }
        if open.tokens.is_some() {
            self.conclude(share, part, Finding::Bad);
            return false;
        }
        download.whole += 1;
        if !open.spilled {
            open.stage = Stage::Ready;
            download.ready.push_back(part);
            self.waiting += 1;
            download.ready_bytes += range.end - range.start;
            self.queued_bytes += open.segments.iter().map(|segment| segment.buffer.size()).sum::<u64>();
            return true;
        }
        open.stage = Stage::Settling;
        let rest: Vec<u64> = open.segments.iter().map(|segment| segment.index).collect();
        for index in rest {
            self.spill(share, part, index);
        }
        self.see_whether_settled(share, part);
        true
    }

    /// Queues a segment for being written without proof.
    fn spill(&mut self, share: ShareId, part: u32, index: u64) {
        let Some(download) = self.downloads.get_mut(&share) else { return };
        let offset = download.segment_range(part, index).start;
        let Some(open) = download.open.get_mut(&part) else { return };
        let Some(segment) = open.take_segment(index) else { return };
        open.spilled = true;
        open.spills += 1;
        self.spilling_bytes += segment.buffer.size();
        self.queued_bytes += segment.buffer.size();
        self.spills.push_back(Spill { share, run: Run { part, offset, bytes: segment.buffer, ranges: segment.fresh } });
    }

    /// Spills the segment that has waited longest for bytes; returns whether there was one beside those touched at `now`.
    fn spill_the_oldest(&mut self, now: u64) -> bool {
        let oldest = self
            .downloads
            .iter()
            .flat_map(|(&share, download)| download.open.iter().map(move |(&part, open)| (share, part, open)))
            .filter(|(_, _, open)| open.stage == Stage::Filling)
            .flat_map(|(share, part, open)| open.segments.iter().map(move |segment| (segment.touched, share, part, segment.index)))
            .min();
        match oldest {
            Some((touched, share, part, index)) if touched < now => {
                self.spill(share, part, index);
                true
            }
            _ => false,
        }
    }

    fn spill_done(&mut self, share: ShareId, part: u32) {
        if let Some(open) = self.downloads.get_mut(&share).and_then(|download| download.open.get_mut(&part)) {
            open.spills = open.spills.saturating_sub(1);
            self.see_whether_settled(share, part);
        }
    }

    fn see_whether_settled(&mut self, share: ShareId, part: u32) {
        let Some(download) = self.downloads.get_mut(&share) else { return };
        if let Some(open) = download.open.get_mut(&part)
            && open.stage == Stage::Settling
            && open.spills == 0
        {
            open.stage = Stage::Spilled;
            download.spilled.push_back(part);
        }
    }

    /// Takes the finding about a part. Returns why it could not be written.
    fn conclude(&mut self, share: ShareId, part: u32, finding: Finding) -> Option<String> {
        let download = self.downloads.get_mut(&share)?;
        let range = download.part_range(part);
        match finding {
            Finding::Unwritten(why) => return Some(why),
            Finding::Good if !download.good.contains(part) => {
                self.close(share, part);
                let download = self.downloads.get_mut(&share)?;
                download.good.insert(part);
                for &lease in &download.leases {
                    self.actions.push_back(Action::Judged(lease, range.clone(), Verdict::Good));
                }
                if download.wanted_parts.contains(part) {
                    download.verified_bytes += download.wanted.within(range).total();
                    download.missing -= 1;
                    if download.missing == 0 {
                        self.actions.push_back(Action::Complete(share));
                    }
                }
            }
            Finding::Good => {}
            Finding::Bad => {
                // A part that was paused away while its job was out has nobody to blame.
                let givers = self.close(share, part).map(|open| open.givers).unwrap_or_default();
                let download = self.downloads.get_mut(&share)?;
                self.counters.bad_bytes += range.end - range.start;
                for lease in givers.into_iter().filter(|lease| download.leases.contains(lease)) {
                    self.actions.push_back(Action::Judged(lease, range.clone(), Verdict::Bad));
                }
            }
        }
        None
    }

    /// Forgets what came of a part, wherever it waits.
    fn close(&mut self, share: ShareId, part: u32) -> Option<OpenPart> {
        let download = self.downloads.get_mut(&share)?;
        let mut open = download.open.remove(&part)?;
        download.whole -= u32::from(open.stage != Stage::Filling);
        let range = download.part_range(part);
        if open.stage == Stage::Ready {
            download.ready.retain(|&other| other != part);
            self.waiting -= 1;
            download.ready_bytes -= range.end - range.start;
            self.queued_bytes -= open.segments.iter().map(|segment| segment.buffer.size()).sum::<u64>();
        }
        if open.stage == Stage::Spilled {
            download.spilled.retain(|&other| other != part);
        }
        for segment in open.segments.drain(..) {
            self.pool.give(segment.buffer);
        }
        Some(open)
    }

    /// Stops a download until it is resumed: whatever is not good is forgotten, and no lease covers anything.
    fn pause(&mut self, share: ShareId, why: String) {
        let Some(mut download) = self.downloads.remove(&share) else { return };
        self.clear(share, &mut download);
        let told = std::mem::replace(&mut download.paused, true);
        for &lease in download.leases.iter().filter(|_| !told) {
            self.actions.push_back(Action::Leased(lease, Ranges::new()));
        }
        self.downloads.insert(share, download);
        if !told {
            self.actions.push_back(Action::Failed(share, why));
        }
    }

    /// Gives back all memory of a download but what is in jobs.
    fn clear(&mut self, share: ShareId, download: &mut Download) {
        for (_, open) in std::mem::take(&mut download.open) {
            for segment in open.segments {
                self.queued_bytes -= if open.stage == Stage::Ready { segment.buffer.size() } else { 0 };
                self.pool.give(segment.buffer);
            }
        }
        (download.whole, download.ready_bytes) = (0, 0);
        self.waiting -= download.ready.len();
        download.ready.clear();
        download.spilled.clear();
        let (gone, rest) = std::mem::take(&mut self.spills).into_iter().partition(|spill: &Spill| spill.share == share);
        self.spills = rest;
        for spill in gone {
            self.spilling_bytes -= spill.run.bytes.size();
            self.queued_bytes -= spill.run.bytes.size();
            self.pool.give(spill.run.bytes);
        }
    }

    fn lend_again(&mut self, share: ShareId) {
        let leases = self.downloads.get(&share).map(|download| download.leases.clone()).unwrap_or_default();
        for lease in leases {
            self.lend(lease, share);
        }
    }

    /// Sends jobs out as far as allowed: what frees memory first, then what has waited on disk, then full batches. Batches that are not full go
    /// when `all` is set or nothing more can join them.
    fn issue(&mut self, all: bool) {
        while self.jobs.len() < self.config.jobs_max {
            let Some(job) = self.spill_job().or_else(|| self.read_back_job()).or_else(|| self.verify_job(all)) else { break };
            self.jobs_made += 1;
            let id = JobId(self.jobs_made);
            let (bytes, spill) = match &job {
                Job::VerifyAndWrite { parts, .. } => (parts.iter().map(|whole| whole.bytes.size()).sum(), false),
                Job::Spill { runs, .. } => (runs.iter().map(|run| run.bytes.size()).sum(), true),
                Job::ReadBack { .. } => (0, false),
            };
            self.jobs.insert(id, Out { bytes, spill });
            self.actions.push_back(Action::Job(id, job));
        }
    }

    fn spill_job(&mut self) -> Option<Job> {
        let share = self.spills.front()?.share;
        let mut runs = Vec::new();
        let mut bytes = 0;
        while let Some(spill) = self.spills.pop_front_if(|spill| spill.share == share && bytes < self.config.batch_bytes_min) {
            bytes += spill.run.bytes.size();
            runs.push(spill.run);
        }
        Some(Job::Spill { share, runs })
    }

    fn read_back_job(&mut self) -> Option<Job> {
        let share = self.next_share(|download| !download.spilled.is_empty())?;
        let download = self.downloads.get_mut(&share)?;
        let count = download.spilled.len().min(self.config.batch_parts.max(1));
        let parts: Vec<u32> = download.spilled.drain(..count).collect();
        for part in &parts {
            if let Some(open) = download.open.get_mut(part) {
                open.stage = Stage::InJob;
            }
        }
        Some(Job::ReadBack { share, parts })
    }

    fn verify_job(&mut self, all: bool) -> Option<Job> {
        let (parts_full, bytes_min, bytes_max) = (self.config.batch_parts.max(1), self.config.batch_bytes_min, self.config.batch_bytes_max);
        let full = |download: &Download| {
            let full = (download.ready.len() >= parts_full && download.ready_bytes >= bytes_min) || download.ready_bytes >= bytes_max;
            !download.ready.is_empty() && (full || download.nothing_more_comes())
        };
        let share = self.next_share(full).or_else(|| self.next_share(|download| all && !download.ready.is_empty()))?;
        let download = self.downloads.get_mut(&share)?;
        let (mut parts, mut bytes) = (Vec::with_capacity(parts_full), 0);
        while let Some(&part) = download.ready.front() {
            let range = download.part_range(part);
            let length = range.end - range.start;
            if !parts.is_empty() && (bytes + length > bytes_max || (parts.len() >= parts_full && bytes >= bytes_min)) {
                break;
            }
            download.ready.pop_front();
            self.waiting -= 1;
            download.ready_bytes -= length;
            bytes += length;
            let buffer: Option<Buffer> = download.open.get_mut(&part).and_then(|open| {
                open.stage = Stage::InJob;
                open.segments.pop().map(|segment| segment.buffer)
            });
            if let Some(buffer) = buffer {
                parts.push(WholePart { part, offset: range.start, bytes: buffer });
            }
        }
        Some(Job::VerifyAndWrite { share, parts })
    }

    /// The share whose turn it is among those that `fits` says.
    fn next_share(&mut self, fits: impl Fn(&Download) -> bool) -> Option<ShareId> {
        let after = self.downloads.range((Bound::Excluded(self.turn), Bound::Unbounded));
        let share = after.chain(self.downloads.range(..=self.turn)).find(|(_, download)| fits(download)).map(|(&share, _)| share)?;
        self.turn = share;
        Some(share)
    }

    fn look_at_congestion(&mut self) {
        let eighth = self.config.buffer_bytes_max / 8;
        let lent = self.pool.lent_bytes();
        if !self.congested && lent > eighth * 6 {
            self.congested = true;
        } else if self.congested && lent <= eighth * 5 && self.queued_bytes <= eighth * 4 {
            self.congested = false;
            self.actions.push_back(Action::Relieved);
            let starved: Vec<(LeaseId, ShareId)> = self
                .downloads
                .iter_mut()
                .flat_map(|(&share, download)| std::mem::take(&mut download.starved).into_iter().map(move |lease| (lease, share)))
                .collect();
            for (lease, share) in starved {
                self.lend(lease, share);
            }
        }
    }
}
