//! How much may be under way: LEDBAT with a slow start. RFC 6817 and BEP 29; constants as in libtorrent's `utp_stream.cpp`.

use hexad_core::{Span, Time};

use crate::Config;

/// Growth is counted in such fractions of a byte.
const FRACTION: i64 = 1 << 16;

/// The congestion window of one connection.
#[derive(Debug)]
pub struct Window {
    /// In fractions of bytes.
    size: i64,
    /// Where slow start ends; in bytes.
    threshold: u64,
    slow_start: bool,
    cut: Option<Time>,
    packet_bytes: i64,
    size_max: i64,
    target_us: i64,
    gain_bytes: i64,
}

impl Window {
    /// Room for two packets.
    pub fn new(config: &Config) -> Self {
        let packet_bytes = i64::try_from(config.packet_bytes).unwrap_or(i64::from(u16::MAX));
        Self {
            size: packet_bytes * 2 * FRACTION,
            threshold: u64::MAX,
            slow_start: true,
            cut: None,
            packet_bytes,
            size_max: i64::try_from(config.send_bytes_max).unwrap_or(i64::MAX / FRACTION) * FRACTION,
            target_us: i64::try_from(config.target_delay.as_micros()).unwrap_or(100_000).max(1),
            gain_bytes: i64::from(config.gain_bytes),
        }
    }

    /// Bytes that may be under way.
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.size / FRACTION).unwrap_or(0)
    }

    /// How fast packets leave, in bytes a second: a little faster than the window is acknowledged, so that it is filled within a round trip and not
    /// at once.
    pub fn pace(&self, round_trip: Span) -> u64 {
        let (over, under) = if self.slow_start { (2, 1) } else { (5, 4) };
        let micros = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX).max(1);
        self.bytes().saturating_mul(1_000_000 / under * over) / micros
    }

    /// `bytes` were acknowledged while so much was `queue`; `limiting` when the window, and not the application, held us back.
    pub fn acked(&mut self, bytes: u64, queue: Span, limiting: bool) {
        let acked = i64::try_from(bytes).unwrap_or(i64::MAX / FRACTION).min(self.size_max / FRACTION);
        if acked == 0 {
            return;
        }
        let queue_us = i64::try_from(queue.as_micros()).unwrap_or(i64::MAX / FRACTION).min(self.target_us * 1_000);
        if self.slow_start {
            if queue_us >= self.target_us * 9 / 10 {
                // What met this queue left a round trip ago, when the window was half of this.
                self.slow_start = false;
                self.set(self.size / 2);
                return;
            }
            if self.bytes() >= self.threshold {
                self.slow_start = false;
            } else if limiting {
                self.set(self.size + acked * FRACTION);
                return;
            } else {
                return;
            }
        }
        let size = (self.size / FRACTION).max(1);
        let share = (acked.min(size) * FRACTION) / size.max(acked);
        let off_target = (self.target_us - queue_us) * FRACTION / self.target_us;
        // However long the queue of others is, no more than half of the window goes in a round trip.
        let step = (self.gain_bytes * share / FRACTION * off_target).max(-(self.size / 2 / FRACTION * share));
        if step < 0 || limiting {
            self.set(self.size + step);
        }
    }

    /// Something was lost that was sent at that time. What was sent before the last cut tells of the same event as that.
    pub fn lost(&mut self, sent: Time, now: Time) {
        if self.cut.is_some_and(|cut| sent <= cut) {
            return;
        }
        self.cut = Some(now);
        self.slow_start = false;
        self.set(self.size / 2);
        self.threshold = self.bytes();
    }

    /// No answer in time: one packet, and slow start up to half of what it was.
    pub fn timed_out(&mut self, now: Time) {
        self.threshold = (self.bytes() / 2).max(u64::try_from(self.packet_bytes * 2).unwrap_or(0));
        self.slow_start = true;
        self.cut = Some(now);
        self.set(0);
    }

    fn set(&mut self, size: i64) {
        self.size = size.clamp(self.packet_bytes * FRACTION, self.size_max.max(self.packet_bytes * FRACTION));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> Window {
        Window::new(&Config::default())
    }

    #[test]
    fn it_doubles_in_each_round_trip_until_there_is_a_queue() {
        let mut window = window();
        for round in 1..=5 {
            let bytes = window.bytes();
            window.acked(bytes, Span::ZERO, true);
            assert_eq!(window.bytes(), 2_464 << round);
        }
        let bytes = window.bytes();
        window.acked(bytes, Span::from_millis(95), true);
        assert_eq!(window.bytes(), bytes / 2, "what it was when that queue was met");
        window.acked(bytes / 2, Span::from_millis(95), true);
        assert!(window.bytes() < bytes / 2 + 200, "hardly any more near the target: {}", window.bytes());
    }

    #[test]
    fn it_comes_to_rest_at_the_target() {
        let mut window = window();
        window.lost(Time::ZERO, Time::ZERO);
        for _ in 0..100 {
            let bytes = window.bytes();
            window.acked(bytes, Span::ZERO, true);
        }
        let grown = window.bytes();
        assert!((290_000..=305_000).contains(&grown), "3,000 bytes a round trip: {grown}");
        window.acked(grown, Span::from_millis(100), true);
        assert_eq!(window.bytes(), grown);
        window.acked(grown, Span::from_millis(200), true);
        assert_eq!(window.bytes(), grown - 3_000);
        let bytes = window.bytes();
        window.acked(bytes, Span::from_secs(60), true);
        assert!(window.bytes().abs_diff(bytes / 2) < 10, "never more than half at once: {}", window.bytes());
    }

    #[test]
    fn it_does_not_grow_while_nobody_fills_it() {
        let mut window = window();
        window.acked(2_000, Span::ZERO, false);
        assert_eq!(window.bytes(), 2_464);
    }

    #[test]
    fn losses_of_one_round_trip_halve_it_once() {
        let mut window = window();
        for _ in 0..6 {
            let bytes = window.bytes();
            window.acked(bytes, Span::ZERO, true);
        }
        let full = window.bytes();
        let trip = Span::from_millis(200);
        let second = Time::ZERO + Span::from_secs(1);
        window.lost(Time::ZERO, second);
        window.lost(second, second + Span::from_millis(199));
        assert_eq!(window.bytes(), full / 2);
        window.lost(second + Span::from_millis(1), second + trip);
        assert_eq!(window.bytes(), full / 4);
        window.timed_out(second + trip * 2);
        assert_eq!(window.bytes(), 1_232);
    }
}
