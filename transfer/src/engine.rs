//! The engine: takes what sources deliver, has it verified and written, and tells everybody what was found.

mod batches;
mod dividing;
mod intake;
mod traces;

use std::collections::VecDeque;
use std::sync::Arc;

use hexad_content::{Layout, Proof, Ranges, Sha1Digest};
use hexad_core::{LeaseId, Map, Payload, ShareId, Verdict};
use thiserror::Error;

use crate::download::{Alone, Download, OpenPart, Stage};
use crate::job::{Action, Finding, Job, JobId, Run, block_digests};
use crate::pool::Pool;

use self::traces::Traces;

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

/// What is at hand of a part that was judged.
enum Seen<'a> {
    /// All of it.
    Bytes(&'a [u8]),
    /// What its blocks look like.
    Blocks(Vec<Sha1Digest>),
    Nothing,
}

impl Seen<'_> {
    fn blocks(self) -> Option<Vec<Sha1Digest>> {
        match self {
            Self::Bytes(bytes) => Some(block_digests(bytes)),
            Self::Blocks(blocks) => Some(blocks),
            Self::Nothing => None,
        }
    }
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

#[derive(Debug)]
struct Lease {
    share: ShareId,
    arrived_bytes: u64,
    bad_bytes: u64,
}

/// All downloads of this machine. Feed it, then take its [`Action`]s with [`Engine::next_action`].
#[derive(Debug)]
pub struct Engine {
    config: Config,
    pool: Pool,
    downloads: Map<ShareId, Download>,
    leases: Map<LeaseId, Lease>,
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
    traces: Traces,
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
            traces: Traces::default(),
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
        self.traces.forget_share(share);
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

    /// Lends all that is missing of a share to a source, which is told so with [`Action::Leased`]. Where it is not the only one, [`Action::Elsewhere`] tells each
    /// what others bring of it.
    pub fn lend(&mut self, lease: LeaseId, share: ShareId) {
        let Some(download) = self.downloads.get_mut(&share) else { return };
        let fresh = download.leases.insert(lease);
        self.divide(share, Some(lease).filter(|_| fresh));
        let Some(download) = self.downloads.get_mut(&share) else { return };
        let ranges = if download.paused { Ranges::new() } else { download.missing_ranges() };
        self.actions.push_back(Action::Leased(lease, ranges));
        let lent = self.leases.entry(lease).or_insert(Lease { share, arrived_bytes: 0, bad_bytes: 0 });
        let before = std::mem::replace(&mut lent.share, share);
        if before != share
            && let Some(other) = self.downloads.get_mut(&before)
        {
            other.leases.remove(&lease);
            self.divide(before, None);
        }
    }

