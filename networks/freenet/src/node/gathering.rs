//! The blocks of a fetch: which are under way, what has come and goes to memory or to the session, segments that are restored. Blocks are asked for in
//! random order, data blocks first; check blocks only where a data block is missed.

use bytes::Bytes;
use hexad_content::Ranges;
use hexad_core::{Answer, Ask, Context, CpuJob, CpuResult, Failure, LeaseId, Output, Payload, Progress, Verdict};

use super::download::{Download, Loss, Pick};
use super::getting::{Purpose, Ready, Stage};
use super::walks::{Kind, Miss, Outcome, Whose};
use super::{Node, Out, Pending, Timer};
use crate::document::BlockKey;
use crate::keys::{CHK_DATA_BYTES, ClientChk, NodeKey};
use crate::place::Place;

/// Restored blocks of one segment that are inserted again.
const HEALED_MAX: usize = 8;
impl<A: Place> Node<A> {
    /// What the session wants.
    pub(super) fn on_leased(&mut self, lease: LeaseId, ranges: Ranges, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(job) = self.job_of(lease) else { return };
        let Some(get) = self.get_of(job) else { return };
        if ranges.is_empty() {
            let op = get.op;
            self.jobs.remove(&job);
            return out.report(op, Progress::Done);
        }
        if !matches!(get.stage, Stage::Described | Stage::Data) {
            return;
        }
        get.stage = Stage::Data;
        get.missing = ranges.clone();
        if let Some(bytes) = &get.buffered {
            let total = bytes.len() as u64;
            for range in ranges.within(0..total).iter() {
                let (start, end) = (usize::try_from(range.start).unwrap_or(0), usize::try_from(range.end).unwrap_or(0));
                out.push(Output::Deliver(lease, range.start, Payload::Bytes(bytes.slice(start..end))));
            }
            return;
        }
        let Some(download) = &mut get.download else { return };
        // What was delivered and is not judged yet is on its way.
        download.wanted = ranges;
        download.wanted.remove_all(&download.delivered);
        for (base, bytes) in download.inline.clone() {
            self.ready_bytes(job, &Ready(base, bytes), out);
        }
        self.pump_get(job, cx, out);
    }

    /// Other networks bring some of it.
    pub(super) fn on_elsewhere(&mut self, lease: LeaseId, ranges: Ranges, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(job) = self.job_of(lease) else { return };
        let Some(get) = self.get_of(job) else { return };
        if get.others.bring(ranges) {
            let under_way = get.download.as_ref().map(Download::under_way).unwrap_or_default();
            get.others.claim(lease, under_way, out);
        }
        if get.stage == Stage::Data {
            self.pump_get(job, cx, out);
        }
    }

    pub(super) fn on_judged(
        &mut self,
        lease: LeaseId,
        range: std::ops::Range<u64>,
        verdict: Verdict,
        cx: &mut Context<'_>,
        out: &mut Out<A>,
    ) {
        let Some(job) = self.job_of(lease) else { return };
        if verdict == Verdict::Bad {
            // Every block was what its key says: whoever made the document did not tell the truth in it.
            return self.fail_job(job, Failure::Unusable("the publisher's own hashes do not fit what was published".into()), out);
        }
        if matches!(verdict, Verdict::Mixed | Verdict::Lie) {
            // What came from here was what its keys say; whoever else has it can bring the rest.
            return;
        }
        let Some(get) = self.get_of(job).filter(|get| !get.missing.is_empty()) else { return };
        get.missing.remove(range.clone());
        if get.missing.is_empty() {
            let op = get.op;
            self.jobs.remove(&job);
            return out.report(op, Progress::Done);
        }
        if let Some(download) = get.download.as_mut().filter(|_| !get.others.is_empty()) {
            download.came_elsewhere(range);
            get.others.look_again();
            self.pump_get(job, cx, out);
        }
    }

