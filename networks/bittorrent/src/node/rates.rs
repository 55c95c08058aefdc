//! How fast bytes go: a rolling average (BEP 3 averages over 20 s).

use hexad_core::{Span, Time};

const PARTS: usize = 20;
const PARTS_U64: u64 = PARTS as u64;

/// Bytes a second over a rolling window, in twenty parts.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    parts: [u32; PARTS],
    part_us: u64,
    /// The number of the part that is being filled, since time zero.
    current: u64,
    began: u64,
    total: u64,
}

impl Meter {
    /// An empty meter that averages over `window`.
    pub(crate) fn new(window: Span, now: Time) -> Self {
        let part_us = (u64::try_from(window.as_micros()).unwrap_or(u64::MAX) / PARTS_U64).max(1);
        let current = now.as_micros() / part_us;
        Self { parts: [0; PARTS], part_us, current, began: current, total: 0 }
    }

    fn advance(&mut self, now: Time) {
        let part = now.as_micros() / self.part_us;
        if part <= self.current {
            return;
        }
        let passed = (part - self.current).min(PARTS_U64);
        for number in 1..=passed {
            self.parts[index(part - passed + number)] = 0;
        }
        self.current = part;
    }

    /// Counts bytes.
    pub(crate) fn add(&mut self, bytes: u64, now: Time) {
        self.advance(now);
        let part = &mut self.parts[index(self.current)];
        *part = part.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        self.total += bytes;
    }

    /// All bytes that were counted.
    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    /// Bytes a second over the window, or over the meter's life where that is shorter.
    pub(crate) fn per_second(&mut self, now: Time) -> u64 {
        self.over(PARTS_U64, now)
    }

    /// Bytes a second over the last `parts` of the window, the one that is being filled left out if it is not the only one.
    pub(crate) fn lately(&mut self, parts: u64, now: Time) -> u64 {
        self.advance(now);
        let lived = self.current - self.began;
        if lived == 0 {
            return self.over(1, now);
        }
        let parts = parts.min(lived).min(PARTS_U64 - 1);
        let bytes: u64 = (1..=parts).map(|back| u64::from(self.parts[index(self.current - back)])).sum();
        bytes * 1_000_000 / (parts * self.part_us)
    }

    fn over(&mut self, parts: u64, now: Time) -> u64 {
        self.advance(now);
        let parts = parts.min(self.current - self.began + 1);
        let bytes: u64 = (0..parts).map(|back| u64::from(self.parts[index(self.current - back)])).sum();
        bytes * 1_000_000 / (parts * self.part_us)
    }
}

fn index(part: u64) -> usize {
    usize::try_from(part % PARTS_U64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Time {
        Time::ZERO + Span::from_secs(s)
    }

    #[test]
    fn a_steady_flow_is_measured_as_it_is() {
        let mut meter = Meter::new(Span::from_secs(20), at(100));
        for second in 100..140 {
            meter.add(5000, at(second));
        }
        assert_eq!(meter.per_second(at(139)), 5000);
        assert_eq!(meter.lately(3, at(140)), 5000);
    }

    /// BT2: rates are averaged over twenty seconds. A flow that begins after silence is seen at half of what it is after ten, and as it is after twenty.
    #[test]
    fn a_step_is_seen_at_half_after_ten_seconds_and_whole_after_twenty() {
        const TENTH: u64 = 5000;
        let mut meter = Meter::new(Span::from_secs(20), at(100));
        assert_eq!(meter.per_second(at(120)), 0, "it has lived through its window");
        for tenth in 0..400 {
            let now = at(120) + Span::from_millis(tenth * 100);
            meter.add(TENTH, now);
            let expected = 10 * TENTH * (tenth + 1).min(200) / 200;
            let measured = meter.per_second(now);
            // The part that is being filled counts as a whole one, so a twentieth may be missing.
            assert!(measured <= expected && measured + 10 * TENTH / 20 >= expected, "{measured} for {expected}");
            if [99, 199, 399].contains(&tenth) {
                assert_eq!(measured, expected, "after {} s", (tenth + 1) / 10);
            }
        }
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let mut meter = Meter::new(Span::from_secs(20), at(0));
        meter.add(1_000_000, at(1));
        assert!(meter.per_second(at(15)) > 0);
        assert_eq!(meter.per_second(at(40)), 0);
        assert_eq!(meter.total(), 1_000_000);
    }
}
