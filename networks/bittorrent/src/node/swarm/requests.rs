//! What we have asked of one peer, and how much more to ask: a queue that covers bandwidth × delay.
//!
//! It grows by a block for each block that comes until the rate grows no more, then follows the rate (libtorrent). It is refilled at half its depth,
//! in one batch.

use std::collections::VecDeque;

use hexad_core::{Span, Time};

use crate::node::rates::Meter;
use crate::wire::frames::BLOCK_BYTES;

/// What a fresh connection is asked for at once.
const DEPTH_FIRST: u32 = 16;
/// No peer that gives is asked for less.
const DEPTH_MIN: u32 = 4;
/// The queue is worth so many seconds of what comes.
const QUEUE_S: u64 = 3;
/// A peer that does not say how much it accepts accepts this much.
const ACCEPTED_DEFAULT: u32 = 250;
/// Blocks that may still come though we no longer count on them.
const FORGIVEN_MAX: usize = 4096;

/// One block that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) piece: u32,
    pub(crate) block: u32,
}

/// Whether a block was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Yes, and it is counted on.
    Outstanding,
    /// It was, and may come late.
    Forgiven,
    /// Never.
    Unasked,
}

/// The requests at one peer.
#[derive(Debug)]
pub(crate) struct Requests {
    asked: VecDeque<Asked>,
    forgiven: VecDeque<Asked>,
    depth: u32,
    growing: bool,
    rate_before: u64,
    accepted: u32,
    /// When something last came, or was first asked for after nothing was.
    pub(crate) alive: Time,
    pub(crate) snubbed: bool,
}

impl Requests {
    pub(crate) fn new(now: Time) -> Self {
        Self {
            asked: VecDeque::new(),
            forgiven: VecDeque::new(),
            depth: DEPTH_FIRST,
            growing: true,
            rate_before: 0,
            accepted: ACCEPTED_DEFAULT,
            alive: now,
            snubbed: false,
        }
    }

    /// The peer accepts so many (`reqq`); we ask for no more than `ours` in any case.
    pub(crate) fn accepts(&mut self, theirs: Option<u32>, ours: u32) {
        self.accepted = theirs.unwrap_or(ACCEPTED_DEFAULT).clamp(1, ours.max(1));
    }

    pub(crate) fn depth(&self) -> u32 {
        if self.snubbed { 1 } else { self.depth.min(self.accepted) }
    }

    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.asked.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// How many to ask for: nothing before the queue is half empty.
    pub(crate) fn wanted(&self) -> u32 {
        let (depth, len) = (self.depth(), self.len());
        if len * 2 <= depth { depth - len } else { 0 }
    }

    pub(crate) fn ask(&mut self, piece: u32, block: u32, now: Time) {
        if self.asked.is_empty() {
            self.alive = now;
        }
        self.asked.push_back(Asked { piece, block });
    }

    pub(crate) fn contains(&self, piece: u32, block: u32) -> bool {
        self.asked.contains(&Asked { piece, block })
    }

    /// A block has come. Mostly they come in the order in which they were asked for.
    pub(crate) fn came(&mut self, piece: u32, block: u32, now: Time) -> Standing {
        let asked = Asked { piece, block };
        self.alive = now;
        if self.asked.front() == Some(&asked) {
            self.asked.pop_front();
        } else if let Some(place) = self.asked.iter().position(|other| *other == asked) {
            self.asked.remove(place);
        } else if let Some(place) = self.forgiven.iter().position(|other| *other == asked) {
            self.forgiven.remove(place);
            return Standing::Forgiven;
        } else {
            return Standing::Unasked;
        }
        if self.growing {
            self.depth = (self.depth + 1).min(self.accepted);
        }
        Standing::Outstanding
    }

    /// It does not come (rejected); true when it was counted on.
    pub(crate) fn rejected(&mut self, piece: u32, block: u32) -> Standing {
        let asked = Asked { piece, block };
        if let Some(place) = self.asked.iter().position(|other| *other == asked) {
            self.asked.remove(place);
            Standing::Outstanding
        } else if let Some(place) = self.forgiven.iter().position(|other| *other == asked) {
            self.forgiven.remove(place);
            Standing::Forgiven
        } else {
            Standing::Unasked
        }
    }

