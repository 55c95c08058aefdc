//! How fast bytes come, where no network says it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Over how long a rate is averaged.
const WINDOW: Duration = Duration::from_secs(20);

/// A rate over the last while.
#[derive(Default)]
pub(crate) struct Pace {
    /// When it was looked, and how many bytes there were; the oldest is just beyond the window.
    looks: VecDeque<(Instant, u64)>,
}

impl Pace {
    /// Bytes a second, when there are so many bytes by `now`. Counts from the first call.
    pub(crate) fn look(&mut self, now: Instant, bytes: u64) -> u64 {
        self.looks.push_back((now, bytes));
        while self.looks.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW) {
            self.looks.pop_front();
        }
        let Some(&(since, before)) = self.looks.front() else { return 0 };
        let millis = u64::try_from(now.duration_since(since).as_millis()).unwrap_or(u64::MAX);
        (bytes.saturating_sub(before)).saturating_mul(1000).checked_div(millis).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_forgets_what_was_long_ago() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let looks = [(0, 0), (500, 1000), (1000, 2000), (21_000, 2000)];
        let rates = looks.map(|(millis, bytes)| pace.look(start + Duration::from_millis(millis), bytes));
        assert_eq!(rates, [0, 2000, 2000, 0]);
    }
}
