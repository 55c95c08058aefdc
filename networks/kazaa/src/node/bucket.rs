//! A token bucket: so many a second, and so many at once.

use hexad_core::Time;

/// Thousandths of a token.
const WHOLE: u64 = 1000;

/// How much somebody may still ask for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    level: u64,
    at: Time,
}

impl Bucket {
    pub(super) fn full(burst: u32, now: Time) -> Self {
        Self { level: u64::from(burst) * WHOLE, at: now }
    }

    /// Takes one, if there is one.
    pub(super) fn take(&mut self, per_s: u32, burst: u32, now: Time) -> bool {
        let micros = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        let gained = micros.saturating_mul(per_s.into()) / 1000;
        if gained > 0 {
            self.level = self.level.saturating_add(gained).min(u64::from(burst) * WHOLE);
            self.at = now;
        }
        let may = self.level >= WHOLE;
        if may {
            self.level -= WHOLE;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hexad_core::Span;

    #[test]
    fn a_burst_is_followed_by_a_rate() {
        let mut bucket = Bucket::full(3, Time::ZERO);
        let taken = |bucket: &mut Bucket, at: Time| (0..10).filter(|_| bucket.take(2, 3, at)).count();
        assert_eq!(taken(&mut bucket, Time::ZERO), 3);
        assert_eq!(taken(&mut bucket, Time::ZERO + Span::from_secs(1)), 2);
        assert_eq!(taken(&mut bucket, Time::ZERO + Span::from_secs(100)), 3);
    }
}