    /// We no longer count on a block, which may come all the same.
    pub(crate) fn forgive(&mut self, piece: u32, block: u32) -> bool {
        let asked = Asked { piece, block };
        let Some(place) = self.asked.iter().position(|other| *other == asked) else { return false };
        self.asked.remove(place);
        self.remember(asked);
        true
    }

    /// We no longer count on any.
    pub(crate) fn forgive_all(&mut self, mut each: impl FnMut(Asked)) {
        while let Some(asked) = self.asked.pop_front() {
            self.remember(asked);
            each(asked);
        }
    }

    fn remember(&mut self, asked: Asked) {
        if self.forgiven.len() >= FORGIVEN_MAX {
            self.forgiven.pop_front();
        }
        self.forgiven.push_back(asked);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Asked> + '_ {
        self.asked.iter().copied()
    }

    /// Once a second: follows the rate.
    pub(crate) fn pace(&mut self, down: &mut Meter, now: Time) {
        let rate = down.lately(2, now);
        if self.growing && rate > 0 && rate <= self.rate_before + self.rate_before / 20 {
            self.growing = false;
        }
        if !self.growing {
            let blocks = u32::try_from(rate * QUEUE_S / u64::from(BLOCK_BYTES)).unwrap_or(u32::MAX);
            // A peer that gives twice as much as before gets the chance to show how much it can.
            self.growing = rate > self.rate_before.saturating_mul(2);
            self.depth = blocks.clamp(DEPTH_MIN, self.accepted.max(DEPTH_MIN));
        }
        self.rate_before = rate;
    }

    /// Whether nothing has come for `after` though we asked.
    pub(crate) fn is_silent(&self, after: Span, now: Time) -> bool {
        !self.asked.is_empty() && now.since(self.alive) >= after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BT9: blocks are of 16 KiB, and five or more are asked for at once, of whoever has said nothing of how much it accepts too.
    #[test]
    fn at_least_five_blocks_of_16_kib_are_asked_for_at_first() {
        assert_eq!(BLOCK_BYTES, 16 << 10);
        assert!(Requests::new(Time::ZERO).wanted() >= 5);
        let mut requests = Requests::new(Time::ZERO);
        requests.accepts(None, 1000);
        assert!(requests.wanted() >= 5);
    }

    #[test]
    fn the_queue_is_refilled_at_half_its_depth_in_one_batch() {
        let now = Time::ZERO;
        let mut requests = Requests::new(now);
        requests.growing = false;
        assert_eq!(requests.wanted(), DEPTH_FIRST);
        (0..DEPTH_FIRST).for_each(|block| requests.ask(0, block, now));
        for block in 0..DEPTH_FIRST / 2 {
            assert_eq!(requests.wanted(), 0, "before block {block}");
            assert_eq!(requests.came(0, block, now), Standing::Outstanding);
        }
        assert_eq!(requests.wanted(), DEPTH_FIRST / 2);
    }

    #[test]
    fn a_fast_peer_soon_has_five_hundred_blocks_to_give() {
        let mut now = Time::ZERO;
        let mut requests = Requests::new(now);
        requests.accepts(Some(2000), 1000);
        let (mut next, mut came) = (0, 0);
        while requests.len() < 500 {
            for _ in 0..requests.wanted() {
                requests.ask(0, next, now);
                next += 1;
            }
            now = now + Span::from_micros(14);
            requests.came(0, came, now);
            came += 1;
            assert!(came < 1000);
        }
    }

    #[test]
    fn the_depth_follows_the_rate_and_stays_within_what_the_peer_accepts() {
        let mut now = Time::ZERO;
        let mut down = Meter::new(Span::from_secs(20), now);
        let mut requests = Requests::new(now);
        requests.accepts(Some(100), 1000);
        for _ in 0..10 {
            down.add(160 << 10, now);
            now = now + Span::from_secs(1);
            requests.pace(&mut down, now);
        }
        assert_eq!(requests.depth(), 30, "three seconds of ten blocks a second");
        for _ in 0..10 {
            down.add(100 << 20, now);
            now = now + Span::from_secs(1);
            requests.pace(&mut down, now);
            assert!(requests.depth() <= 100);
        }
        assert_eq!(requests.depth(), 100);
    }
}
