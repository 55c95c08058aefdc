//! How often somebody may do something.

use hexad_core::{Span, Time};

/// A bucket that fills evenly and never overflows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// What is in it, in millionths.
    level: u64,
    at: Time,
}

impl Bucket {
    /// A full one.
    pub(crate) const fn full(burst: u32, now: Time) -> Self {
        Self { level: burst as u64 * 1_000_000, at: now }
    }

    /// Takes one, if there is one. A rate of 0 has no limit.
    pub(crate) fn take(&mut self, per_minute: u32, burst: u32, now: Time) -> bool {
        if per_minute == 0 {
            return true;
        }
        let passed = u64::try_from(now.since(self.at).min(Span::from_secs(3600)).as_micros()).unwrap_or(0);
        self.at = now;
        self.level = (self.level + passed * u64::from(per_minute) / 60).min(u64::from(burst) * 1_000_000);
        match self.level.checked_sub(1_000_000) {
            Some(left) => {
                self.level = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_what_it_holds_and_then_what_drips_in() {
        let mut bucket = Bucket::full(3, Time::ZERO);
        let mut taken = |at: u64| bucket.take(60, 3, Time::from_micros(at));
        assert_eq!([taken(0), taken(0), taken(0), taken(0)], [true, true, true, false]);
        assert_eq!([taken(999_999), taken(1_000_001), taken(1_000_002)], [false, true, false]);
        assert_eq!([taken(100_000_000), taken(100_000_000), taken(100_000_000), taken(100_000_000)], [true, true, true, false]);
    }
}
