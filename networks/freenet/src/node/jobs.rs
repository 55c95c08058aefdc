//! What users have asked for and is under way: fetches and insertions of whole files, block by block.

use bytes::Bytes;
use hexad_core::{Answer, Context, Failure, OpId, Progress, Span, Time};

use super::getting::Get;
use super::putting::Put;
use super::walks::Outcome;
use super::{Node, Out, Reply, Timer, failed};
use crate::place::Place;

/// One file of an insertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutFile {
    /// Where it is in the directory; empty for a single file.
    pub path: String,
    /// Type, where it is known.
    pub mime: Option<String>,
    /// The file; empty for a redirect.
    pub bytes: Bytes,
    /// The name stands for something under another key.
    pub redirect: Option<String>,
}

/// How far a fetch or an insertion is, in blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All there are, as far as it is known.
    pub total: u64,
    /// So many of them are enough.
    pub required: u64,
    /// So many are there.
    pub succeeded: u64,
    /// So many are given up.
    pub failed: u64,
    /// `total` does not grow any more.
    pub is_final: bool,
}

/// Between two words on how far a job is.
const TELL_EVERY: Span = Span::from_millis(500);

/// Says how far a job is, not too often.
#[derive(Clone, Copy, Debug, Default)]
pub struct Teller {
    told: Option<(Time, Counts)>,
}

impl Teller {
    /// Whether anything was said.
    pub(super) const fn has_told(&self) -> bool {
        self.told.is_some()
    }

    /// Says it, if there is something to say that was not said a moment ago. That all is there is always said.
    pub(super) fn tell<A: Place>(&mut self, op: OpId, counts: Counts, now: Time, out: &mut Out<A>) {
        let is_worth_it = self.told.is_none_or(|(at, told)| {
            told != counts && (now.since(at) >= TELL_EVERY || counts.succeeded >= counts.required || told.total != counts.total)
        });
        if is_worth_it {
            self.told = Some((now, counts));
            out.report(op, Progress::Own(Reply::Counted(counts)));
        }
    }
}

/// Between two blocks of one job: a burst of requests out of one node would show where they begin, be their blocks near or far.
const STEP: Span = Span::from_millis(3);
/// So many may be made up for when the clock was late.
const LATE_MAX: Span = Span::from_millis(12);

/// When the next block of a job is due.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    next: Time,
    waits: bool,
}

impl Pace {
    /// Whether the next block may go at once; if not, the job is woken when it may.
    pub(super) fn may_go<A: Place>(&mut self, job: u64, now: Time, out: &mut Out<A>) -> bool {
        if now < self.next {
            if !self.waits {
                self.waits = true;
                out.wake(self.next, Timer::Pace(job));
            }
            return false;
        }
        let earliest = Time::from_micros(now.as_micros().saturating_sub(u64::try_from(LATE_MAX.as_micros()).unwrap_or(0)));
        self.next = self.next.max(earliest);
        true
    }

    /// One goes.
    pub(super) fn goes(&mut self) {
        self.next = self.next + STEP;
    }

    /// The clock has come.
    pub(super) const fn woken(&mut self) {
        self.waits = false;
    }
}

/// A job.
#[derive(Clone, Debug)]
pub enum Job {
    /// Something is fetched.
    Get(Box<Get>),
    /// Something is inserted.
    Put(Box<Put>),
}

impl Job {
    pub(super) fn op(&self) -> OpId {
        match self {
            Self::Get(get) => get.op,
            Self::Put(put) => put.op,
        }
    }
}

impl<A: Place> Node<A> {
    /// Room for another job, and its number; the operation has failed where there is none.
    pub(super) fn new_job(&mut self, op: OpId, out: &mut Out<A>) -> Option<u64> {
        if self.jobs.len() >= self.config.0.jobs_max {
            failed(op, Failure::Full("fetches and insertions"), out);
            return None;
        }
        self.last_job += 1;
        Some(self.last_job)
    }

    pub(super) fn on_job_outcome(&mut self, job: u64, part: u32, outcome: Outcome, cx: &mut Context<'_>, out: &mut Out<A>) {
        match self.jobs.get(&job) {
            Some(Job::Get(_)) => self.on_get_outcome(job, part, outcome, cx, out),
            Some(Job::Put(_)) => self.on_put_outcome(job, part, outcome, cx, out),
            None => {}
        }
    }

    pub(super) fn on_job_answer(&mut self, job: u64, question: u32, answer: Answer, cx: &mut Context<'_>, out: &mut Out<A>) {
        match self.jobs.get(&job) {
            Some(Job::Get(_)) => self.on_get_answer(job, question, answer, cx, out),
            Some(Job::Put(_)) => self.on_put_answer(job, question, answer, cx, out),
            None => {}
        }
    }

    pub(super) fn on_job_timer(&mut self, job: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        match self.jobs.get(&job) {
            Some(Job::Get(_)) => self.on_get_timer(job, cx, out),
            Some(Job::Put(_)) => self.on_put_timer(job, cx, out),
            None => {}
        }
    }

    /// The next block of a job is due.
    pub(super) fn on_pace(&mut self, job: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        match self.jobs.get_mut(&job) {
            Some(Job::Get(get)) => {
                get.pace.woken();
                self.pump_get(job, cx, out);
            }
            Some(Job::Put(put)) => {
                put.pace.woken();
                self.pump_put(job, cx, out);
            }
            None => {}
        }
    }

    /// A user no longer wants something. What has been inserted cannot be taken back: it is forgotten when nobody asks for it.
    pub(super) fn cancel_job(&mut self, op: OpId, _: &mut Context<'_>, out: &mut Out<A>) {
        let before = self.jobs.len();
        self.jobs.retain(|_, job| job.op() != op);
        let waited = self.ended.len();
        self.ended.retain(|(whose, _)| *whose != super::Whose::User(op));
        // A walk goes on, for those who will ask for the same; its user hears nothing more.
        let walking = self.walks.values_mut().filter(|walk| *walk.whose() == super::Whose::User(op)).map(|walk| walk.disown()).count();
        if self.jobs.len() < before || walking > 0 || self.ended.len() < waited || self.published.remove(&op) {
            out.report(op, Progress::Ended);
        }
    }

    pub(super) fn fail_job(&mut self, job: u64, failure: Failure, out: &mut Out<A>) {
        if let Some(job) = self.jobs.remove(&job) {
            failed(job.op(), failure, out);
        }
    }

    /// We are leaving.
    pub(super) fn fail_jobs(&mut self, out: &mut Out<A>) {
        for job in std::mem::take(&mut self.jobs).into_values() {
            failed(job.op(), Failure::NotReady("left the network".into()), out);
        }
        self.ended.clear();
        for walk in self.walks.values() {
            if let super::Whose::User(op) = walk.whose() {
                failed(*op, Failure::NotReady("left the network".into()), out);
            }
        }
    }
}
