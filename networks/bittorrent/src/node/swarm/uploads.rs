//! What one peer wants of us: requests that wait here, and how much the host is given of them at a time.
//!
//! Ranges that the host has can no longer be taken back with certainty, so it gets about a second's worth: a choke then takes effect soon, and
//! every request has exactly one answer (BEP 6).

use std::collections::VecDeque;

use hexad_core::{Span, Time};

use crate::wire::BlockRef;

const WINDOW_MIN: u64 = 64 << 10;
const WINDOW_MAX: u64 = 4 << 20;
/// What has left within so long was too little.
const QUICK: Span = Span::from_millis(500);

/// The requests of one peer.
#[derive(Debug)]
pub(crate) struct Uploads {
    queue: VecDeque<BlockRef>,
    /// Bytes that the host has and has not sent.
    handed: u64,
    window: u64,
    handed_at: Time,
    /// Bytes that left since the last look.
    left_lately: u64,
}

impl Uploads {
    pub(crate) fn new(now: Time) -> Self {
        Self { queue: VecDeque::new(), handed: 0, window: WINDOW_MIN, handed_at: now, left_lately: 0 }
    }

    /// Whether something is asked for that has not left.
    pub(crate) fn is_busy(&self) -> bool {
        self.handed > 0 || !self.queue.is_empty()
    }

    /// Whether it is busy, and something of it has left, or was handed over, within `span`.
    pub(crate) fn is_moving(&self, now: Time, span: Span) -> bool {
        self.is_busy() && now.since(self.handed_at) < span
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn push(&mut self, block: BlockRef) {
        self.queue.push_back(block);
    }

    /// The next request that the host may have; `room` is what it has room for.
    pub(crate) fn next(&mut self, room: u64, now: Time) -> Option<BlockRef> {
        if self.handed >= self.window || room == 0 {
            return None;
        }
        let block = self.queue.pop_front()?;
        if self.handed == 0 {
            self.handed_at = now;
        }
        self.handed += u64::from(block.length);
        Some(block)
    }

    /// So many bytes have left.
    pub(crate) fn sent(&mut self, bytes: u64, now: Time) {
        self.handed = self.handed.saturating_sub(bytes);
        self.left_lately += bytes;
        // The host ran dry while more was waiting.
        if self.handed < self.window / 2 && !self.queue.is_empty() && now.since(self.handed_at) < QUICK {
            self.window = (self.window * 2).min(WINDOW_MAX);
        }
        self.handed_at = now;
    }

    /// Once a second: no more than what a second takes.
    pub(crate) fn pace(&mut self) {
        let left = std::mem::take(&mut self.left_lately);
        if self.handed > 0 || !self.queue.is_empty() {
            self.window = self.window.min(left.clamp(WINDOW_MIN, WINDOW_MAX));
        }
    }

    /// Takes a waiting request back; false when it does not wait here.
    pub(crate) fn cancel(&mut self, block: &BlockRef) -> bool {
        let place = self.queue.iter().position(|other| other == block);
        place.is_some_and(|place| self.queue.remove(place).is_some())
    }

    /// Takes back all that `keep` does not want to keep, and calls `each` for it.
    pub(crate) fn drop_all(&mut self, keep: impl Fn(&BlockRef) -> bool, mut each: impl FnMut(BlockRef)) {
        self.queue.retain(|block| {
            let kept = keep(block);
            if !kept {
                each(*block);
            }
            kept
        });
    }
}
