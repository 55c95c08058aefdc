//! A TCP download as plain as its textbook: slow start, one packet more a round trip, half after a loss (Reno). What uTP is to give way to.

use hexad_core::{Map, Span, Time};

use super::{Line, Load};

/// Bytes of a packet, headers included.
const PACKET_BYTES: u64 = 1_500;
/// Packets that may come later than one sent after them before one counts as lost.
const REORDERED_MAX: u64 = 3;
/// Numbers of packets; what stands above them says whose they are.
const NUMBER_BITS: u32 = 40;
/// Where nothing has come back for so long, all that is under way is lost.
const TIMEOUT: Span = Span::from_secs(1);

/// One download over a [`Line`], from its first end to its second. Always has something to send.
#[derive(Debug)]
pub struct Reno {
    /// Which of several.
    flow: u64,
    next: u64,
    /// Packets that may be under way.
    window: f64,
    threshold: f64,
    flying: Map<u64, Time>,
    recover: u64,
    heard: Option<Time>,
    delivered_bytes: u64,
}

impl Reno {
    /// Number `flow` of several on one line.
    #[must_use]
    pub const fn new(flow: u64) -> Self {
        Self { flow, next: 0, window: 2.0, threshold: 1e9, flying: Map::new(), recover: 0, heard: None, delivered_bytes: 0 }
    }

    /// Whose packet that is.
    pub(super) const fn flow_of(number: u64) -> u64 {
        number >> NUMBER_BITS
    }

    /// Bytes that have arrived, headers included.
    #[must_use]
    pub const fn delivered_bytes(&self) -> u64 {
        self.delivered_bytes
    }

    /// Sends what the window allows.
    #[expect(clippy::cast_precision_loss, reason = "a window of packets")]
    pub fn send(&mut self, line: &mut Line) {
        let heard = *self.heard.get_or_insert(line.now);
        if !self.flying.is_empty() && line.now.since(heard) >= TIMEOUT {
            self.flying.clear();
            self.lose();
            self.window = 2.0;
            self.heard = Some(line.now);
        }
        while (self.flying.len() as f64) < self.window {
            self.flying.insert(self.next, line.now);
            line.send(0, PACKET_BYTES, Load::Other(self.flow << NUMBER_BITS | self.next));
            self.next += 1;
        }
    }

    /// A packet was acknowledged.
    pub fn acked(&mut self, number: u64, now: Time) {
        let number = number & ((1 << NUMBER_BITS) - 1);
        self.heard = Some(now);
        if self.flying.remove(&number).is_none() {
            return;
        }
        self.delivered_bytes += PACKET_BYTES;
        self.window += if self.window < self.threshold { 1.0 } else { 1.0 / self.window };
        let lost: Vec<u64> = self.flying.range(..number.saturating_sub(REORDERED_MAX)).map(|(lost, _)| *lost).collect();
        for lost in lost {
            self.flying.remove(&lost);
            if lost >= self.recover {
                self.lose();
            }
        }
    }

    fn lose(&mut self) {
        self.recover = self.next;
        self.window = (self.window / 2.0).max(2.0);
        self.threshold = self.window;
    }
}