    /// Ends a lease. What came under it stays.
    pub fn end(&mut self, lease: LeaseId) {
        if let Some(Lease { share, .. }) = self.leases.remove(&lease)
            && let Some(download) = self.downloads.get_mut(&share)
        {
            download.leases.remove(&lease);
            download.starved.remove(&lease);
            if download.division.is_divided() {
                self.divide(share, None);
            }
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
        let Some(lent) = self.leases.get_mut(&lease) else {
            self.counters.outside_bytes += payload.len();
            return;
        };
        lent.arrived_bytes += payload.len();
        let share = lent.share;
        let Some(download) = self.downloads.get(&share) else { return };
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
            if until <= at {
                // Padding belongs to no part, and nobody needs it.
                let next = (u64::from(part) + 1).saturating_mul(download.proof.part_bytes()).min(inside);
                self.counters.outside_bytes += next - at;
                at = next;
                continue;
            }
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
                    trouble = trouble.or(self.conclude(share, whole.part, Seen::Bytes(&whole.bytes), next()));
                    self.pool.give(whole.bytes);
                }
            }
            Job::ReadBack { parts, .. } => {
                for part in parts {
                    let (seen, finding) = match next() {
                        Finding::Looked { right, blocks } => (Seen::Blocks(blocks), if right { Finding::Good } else { Finding::Bad }),
                        finding => (Seen::Nothing, finding),
                    };
                    trouble = trouble.or(self.conclude(share, part, seen, finding));
                }
            }
            Job::Spill { runs, .. } => {
                for run in runs {
                    self.pool.give(run.bytes);
                    match next() {
                        Finding::Unwritten(why) => trouble = trouble.or(Some(why)),
                        _ => self.spill_done(share, run.part),
                    }
                }
            }
        }
        if let Some(why) = trouble {
            self.pause(share, why);
        }
        if self.downloads.is_empty() {
            self.pool.shrink();
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

    /// Bytes that have come under a lease, good or not; 0 when there is no such lease, or no longer.
    #[must_use]
    pub fn arrived_bytes(&self, lease: LeaseId) -> u64 {
        self.leases.get(&lease).map_or(0, |lent| lent.arrived_bytes)
    }

    /// Bytes of a lease in parts that it alone has given, and that turned out to be wrong.
    #[must_use]
    pub fn bad_bytes(&self, lease: LeaseId) -> u64 {
        self.leases.get(&lease).map_or(0, |lent| lent.bad_bytes)
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

    /// Takes the finding about a part, whose bytes are in memory or not. Returns why it could not be written.
    fn conclude(&mut self, share: ShareId, part: u32, seen: Seen<'_>, finding: Finding) -> Option<String> {
        let download = self.downloads.get_mut(&share)?;
        let range = download.part_range(part);
        match finding {
            Finding::Unwritten(why) => return Some(why),
            // Only who reads back looks.
            Finding::Looked { .. } => {}
            Finding::Good if !download.good.contains(part) => {
                self.close(share, part);
                let lies = self.traces.resolve(share, part, &range, || seen.blocks());
                let download = self.downloads.get_mut(&share)?;
                if let Some((lease, wrong)) = lies.filter(|(lease, _)| download.leases.contains(lease)) {
                    self.actions.extend(wrong.into_iter().map(|block| Action::Judged(lease, block, Verdict::Lie)));
                }
                download.division.good(&range);
                download.good.insert(part);
                download.alone.remove(&part);
                for &lease in &download.leases {
                    self.actions.push_back(Action::Judged(lease, range.clone(), Verdict::Good));
                }
                if download.wanted_parts.contains(part) {
                    download.verified_bytes += download.wanted.within(range).total();
                    download.missing -= 1;
                    if download.missing == 0 {
                        self.actions.push_back(Action::Complete(share));
                        if self.downloads.values().all(|download| download.missing == 0) {
                            self.pool.shrink();
                        }
                    }
                }
            }
            Finding::Good => {}
            Finding::Bad => {
                // A part that was paused away while its job was out has nobody to blame.
                let open = self.close(share, part);
                let told = open.as_ref().and_then(|open| open.tokens.map(|_| open.wrong.clone()));
                let givers = open.map(|open| open.givers).unwrap_or_default();
                match (givers.as_slice(), told) {
                    (&[lease], Some(wrong)) => self.traces.keep_told(share, part, lease, wrong),
                    (&[lease], None) if let Some(blocks) = seen.blocks() => self.traces.keep(share, part, lease, blocks),
                    _ => self.traces.forget(share, part),
                }
                let download = self.downloads.get_mut(&share)?;
                self.counters.bad_bytes += range.end - range.start;
                let verdict = if givers.len() > 1 { Verdict::Mixed } else { Verdict::Bad };
                if verdict == Verdict::Mixed || download.alone.contains_key(&part) {
                    download.alone.insert(part, Alone::default());
                }
                let again = givers.iter().find(|lease| download.leases.contains(lease)).copied();
                download.division.bad(&range, again);
                if let Some(giver) = again.filter(|_| download.division.is_divided()) {
                    self.actions.push_back(Action::Elsewhere(giver, download.division.elsewhere(giver)));
                }
                for lease in givers.iter().filter(|lease| download.leases.contains(lease)) {
                    if let Some(lent) = self.leases.get_mut(lease).filter(|_| verdict == Verdict::Bad) {
                        lent.bad_bytes += range.end - range.start;
                    }
                    self.actions.push_back(Action::Judged(*lease, range.clone(), verdict));
                }
                // The others think that somebody else has it.
                let others: Vec<LeaseId> = download.leases.iter().filter(|lease| !givers.contains(lease)).copied().collect();
                for lease in others {
                    self.lend(lease, share);
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
