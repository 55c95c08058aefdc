//! Where nodes are, and how long messages take between them.

use hexad_core::Span;

use crate::Latency;
use crate::dice::{Purpose, dice};

/// Microseconds: a point on the square, and the node's own way to it.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    x: u32,
    y: u32,
    access: u32,
}

/// All places.
#[derive(Debug)]
pub(crate) struct Space {
    seed: u64,
    latency: Latency,
    floor: u64,
    places: Vec<Place>,
}

impl Space {
    pub(crate) fn new(seed: u64, latency: Latency) -> Self {
        Self { seed, latency, floor: micros(latency.floor).max(1), places: Vec::new() }
    }

    /// Makes room for so many more.
    pub(crate) fn reserve(&mut self, count: u32) {
        self.places.reserve_exact(if count > 1 { count as usize } else { 0 });
    }

    /// Gives the next node its place.
    pub(crate) fn add(&mut self) {
        let node = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        let mut dice = dice(self.seed, Purpose::Topology, node, 0);
        let mut upto = |span: Span| u32::try_from(dice.below(micros(span) + 1)).unwrap_or(u32::MAX);
        self.places.push(Place { x: upto(self.latency.side), y: upto(self.latency.side), access: upto(self.latency.access_max) });
    }

    /// How long a message travels from one node to another; the same both ways.
    pub(crate) fn delay(&self, a: u32, b: u32) -> Span {
        let (Some(a), Some(b)) = (self.places.get(a as usize), self.places.get(b as usize)) else { return Span::from_micros(self.floor) };
        let (dx, dy) = (u64::from(a.x.abs_diff(b.x)), u64::from(a.y.abs_diff(b.y)));
        let way = (dx * dx + dy * dy).isqrt() + u64::from(a.access) + u64::from(b.access);
        Span::from_micros(way.max(self.floor))
    }

    /// The shortest delay there can be.
    pub(crate) fn floor(&self) -> Span {
        Span::from_micros(self.floor)
    }
}

fn micros(span: Span) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX).min(u64::from(u32::MAX) - 1)
}
