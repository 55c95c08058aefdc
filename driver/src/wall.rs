//! The clock on the wall: what it shows, and whether somebody has set it. Spans are measured by steady clocks; this one is for dates only.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// What a clock is corrected by, in seconds, without anybody having set it.
pub const SET_MIN_S: u64 = 60;

/// The clock on the wall.
#[derive(Clone, Debug, Default)]
pub struct Wall {
    ahead_s: Arc<AtomicI64>,
}

impl Wall {
    /// What it shows.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        let (now, ahead_s) = (SystemTime::now(), self.ahead_s.load(Ordering::Relaxed));
        let by = Duration::from_secs(ahead_s.unsigned_abs());
        let shown = if ahead_s < 0 { now.checked_sub(by) } else { now.checked_add(by) };
        shown.unwrap_or(now)
    }

    /// What it shows, in seconds since 1970; 0 before that.
    #[must_use]
    pub fn unix_s(&self) -> u64 {
        self.now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    /// Has it go so many seconds ahead of this machine's clock, for all who hold it: how a test sets the clock.
    pub fn set_ahead(&self, seconds: i64) {
        self.ahead_s.store(seconds, Ordering::Relaxed);
    }
}

/// Notices that the clock on the wall was set.
#[derive(Debug)]
pub struct WallWatch {
    wall: Wall,
    /// What the wall showed, and the steady clock, in seconds.
    seen: (u64, u64),
}

impl WallWatch {
    /// Watches from now on.
    #[must_use]
    pub fn new(wall: Wall) -> Self {
        let seen = (wall.unix_s(), steady_s());
        Self { wall, seen }
    }

    /// By how many seconds it was set since the last look; nothing where that is no more than what clocks are corrected by.
    pub fn look(&mut self) -> Option<i64> {
        let (before, steady_before) = self.seen;
        let now = (self.wall.unix_s(), steady_s());
        let expected = before.saturating_add(now.1.saturating_sub(steady_before));
        let by = i64::try_from(i128::from(now.0) - i128::from(expected)).unwrap_or(0);
        self.seen = now;
        (by.unsigned_abs() > SET_MIN_S).then_some(by)
    }
}

/// Seconds by a clock that nobody sets, and that goes on while the machine sleeps.
fn steady_s() -> u64 {
    u64::try_from(clock_gettime(ClockId::Boottime).tv_sec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_noticed_once_and_one_that_is_corrected_is_not() {
        const YEAR: i64 = 365 * 86_400;
        let wall = Wall::default();
        let mut watch = WallWatch::new(wall.clone());
        for (ahead, expected) in [(0, None), (YEAR, Some(YEAR)), (YEAR + 30, None), (-YEAR, Some(-2 * YEAR - 30)), (0, Some(YEAR))] {
            wall.set_ahead(ahead);
            // A second may go by between two looks.
            assert!(watch.look().map(|by| by / 10) == expected.map(|by| by / 10), "{ahead}");
            assert_eq!(watch.look(), None);
        }
    }
}
