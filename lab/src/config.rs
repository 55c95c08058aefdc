//! What a world is made of.

use hexad_core::Span;

/// A lab's world. Two labs of equal configuration and equal calls run the same events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabConfig {
    /// Where all randomness comes from.
    pub seed: u64,
    /// How long messages travel.
    pub latency: Latency,
    /// The link of every node that has none of its own, see `Lab::set_links`.
    pub links: Links,
    /// Encode and decode every message with the network's codec. Costs time, and must not change the digest.
    pub codec: bool,
    /// How long the host takes to answer an `Ask`.
    pub ask_delay: Span,
    /// How long the transfer engine takes to verify what was delivered.
    pub verify_delay: Span,
    /// A send queue is over its mark beyond this many bytes (`Context::room`).
    pub queue_mark_bytes: u64,
    /// A send queue beyond this many bytes closes its connection (`Why::Overrun`).
    pub queue_bytes_max: u64,
    /// Bytes of shares that may be under way on a connection to a node whose downlink is limited.
    pub window_bytes: u64,
    /// How long it takes to find out that the other end of a connection no longer answers at all.
    pub silence: Span,
    /// The calendar at time zero, seconds since 1970.
    pub epoch_unix_s: u64,
    /// How many threads run it. Changes no outcome.
    pub threads: usize,
    /// Keep what nodes report, see `Lab::reports`. Off, it waits for `Lab::take_reports`, and costs a node nothing.
    pub keep_reports: bool,
}

impl Default for LabConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            latency: Latency::default(),
            links: Links::UNLIMITED,
            codec: false,
            ask_delay: Span::from_millis(1),
            verify_delay: Span::from_millis(2),
            queue_mark_bytes: 256 << 10,
            queue_bytes_max: 4 << 20,
            window_bytes: 256 << 10,
            silence: Span::from_secs(30),
            epoch_unix_s: 1_800_000_000,
            threads: 1,
            keep_reports: true,
        }
    }
}

/// A synthetic latency space: every node is a point on a square, and has a way of its own to the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// No message is faster, between whomever. At least a microsecond; the larger, the more can be run at the same time.
    pub floor: Span,
    /// How long light takes along a side of the square.
    pub side: Span,
    /// A node's way to its point takes up to this long.
    pub access_max: Span,
}

impl Default for Latency {
    fn default() -> Self {
        Self { floor: Span::from_millis(1), side: Span::from_millis(80), access_max: Span::from_millis(10) }
    }
}

impl Latency {
    /// The same for all pairs.
    #[must_use]
    pub const fn constant(delay: Span) -> Self {
        Self { floor: delay, side: Span::ZERO, access_max: Span::ZERO }
    }
}

/// The capacity of a node's link; `None` has no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Links {
    /// From the node, bytes a second.
    pub up_bytes_per_s: Option<u64>,
    /// To the node, bytes a second.
    pub down_bytes_per_s: Option<u64>,
}

impl Links {
    /// No limit either way.
    pub const UNLIMITED: Self = Self { up_bytes_per_s: None, down_bytes_per_s: None };
}

/// How long `bytes` take at a rate, rounded up; nothing where there is no limit.
pub(crate) fn duration(bytes: u64, bytes_per_s: Option<u64>) -> Span {
    let Some(rate) = bytes_per_s else { return Span::ZERO };
    Span::from_micros(bytes.saturating_mul(1_000_000).div_ceil(rate.max(1)))
}
