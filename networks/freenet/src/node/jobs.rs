//! What users have asked for and is under way: fetches and insertions of whole files, block by block.

use bytes::Bytes;
use hexad_core::{Answer, Context, Failure, OpId, Progress};

use super::getting::Get;
use super::putting::Put;
use super::walks::Outcome;
use super::{Node, Out, failed};
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
        if let Some(Job::Get(_)) = self.jobs.get(&job) {
            self.on_get_timer(job, cx, out);
        }
    }

    /// A user no longer wants something. What has been inserted cannot be taken back: it is forgotten when nobody asks for it.
    pub(super) fn cancel_job(&mut self, op: OpId, _: &mut Context<'_>, out: &mut Out<A>) {
        let before = self.jobs.len();
        self.jobs.retain(|_, job| job.op() != op);
        if self.jobs.len() < before || self.published.remove(&op) {
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
