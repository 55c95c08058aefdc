//! What of a lease others bring: several networks may feed one download, and the engine tells each of them what it need not ask for.

use std::ops::Range;

use hexad_content::{Proof, Ranges};

use crate::{LeaseId, Node, Outbox, Output};

/// The books of one fetch about those who have a part in the same download. Silent as long as it is nobody else's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others {
    bring: Ranges,
    /// `Input::Elsewhere` was heard: what is asked for is said.
    shared: bool,
    /// It was said that there is nothing to ask for, and nothing was found since.
    starved: bool,
}

impl Others {
    /// Takes what `Input::Elsewhere` says. True the first time: then what is already under way is to be claimed.
    pub fn bring(&mut self, ranges: Ranges) -> bool {
        self.bring = ranges;
        !std::mem::replace(&mut self.shared, true)
    }

    /// What of `range` is left to be asked for.
    #[must_use]
    pub fn leave(&self, range: Range<u64>) -> Ranges {
        self.bring.gaps(range)
    }

    /// The spans of `wanted` that are left to be asked for, in ascending order.
    pub fn leave_of<'a>(&'a self, wanted: &'a Ranges) -> impl Iterator<Item = Range<u64>> + 'a {
        wanted.iter().flat_map(|range| self.leave(range).iter().collect::<Vec<_>>())
    }

    /// Takes the next part to be asked for out of `wanted`: no more than a part of `proof`, so that a bad one has one giver.
    pub fn take_part(&self, wanted: &mut Ranges, proof: &Proof) -> Option<Range<u64>> {
        let first = self.leave_of(wanted).next()?;
        let part = proof.part_range(proof.part_at(first.start));
        let range = first.start..first.end.min(part.end.max(first.start + 1));
        wanted.remove(range.clone());
        Some(range)
    }

    /// Whether they bring anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bring.is_empty()
    }

    /// Whether they bring something of `range`.
    #[must_use]
    pub fn touch(&self, range: Range<u64>) -> bool {
        !self.bring.within(range).is_empty()
    }

    /// Says that these ranges are asked for.
    pub fn claim<N: Node>(&mut self, lease: LeaseId, ranges: Ranges, out: &mut Outbox<N>) {
        if ranges.is_empty() {
            return;
        }
        self.starved = false;
        if self.shared {
            out.push(Output::Claim(lease, ranges));
        }
    }

    /// Says that there is nothing left to ask for though somebody could give; once until something is found, or until [`Self::look_again`].
    pub fn starve<N: Node>(&mut self, lease: LeaseId, out: &mut Outbox<N>) {
        if !self.bring.is_empty() && !std::mem::replace(&mut self.starved, true) {
            out.push(Output::Claim(lease, Ranges::new()));
        }
    }

    /// What is not to be had from those whom we know may be exchanged for something else: called every second or two, so that whatever others do
    /// not bring after all is asked for in the end.
    pub const fn look_again(&mut self) {
        self.starved = false;
    }
}
