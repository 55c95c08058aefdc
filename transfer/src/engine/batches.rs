//! What waits for a worker, and how it is put together into jobs.

use std::ops::Bound;

use hexad_core::ShareId;

use super::{Engine, Out};
use crate::download::{Download, Stage};
use crate::job::{Action, Job, JobId, WholePart};
use crate::pool::Buffer;

impl Engine {
    /// Sends jobs out as far as allowed: what frees memory first, then what has waited on disk, then full batches. Batches that are not full go
    /// when `all` is set or nothing more can join them.
    pub(super) fn issue(&mut self, all: bool) {
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
        let looked = parts.iter().copied().filter(|part| self.traces.knows(share, *part)).collect();
        Some(Job::ReadBack { share, parts, looked })
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
}
