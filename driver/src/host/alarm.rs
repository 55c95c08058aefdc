//! When the node wants to be woken: a heap with the earliest on top, equal times in the order in which they were asked for.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use hexad_core::Time;

struct Wake<T> {
    at: Time,
    number: u64,
    timer: T,
}

impl<T> Wake<T> {
    fn key(&self) -> (Time, u64) {
        (self.at, self.number)
    }
}

impl<T> PartialEq for Wake<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Wake<T> {}

impl<T> PartialOrd for Wake<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Wake<T> {
    // The heap has its greatest on top; that must be the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

/// All wakes that are asked for.
pub(super) struct Alarm<T> {
    wakes: BinaryHeap<Wake<T>>,
    number: u64,
}

impl<T> Alarm<T> {
    pub(super) const fn new() -> Self {
        Self { wakes: BinaryHeap::new(), number: 0 }
    }

    /// Adds a wake; true when it is the earliest.
    pub(super) fn set(&mut self, at: Time, timer: T) -> bool {
        let earliest = self.next().is_none_or(|next| at < next);
        self.number += 1;
        self.wakes.push(Wake { at, number: self.number, timer });
        earliest
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Time> {
        self.wakes.peek().map(|wake| wake.at)
    }

    /// Takes all that are due at `now` out, in order.
    pub(super) fn due(&mut self, now: Time) -> Vec<T> {
        let mut due = Vec::new();
        while self.next().is_some_and(|at| at <= now) {
            due.extend(self.wakes.pop().map(|wake| wake.timer));
        }
        due
    }
}
