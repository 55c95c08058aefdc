//! Where nodes are, and how long messages take between them.

use hexad_core::Span;

use crate::Latency;
use crate::dice::{Purpose, mix};

/// Microseconds: a point on the square, and the node's own way to it.
#[derive(Clone, Copy, Debug)]
struct Place {
    x: u64,
    y: u64,
    access: u64,
}

/// All places. They are computed whenever they are needed, which is quicker than looking them up in a large world.
#[derive(Debug)]
pub(crate) struct Space {
    base: u64,
    floor: u64,
    side: u64,
    access_max: u64,
}

impl Space {
    pub(crate) fn new(seed: u64, latency: Latency) -> Self {
        Self {
            base: mix(seed ^ mix(Purpose::Topology as u64)),
            floor: micros(latency.floor).max(1),
            side: micros(latency.side) + 1,
            access_max: micros(latency.access_max) + 1,
        }
    }

    fn place(&self, node: u32) -> Place {
        let word = mix(self.base.wrapping_add(u64::from(node).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        // 21 bits for each: half a microsecond on a side of a second.
        let part = |shift: u32, upto: u64| (((word >> shift) & 0x1f_ffff) * upto) >> 21;
        Place { x: part(0, self.side), y: part(21, self.side), access: part(42, self.access_max) }
    }

    /// How long a message travels from one node to another; the same both ways.
    pub(crate) fn delay(&self, a: u32, b: u32) -> Span {
        if self.side + self.access_max == 2 {
            return self.floor();
        }
        let (a, b) = (self.place(a), self.place(b));
        let (dx, dy) = (a.x.abs_diff(b.x), a.y.abs_diff(b.y));
        let way = root(dx * dx + dy * dy) + a.access + b.access;
        Span::from_micros(way.max(self.floor))
    }

    /// The shortest delay there can be.
    pub(crate) fn floor(&self) -> Span {
        Span::from_micros(self.floor)
    }
}

/// The square root, rounded down. The processor's own is exact to the last bit on every machine (IEEE 754).
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "squares of microseconds")]
fn root(square: u64) -> u64 {
    (square as f64).sqrt() as u64
}

/// At most an hour: what is longer is no way that a message takes.
fn micros(span: Span) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX).min(3_600_000_000)
}
