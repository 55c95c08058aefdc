//! What is on its way out of a connection: encoded, sealed, and not yet taken by the socket.
//!
//! A write is put together in one buffer: heads of messages with gaps for the ranges of shares, which are then filled with as few reads as
//! possible. What has been put together can no longer be taken back.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::ops::Range;

use bytes::BytesMut;
use hexad_core::{Codec, ShareId};

use super::line::{Item, Line};
use super::pool::Pool;
use crate::ReadShare;

/// Ranges that go into one write.
const BLOCKS_MAX: usize = 64;
/// A range up to this long is not cut at the end of a write.
const WHOLE_BYTES_MAX: u64 = 64 << 10;
/// Behind so much of the codec's own, the next write may follow in the same buffer.
const LIGHT_BYTES: usize = 4 << 10;
/// The least and the most that a write is meant to be.
const APPETITE_MIN: usize = 64 << 10;
const APPETITE_MAX: usize = 1 << 20;

/// A gap for a range of a share.
#[derive(Clone, Debug)]
pub(super) struct Gap {
    at: usize,
    bytes: usize,
    share: ShareId,
    offset: u64,
}

/// What is on its way.
pub(super) struct Outgoing {
    buffer: Vec<u8>,
    filled: usize,
    gone: usize,
    /// Where bytes of shares are.
    bodies: VecDeque<Range<usize>>,
    /// How much the next write should be: what the socket is likely to take.
    appetite: usize,
}

impl Outgoing {
    pub(super) const fn new() -> Self {
        Self { buffer: Vec::new(), filled: 0, gone: 0, bodies: VecDeque::new(), appetite: 4 * APPETITE_MIN }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.gone == self.filled
    }

    /// Whether a write may be put together behind what is left: nothing of shares, and not much.
    pub(super) fn is_light(&self) -> bool {
        self.bodies.is_empty() && self.filled - self.gone <= LIGHT_BYTES
    }

    /// What is to be written next.
    pub(super) fn unsent(&self) -> &[u8] {
        &self.buffer[self.gone..self.filled]
    }

    /// Adds bytes as they are.
    pub(super) fn append(&mut self, bytes: &[u8], pool: &mut Pool) {
        self.begin(pool);
        self.put(bytes);
    }

    fn begin(&mut self, pool: &mut Pool) {
        if self.buffer.is_empty() {
            self.buffer = pool.take_write();
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.filled + bytes.len();
        self.reach(end);
        self.buffer[self.filled..end].copy_from_slice(bytes);
        self.filled = end;
    }

    fn reach(&mut self, end: usize) {
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
    }

    /// Encodes what waits in `line`, with gaps for ranges. Returns where the encoded begins, and the gaps.
    pub(super) fn compose<C: Codec>(
        &mut self,
        line: &mut Line<C::Message>,
        codec: &mut C,
        scratch: &mut BytesMut,
        pool: &mut Pool,
    ) -> (usize, Vec<Gap>) {
        self.begin(pool);
        let start = self.filled;
        let until = start + self.appetite;
        let mut gaps = Vec::new();
        while gaps.len() < BLOCKS_MAX && self.filled < until {
            let Some(item) = line.front_mut() else { break };
            scratch.clear();
            match item {
                Item::Plain { message, bytes } => {
                    codec.encode(message, 0, scratch);
                    let bytes = *bytes;
                    self.put(scratch);
                    line.gone(bytes);
                    line.pop();
                }
                Item::Share { message, bytes, share, range } => {
                    let left = range.end - range.start;
                    let mut gone = 0;
                    if let Some(message) = message.take() {
                        codec.encode(&message, left, scratch);
                        gone += *bytes;
                        self.put(scratch);
                    }
                    let space = until.saturating_sub(self.filled) as u64;
                    let take = left.min(space.max(WHOLE_BYTES_MAX));
                    if take > 0 {
                        let bytes = usize::try_from(take).unwrap_or(0);
                        gaps.push(Gap { at: self.filled, bytes, share: *share, offset: range.start });
                        self.bodies.push_back(self.filled..self.filled + bytes);
                        self.filled += bytes;
                        range.start += take;
                    }
                    line.gone(gone + take);
                    if take == left {
                        line.pop();
                    }
                }
            }
            self.reach(self.filled);
        }
        scratch.clear();
        codec.flush(scratch);
        self.put(scratch);
        (start, gaps)
    }

    /// Fills gaps in order. Stops at the first range that cannot be read; returns how many gaps are filled and why no more are.
    pub(super) fn fill(&mut self, gaps: &[Gap], source: &dyn ReadShare, cached_only: bool) -> (usize, io::Result<()>) {
        let mut filled = 0;
        let (mut rest, mut base) = (&mut self.buffer[..], 0);
        for run in gaps.chunk_by(|a, b| a.share == b.share && a.offset + a.bytes as u64 == b.offset) {
            let mut parts = Vec::with_capacity(run.len());
            for gap in run {
                let (_, tail) = rest.split_at_mut(gap.at - base);
                let (part, tail) = tail.split_at_mut(gap.bytes);
                parts.push(IoSliceMut::new(part));
                (rest, base) = (tail, gap.at + gap.bytes);
            }
            if let Err(error) = source.read(run[0].share, run[0].offset, &mut parts, cached_only) {
                return (filled, Err(error));
            }
            filled += run.len();
        }
        (filled, Ok(()))
    }

    /// Lets the codec encipher what lies behind `start`.
    pub(super) fn seal<C: Codec>(&mut self, start: usize, codec: &mut C) {
        codec.seal(&mut self.buffer[start..self.filled]);
    }

    /// So many bytes were taken by the socket; returns how many of them were of shares. The buffer goes back when all have left.
    pub(super) fn sent(&mut self, bytes: usize, pool: &mut Pool) -> u64 {
        let to = self.gone + bytes;
        let mut of_shares = 0;
        while let Some(body) = self.bodies.front_mut().filter(|body| body.start < to) {
            let end = body.end.min(to);
            of_shares += (end - body.start) as u64;
            body.start = end;
            if body.start == body.end {
                self.bodies.pop_front();
            }
        }
        self.gone = to;
        if self.is_empty() {
            (self.filled, self.gone) = (0, 0);
            pool.give_write(std::mem::take(&mut self.buffer));
        }
        of_shares
    }

    /// Lets go of a large buffer when little is left in it, so that a peer who reads slowly costs what waits for him and no more.
    pub(super) fn slim(&mut self, pool: &mut Pool) {
        let left = self.filled - self.gone;
        if left == 0 || 4 * left > self.buffer.len() {
            return;
        }
        let small = self.unsent().to_vec();
        pool.give_write(std::mem::replace(&mut self.buffer, small));
        for body in &mut self.bodies {
            *body = body.start - self.gone..body.end - self.gone;
        }
        (self.gone, self.filled) = (0, left);
    }

    /// The socket took all of a write, or only so many bytes of it.
    pub(super) fn adapt(&mut self, taken: Option<usize>) {
        self.appetite = match taken {
            None => self.appetite.saturating_mul(2).min(APPETITE_MAX),
            Some(bytes) => bytes.clamp(APPETITE_MIN, APPETITE_MAX),
        };
    }
}
