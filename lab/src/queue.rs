//! What happens next. One place decides the order of events, so that another queue can take this one's place.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use hexad_core::Time;

/// The sender of what comes from outside of the world: users and faults.
pub(crate) const OUTSIDE: u32 = u32::MAX;

/// When, to whom, from whom, and the how manieth event of the sender: a total order that no thread can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) at: Time,
    pub(crate) to: u32,
    pub(crate) from: u32,
    pub(crate) sequence: u64,
}

/// Events in the order of their keys. The heap moves keys and slots only; the events stay where they are.
pub(crate) struct Queue<E> {
    heap: BinaryHeap<Reverse<(Key, u32)>>,
    slots: Vec<Option<E>>,
    free: Vec<u32>,
}

impl<E> Queue<E> {
    pub(crate) const fn new() -> Self {
        Self { heap: BinaryHeap::new(), slots: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn push(&mut self, key: Key, event: E) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(event);
                slot
            }
            None => {
                self.slots.push(Some(event));
                u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 events wait at a time")
            }
        };
        self.heap.push(Reverse((key, slot)));
    }

    /// When the next event is.
    pub(crate) fn next_at(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((key, _))| key.at)
    }

    /// Takes the next event that is not after `until`.
    pub(crate) fn pop_until(&mut self, until: Time) -> Option<(Key, E)> {
        if self.next_at()? > until {
            return None;
        }
        let Reverse((key, slot)) = self.heap.pop()?;
        self.free.push(slot);
        self.slots[slot as usize].take().map(|event| (key, event))
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}
