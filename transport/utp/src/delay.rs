//! The queue at the bottleneck, from one-way delays by two clocks that do not agree. RFC 6817, section 2.4.2; libutp `DELAY_BASE_HISTORY`.

use hexad_core::{Span, Time};

/// Minutes over which the smallest delay is taken for that of an empty line.
const MINUTES: usize = 13;
const MINUTE: Span = Span::from_secs(60);
/// The newest delays, of which the smallest counts: one packet that was late alone is no queue.
const RECENT: usize = 3;

/// One-way delays of what we send, as the peer measures them. All are µs modulo 2^32 with an unknown constant in them.
#[derive(Debug, Default)]
pub struct Delays {
    /// The smallest of each minute, the current one first.
    base: [u32; MINUTES],
    /// How many of them are filled.
    filled: usize,
    minute_began: Time,
    recent: [u32; RECENT],
    heard: usize,
}

impl Delays {
    /// Takes in a delay and says how much of it is queue.
    pub fn heard(&mut self, lag_us: u32, now: Time) -> Span {
        if self.filled == 0 {
            (self.base[0], self.filled, self.minute_began) = (lag_us, 1, now);
        } else if now.since(self.minute_began) >= MINUTE {
            self.base.rotate_right(1);
            self.base[0] = lag_us;
            self.filled = (self.filled + 1).min(MINUTES);
            self.minute_began = now;
        } else if less(lag_us, self.base[0]) {
            self.base[0] = lag_us;
        }
        let base = self.base[1..self.filled].iter().fold(self.base[0], |least, &one| if less(one, least) { one } else { least });
        self.recent[self.heard % RECENT] = lag_us;
        self.heard += 1;
        let newest = &self.recent[..self.heard.min(RECENT)];
        let queued = newest.iter().map(|lag| lag.wrapping_sub(base)).min().unwrap_or(0);
        // A delay that was smaller than the base has become the base; what looks enormous is a clock that jumped.
        Span::from_micros(if queued > u32::MAX / 2 { 0 } else { u64::from(queued) })
    }
}

/// Whether `one` is the smaller of two clocks' differences, which wrap.
fn less(one: u32, other: u32) -> bool {
    one.wrapping_sub(other).cast_signed() < 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    #[test]
    fn what_is_above_the_smallest_is_queue_whatever_the_clocks_say() {
        for constant in [0_u32, 5_000, u32::MAX - 20_000] {
            let mut delays = Delays::default();
            assert_eq!(delays.heard(constant.wrapping_add(30_000), at(0)), Span::ZERO);
            for _ in 0..3 {
                delays.heard(constant.wrapping_add(80_000), at(1));
            }
            assert_eq!(delays.heard(constant.wrapping_add(90_000), at(1)), Span::from_millis(50), "the smallest of three");
            assert_eq!(delays.heard(constant.wrapping_add(20_000), at(2)), Span::ZERO);
            for _ in 0..3 {
                delays.heard(constant.wrapping_add(40_000), at(3));
            }
            assert_eq!(delays.heard(constant.wrapping_add(40_000), at(3)), Span::from_millis(20));
        }
    }

    #[test]
    fn an_old_route_is_forgotten() {
        let mut delays = Delays::default();
        delays.heard(10_000, at(0));
        let mut queue = Span::ZERO;
        for minute in 1..30 {
            for _ in 0..3 {
                queue = delays.heard(60_000, at(minute * 61));
            }
            assert_eq!(queue, if minute < 13 { Span::from_millis(50) } else { Span::ZERO }, "minute {minute}");
        }
    }
}