    /// Bytes of the layout that are known: into memory, or to the session where it wants them.
    pub(super) fn ready_bytes(&mut self, job: u64, ready: &Ready, out: &mut Out<A>) {
        let Some(get) = self.get_of(job) else { return };
        let Some(download) = &mut get.download else { return };
        let Ready(base, bytes) = ready;
        let range = *base..*base + bytes.len() as u64;
        if let Some(memory) = &mut download.memory {
            let (start, end) = (usize::try_from(range.start).unwrap_or(usize::MAX), usize::try_from(range.end).unwrap_or(usize::MAX));
            if let Some(place) = memory.get_mut(start..end) {
                place.copy_from_slice(bytes);
            }
            download.delivered.insert(range);
            return;
        }
        let Purpose::Lease(lease) = get.purpose else { return };
        for part in download.wanted.within(range).iter() {
            let (start, end) = (usize::try_from(part.start - base).unwrap_or(0), usize::try_from(part.end - base).unwrap_or(0));
            out.push(Output::Deliver(lease, part.start, Payload::Bytes(bytes.slice(start..end))));
            download.delivered.insert(part.clone());
            download.wanted.remove(part);
        }
    }

    /// Asks for as many blocks as may be under way.
    pub(super) fn pump_get(&mut self, job: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let htl = self.config.0.htl_max;
        loop {
            let Some(get) = self.get_of(job) else { return };
            let Some(download) = &mut get.download else { return };
            if download.memory.is_some() && !download.inline.is_empty() {
                for (base, bytes) in std::mem::take(&mut download.inline) {
                    self.ready_bytes(job, &Ready(base, bytes), out);
                }
                continue;
            }
            if download.is_busy() {
                return;
            }
            if !get.pace.may_go(job, cx.now, out) {
                return;
            }
            let Some(Pick { part, key, data }) = download.pick(&get.others, cx.dice) else {
                if let Purpose::Lease(lease) = get.purpose
                    && download.memory.is_none()
                    && !download.wanted.is_empty()
                {
                    get.others.starve(lease, out);
                }
                break;
            };
            if let Purpose::Lease(lease) = get.purpose
                && let Some(range) = data
            {
                get.others.claim(lease, Ranges::of(range), out);
            }
            get.pace.goes();
            let key = NodeKey::Chk(key.routing);
            self.begin(Kind::Request, key, htl, Whose::Job(job, part), None, cx, out);
        }
        self.look_whether_whole(job, cx, out);
    }

    pub(super) fn look_whether_whole(&mut self, job: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(get) = self.get_of(job) else { return };
        let Some(download) = &mut get.download else { return };
        if download.memory.is_none() || !download.delivered.covers(0..download.total) {
            return;
        }
        let bytes = Bytes::from(download.memory.take().unwrap_or_default());
        let outer = get.stage == Stage::Outer;
        get.download = None;
        if outer { self.on_document_bytes(job, &bytes, cx, out) } else { self.on_stored_bytes(job, bytes, cx, out) }
    }

    /// A block of the content has come, or has not.
    pub(super) fn on_part(&mut self, job: u64, part: u32, outcome: Outcome, cx: &mut Context<'_>, out: &mut Out<A>) {
        let settings = self.config.clone();
        let Some(get) = self.get_of(job) else { return };
        let Some(download) = &mut get.download else { return };
        let Some((number, index)) = download.answered(part) else { return };
        let segment = &download.segments[number];
        let (block, miss) = match outcome {
            Outcome::Block(block) => (Some(block), Miss::NotFound),
            Outcome::Missed(miss) => (None, miss),
            Outcome::Stored | Outcome::Hops(_) => (None, Miss::NotFound),
        };
        let range = segment.range(index);
        let plain = block.and_then(|block| ClientChk::from(segment.keys[index]).decode(&block).ok()).filter(|plain| {
            let length = if index < segment.shape.data { range.end - range.start } else { CHK_DATA_BYTES as u64 };
            plain.len() as u64 == length
        });
        let Some(plain) = plain else {
            let tries_max = get.retries.saturating_add(1).max(settings.0.tries.into());
            match download.lose(number, index, miss, tries_max, cx.now, cx.dice) {
                Loss::Again(at) => out.wake(at, Timer::Job(job)),
                Loss::Spared => {}
                Loss::Fatal => {
                    let lost = "blocks of the file are lost, more than its check blocks can restore";
                    return self.fail_job(job, Failure::NotFound(lost.into()), out);
                }
            }
            self.tell_get(job, cx, out);
            return self.pump_get(job, cx, out);
        };
        let data = segment.shape.data;
        let base = range.start;
        download.gain(number, index, plain.clone(), settings.0.window_max);
        self.tell_get(job, cx, out);
        if index < data {
            self.ready_bytes(job, &Ready(base, plain), out);
        }
        self.tend_segment(job, number, out);
        self.pump_get(job, cx, out);
    }

