//! From delivered bytes to whole parts: memory for them, and what is spilled when there is too little of it.

use std::ops::Range;

use hexad_content::Ranges;
use hexad_core::{LeaseId, ShareId, Token, Verdict};

use super::{Engine, Seen, Spill};
use crate::download::{Alone, Download, OpenPart, Segment, Stage};
use crate::job::{Action, Finding, Run};

/// Deliveries that go by without one to a part before another lease may have it.
const OWNER_PATIENCE: u64 = 64;

impl Engine {
    /// Whether bytes for this part are of use; otherwise says so and counts them.
    fn admits(&mut self, share: ShareId, lease: LeaseId, part: u32, range: Range<u64>) -> Option<&mut Download> {
        let download = self.downloads.get_mut(&share)?;
        let bytes = range.end - range.start;
        if download.good.contains(part) || download.open.get(&part).is_some_and(|open| open.stage != Stage::Filling) {
            self.counters.duplicate_bytes += bytes;
            self.actions.push_back(Action::Judged(lease, range, Verdict::Duplicate));
            return None;
        }
        if !self.may_give(share, lease, part) {
            self.counters.duplicate_bytes += bytes;
            self.actions.push_back(Action::Judged(lease, range, Verdict::Duplicate));
            return None;
        }
        let download = self.downloads.get_mut(&share)?;
        if download.paused || !download.wanted_parts.contains(part) {
            self.counters.outside_bytes += bytes;
            return None;
        }
        Some(download)
    }

    /// Whether a part may be given to under this lease: one that several have spoiled comes from one alone. Who has it and gives nothing while much else
    /// comes loses it to the next; where nothing else comes, to those who run out of work ([`Self::claim`]).
    fn may_give(&mut self, share: ShareId, lease: LeaseId, part: u32) -> bool {
        let now = self.deliveries;
        let Some(download) = self.downloads.get_mut(&share) else { return false };
        let Some(alone) = download.alone.get_mut(&part) else { return true };
        if alone.owner != Some(lease) {
            let alive = alone.owner.is_some_and(|owner| download.leases.contains(&owner));
            // What is on its way to the disk must arrive there before others follow.
            let settled = download.open.get(&part).is_none_or(|open| open.spills == 0);
            if alive && now < alone.touched + OWNER_PATIENCE || !settled {
                alone.turned_away.entry(lease).or_default();
                return false;
            }
            *alone = Alone::of(lease, now);
            self.close(share, part);
            return true;
        }
        alone.touched = now;
        true
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
    pub(super) fn take_bytes(&mut self, share: ShareId, lease: LeaseId, part: u32, at: u64, bytes: &[u8]) -> bool {
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
    pub(super) fn take_token(&mut self, share: ShareId, lease: LeaseId, part: u32, range: Range<u64>, token: &Token, offset: u64) -> bool {
        if self.admits(share, lease, part, range.clone()).is_none() {
            return false;
        }
        let unknown = self.unknown(share, lease, part, range);
        let Some(download) = self.downloads.get_mut(&share) else { return false };
        let right = token.honest && token.range.start == offset && download.content.is_none_or(|content| content == token.content);
        let whole = download.part_range(part);
        let open = download.open.entry(part).or_insert_with(OpenPart::new);
        for gap in unknown.iter() {
            open.have.insert(gap.clone());
            if !right {
                open.wrong.insert(gap);
            }
            open.tokens = Some(open.tokens.unwrap_or(true) && right);
            open.given_by(lease);
        }
        if open.have.covers(whole) {
            // Real bytes among tokens prove nothing.
            let right = open.tokens == Some(true) && open.segments.is_empty() && !open.spilled;
            self.conclude(share, part, Seen::Nothing, if right { Finding::Good } else { Finding::Bad });
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
            self.conclude(share, part, Seen::Nothing, Finding::Bad);
            return false;
        }
        download.whole += 1;
        download.division.arrived(&range);
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

    pub(super) fn spill_done(&mut self, share: ShareId, part: u32) {
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
}
