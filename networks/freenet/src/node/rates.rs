//! How often neighbours have asked for something of late.

use hexad_core::{Map, Span, Time};

use crate::place::Place;

/// Within so long they are counted.
const SPAN: Span = Span::from_secs(60);

/// One entry for each neighbour that has asked within a minute.
#[derive(Clone, Debug)]
pub struct Rates<A> {
    most: u16,
    asked: Map<A, (u16, Time)>,
}

impl<A: Place> Rates<A> {
    /// Everybody may ask so often within a minute.
    pub const fn of(most: u16) -> Self {
        Self { most, asked: Map::new() }
    }

    /// Counts one more; false when there were too many.
    pub fn may_ask(&mut self, from: &A, now: Time) -> bool {
        self.asked.retain(|_, (_, since)| now.since(*since) < SPAN);
        let (count, _) = self.asked.entry(from.clone()).or_insert((0, now));
        *count = count.saturating_add(1);
        *count <= self.most
    }
}
