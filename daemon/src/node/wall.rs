//! What follows when somebody sets the clock on the wall, while the node runs or between two runs.
//!
//! Nothing is lost by that: spans are measured by steady clocks. Dates that were kept stay as they are, and limits by weekday and hour follow the clock.

use super::store::{Keep, json};
use super::{House, State};

/// Under which name it is kept what the clock showed.
const CLOCK: &str = "clock";
/// A clock that is behind by less was corrected.
const BEHIND_MIN_S: u64 = 60;

impl House {
    /// Says so where the clock shows an earlier time than when the node ran last, and keeps what it shows.
    pub(super) fn look_when_it_ran(&self, state: &mut State) {
        let (now, before) = (self.given.wall.unix_s(), self.store.setting::<u64>(CLOCK).unwrap_or(0));
        if before > now + BEHIND_MIN_S {
            let by = span(before - now);
            state.warn(format!(
                "the clock of this machine is {by} behind what it showed when this node ran last: nothing is lost, but dates that are kept may lie ahead"
            ));
        }
        self.keep_clock(state);
    }

    /// Keeps what the clock shows.
    pub(super) fn keep_clock(&self, state: &mut State) {
        state.keep.push(Keep::Setting(CLOCK, json(&self.given.wall.unix_s())));
    }

    /// Somebody has set the clock.
    pub(super) fn on_clock_set(&self, state: &mut State, by_s: i64) {
        state.downloads.on_clock_set(by_s);
        let way = if by_s < 0 { "back" } else { "forward" };
        let follows = if state.settings.schedule.as_ref().is_some_and(|schedule| !schedule.is_empty()) {
            "limits by weekday and hour follow it"
        } else {
            "dates that were kept stay as they are"
        };
        let by = span(by_s.unsigned_abs());
        state.warn(format!("the clock of this machine was set {way} by {by}: everything goes on, and {follows}"));
        state.moved = true;
        self.keep_clock(state);
    }
}

/// A span in the largest unit of which there are two.
fn span(seconds: u64) -> String {
    let units = [("days", 86_400), ("hours", 3_600), ("minutes", 60)];
    let fits = units.into_iter().find(|(_, unit)| seconds >= 2 * unit);
    fits.map_or_else(|| format!("{seconds} seconds"), |(name, unit)| format!("{} {name}", seconds / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_said_in_few_words() {
        assert_eq!([61, 7200, 365 * 86_400].map(span), ["61 seconds", "2 hours", "365 days"]);
    }
}
