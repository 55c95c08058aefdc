//! Spreads what a window allows over the round trip: a whole window at once overruns the buffers on its way, the receiver's among them.
//!
//! A bucket of bytes that fills at the pace of the window (RFC 9002, section 7.7). It holds what clocks that tick in milliseconds need.

use hexad_core::{Span, Time};

/// What may leave at once, however slow the pace: ten packets, as TCP's first window (RFC 6928).
const BURST_BYTES_MIN: i64 = 14_000;
/// What may leave at once at most: a receiver's socket holds about 90 packets where nobody has set its buffer (Linux, `rmem_default`).
const BURST_BYTES_MAX: i64 = 64_000;
/// Timers of hosts come up to this late.
const TICK: Span = Span::from_millis(2);

/// When the next packet may leave.
#[derive(Debug)]
pub struct Pacer {
    credit: i64,
    filled: Time,
    wake: Option<Time>,
}

impl Pacer {
    pub fn new(now: Time) -> Self {
        Self { credit: BURST_BYTES_MIN, filled: now, wake: None }
    }

    /// Time has passed; without a pace there is no measure yet, and everything may leave.
    pub fn refill(&mut self, pace: Option<u64>, now: Time) {
        let Some(pace) = pace else {
            (self.credit, self.filled) = (BURST_BYTES_MAX, now);
            return;
        };
        let full = burst(pace);
        let micros = i64::try_from(now.since(self.filled).as_micros()).unwrap_or(i64::MAX);
        let fresh = i64::try_from(pace).unwrap_or(i64::MAX).saturating_mul(micros) / 1_000_000;
        self.credit = self.credit.saturating_add(fresh).min(full);
        // What is less than a byte is not lost.
        if fresh > 0 || self.credit == full {
            self.filled = now;
        }
    }

    pub fn may_send(&self) -> bool {
        self.credit > 0
    }

    pub fn sent(&mut self, bytes: usize) {
        self.credit -= i64::try_from(bytes).unwrap_or(i64::MAX);
    }

    /// `more` would leave now, but for the pace.
    pub fn wait(&mut self, more: bool, pace: Option<u64>, now: Time) {
        self.wake = match pace {
            Some(pace) if more && !self.may_send() => {
                // Not for a single packet each time, where many leave in a tick.
                let short = i64::max(1 - self.credit, burst(pace) / 4 - self.credit).max(1);
                let micros = short.saturating_mul(1_000_000) / i64::try_from(pace).unwrap_or(i64::MAX).max(1);
                Some(now + Span::from_micros(u64::try_from(micros).unwrap_or(0).max(1)))
            }
            _ => None,
        };
    }

    /// When to go on.
    pub fn wake(&self) -> Option<Time> {
        self.wake
    }
}

/// What may leave at once at that pace.
fn burst(pace: u64) -> i64 {
    let tick = u64::try_from(TICK.as_micros()).unwrap_or(0);
    i64::try_from(pace.saturating_mul(tick) / 1_000_000).unwrap_or(i64::MAX).clamp(BURST_BYTES_MIN, BURST_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: u64 = 1_000_000;

    /// Bytes that leave at that moment, in packets of 1,000.
    fn leave(pacer: &mut Pacer, at: Time) -> usize {
        pacer.refill(Some(PACE), at);
        let mut left = 0;
        while pacer.may_send() {
            pacer.sent(1_000);
            left += 1_000;
        }
        pacer.wait(true, Some(PACE), at);
        left
    }

    #[test]
    fn after_a_burst_packets_leave_at_the_pace() {
        let mut pacer = Pacer::new(Time::ZERO);
        let mut at = Time::ZERO + Span::from_secs(1);
        assert_eq!(leave(&mut pacer, at), 14_000, "what has not left in time is not saved up");
        let (began, mut left) = (at, 0);
        while at < began + Span::from_secs(1) {
            at = pacer.wake().expect("more waits");
            left += leave(&mut pacer, at);
        }
        assert!((990_000..=1_010_000).contains(&left), "{left}");
    }

    #[test]
    fn who_has_nothing_to_send_is_not_woken() {
        let mut pacer = Pacer::new(Time::ZERO);
        leave(&mut pacer, Time::ZERO);
        assert!(pacer.wake().is_some());
        pacer.wait(false, Some(PACE), Time::ZERO);
        assert_eq!(pacer.wake(), None);
    }
}
