//! What wrong parts looked like, block by block: once a part is right, the blocks that differ name who lied.
//!
//! Only of parts that came under one lease. The last wrong one of each part counts.

use std::ops::Range;

use hexad_content::{Ranges, Sha1Digest};
use hexad_core::{LeaseId, Map, ShareId};

use crate::job::BLOCK_BYTES;

/// Blocks of all parts that are remembered: about a megabyte. The part that was wrong longest ago leaves.
const BLOCKS_MAX: usize = 1 << 15;

/// What is known of a wrong part.
#[derive(Debug)]
enum Looks {
    /// Digests of its blocks, in their order.
    Blocks(Vec<Sha1Digest>),
    /// The lab's word for it: what was wrong, in positions of the layout.
    Told(Ranges),
}

#[derive(Debug)]
struct Trace {
    lease: LeaseId,
    looks: Looks,
    /// Its place among all of them.
    age: u64,
}

impl Trace {
    fn blocks(&self) -> usize {
        match &self.looks {
            Looks::Blocks(digests) => digests.len(),
            Looks::Told(ranges) => ranges.iter().count(),
        }
    }
}

/// What all wrong parts looked like that are not right yet.
#[derive(Debug, Default)]
pub(super) struct Traces {
    known: Map<(ShareId, u32), Trace>,
    blocks: usize,
    made: u64,
}

impl Traces {
    /// Remembers what the blocks of a wrong part looked like that came under this lease alone.
    pub(super) fn keep(&mut self, share: ShareId, part: u32, lease: LeaseId, blocks: Vec<Sha1Digest>) {
        self.put(share, part, lease, Looks::Blocks(blocks));
    }

    /// Whether a part was wrong, and it is known how.
    pub(super) fn knows(&self, share: ShareId, part: u32) -> bool {
        self.known.contains_key(&(share, part))
    }

    /// The same of the lab's tokens, of which these were wrong.
    pub(super) fn keep_told(&mut self, share: ShareId, part: u32, lease: LeaseId, wrong: Ranges) {
        self.put(share, part, lease, Looks::Told(wrong));
    }

    fn put(&mut self, share: ShareId, part: u32, lease: LeaseId, looks: Looks) {
        self.forget(share, part);
        self.made += 1;
        let trace = Trace { lease, looks, age: self.made };
        self.blocks += trace.blocks();
        self.known.insert((share, part), trace);
        while self.blocks > BLOCKS_MAX
            && let Some((share, part)) = self.known.iter().min_by_key(|(_, trace)| trace.age).map(|(key, _)| *key)
        {
            self.forget(share, part);
        }
    }

    /// The part was wrong in a way that says nothing about one lease, or nobody wants to know any more.
    pub(super) fn forget(&mut self, share: ShareId, part: u32) {
        if let Some(trace) = self.known.remove(&(share, part)) {
            self.blocks -= trace.blocks();
        }
    }

    /// The share is no more.
    pub(super) fn forget_share(&mut self, share: ShareId) {
        let parts: Vec<u32> = self.known.range((share, 0)..=(share, u32::MAX)).map(|((_, part), _)| *part).collect();
        parts.into_iter().for_each(|part| self.forget(share, part));
    }

    /// The part is right; `right` says what its blocks look like, where that can be known. Returns which of them were wrong, and under which lease they had come.
    pub(super) fn resolve(
        &mut self,
        share: ShareId,
        part: u32,
        range: &Range<u64>,
        right: impl FnOnce() -> Option<Vec<Sha1Digest>>,
    ) -> Option<(LeaseId, Vec<Range<u64>>)> {
        let trace = self.known.remove(&(share, part))?;
        self.blocks -= trace.blocks();
        let blocks = (0..).map(|number| range.start + number * BLOCK_BYTES as u64).take_while(|start| *start < range.end);
        let blocks = blocks.map(|start| start..(start + BLOCK_BYTES as u64).min(range.end));
        let wrong = match trace.looks {
            Looks::Told(ranges) => blocks.filter(|block| ranges.within(block.clone()).total() > 0).collect(),
            Looks::Blocks(before) => {
                let differ = before.into_iter().zip(right().unwrap_or_default()).map(|(before, right)| before != right);
                blocks.zip(differ).filter(|(_, differs)| *differs).map(|(block, _)| block).collect()
            }
        };
        Some((trace.lease, wrong))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::block_digests;

    #[test]
    fn what_is_remembered_is_bounded_and_the_oldest_leaves() {
        let mut traces = Traces::default();
        let bytes = vec![1; 64 * BLOCK_BYTES];
        let look = || Some(block_digests(&bytes));
        for part in 0..600 {
            traces.keep(ShareId(1), part, LeaseId(1), block_digests(&bytes));
        }
        assert!(traces.blocks <= BLOCKS_MAX && traces.known.len() == BLOCKS_MAX / 64);
        assert!(traces.resolve(ShareId(1), 0, &(0..bytes.len() as u64), look).is_none());
        assert_eq!(traces.resolve(ShareId(1), 599, &(0..bytes.len() as u64), look), Some((LeaseId(1), Vec::new())));
        traces.forget_share(ShareId(1));
        assert_eq!((traces.blocks, traces.known.len()), (0, 0));
    }
}