    /// Says how far a fetch into memory is.
    pub(super) fn tell_get(&mut self, job: u64, cx: &Context<'_>, out: &mut Out<A>) {
        let Some(get) = self.get_of(job) else { return };
        if let (Purpose::Memory(_), Stage::Data, Some(download)) = (&get.purpose, get.stage, &get.download) {
            get.teller.tell(get.op, download.counts(), cx.now, out);
        }
    }

    /// Looks whether a segment is over, or can be restored.
    pub(super) fn tend_segment(&mut self, job: u64, number: usize, out: &mut Out<A>) {
        let Some(get) = self.get_of(job) else { return };
        let Some(segment) = get.download.as_mut().and_then(|download| download.segments.get_mut(number)) else { return };
        if !segment.tend() {
            return;
        }
        let block = |index: usize| {
            let plain = segment.got.get(&index)?;
            Some(if plain.len() == CHK_DATA_BYTES { plain.clone() } else { crate::keys::padded(plain).into() })
        };
        let blocks = (0..segment.keys.len()).map(block).collect();
        let originals = segment.shape.data;
        let question = u32::try_from(number).unwrap_or(u32::MAX - 1) + 1;
        self.ask(Pending::Job(job, question), Ask::Work(CpuJob::Decode { blocks, originals }), out);
    }

    pub(super) fn on_get_answer(&mut self, job: u64, question: u32, answer: Answer, cx: &mut Context<'_>, out: &mut Out<A>) {
        if question == 0 {
            return match answer {
                Answer::Worked(CpuResult::Bytes(bytes)) => self.on_bytes(job, bytes, cx, out),
                _ => self.fail_job(job, Failure::Unusable("the file cannot be inflated".into()), out),
            };
        }
        let number = question as usize - 1;
        let Some(get) = self.get_of(job) else { return };
        let Some(segment) = get.download.as_mut().and_then(|download| download.segments.get_mut(number)) else { return };
        let Answer::Worked(CpuResult::Blocks(blocks)) = answer else {
            return self.fail_job(job, Failure::Unusable("a segment cannot be restored".into()), out);
        };
        segment.over = true;
        let restored: Vec<(usize, u64, Bytes)> = blocks
            .into_iter()
            .enumerate()
            .take(segment.shape.data)
            .filter(|(index, _)| !segment.got.contains_key(index))
            .map(|(index, block)| {
                let range = segment.range(index);
                let length = usize::try_from(range.end - range.start).unwrap_or(0).min(block.len());
                (index, range.start, block.slice(..length))
            })
            .collect();
        segment.got.clear();
        let keys: Vec<BlockKey> = restored.iter().map(|(index, ..)| segment.keys[*index]).collect();
        let htl = self.config.0.htl_max;
        for (healed, ((_, base, bytes), key)) in restored.into_iter().zip(keys).enumerate() {
            // What was lost is inserted again, which looks like any other insert.
            if healed < HEALED_MAX
                && let Some((made, block)) = ClientChk::encode(&bytes, false)
                && made.routing == key.routing
            {
                self.begin(Kind::Insert, block.key, htl, Whose::Wanting, Some(block), cx, out);
            }
            self.ready_bytes(job, &Ready(base, bytes), out);
        }
        self.pump_get(job, cx, out);
    }
}
