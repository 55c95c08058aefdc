//! Limits by weekday and hour: which hold at this moment.

use hexad_api::node::UpSettings;
use hexad_api::{Limits, Moment, Problem, TimedLimits};
use hexad_driver::wall::Wall;
use jiff::ZonedDateTime;

use super::{House, State};

/// Entries of a schedule.
const SCHEDULE_MAX: usize = 100;

/// What the clock on the wall shows.
pub(super) fn now(wall: &Wall) -> Moment {
    // A clock that shows a year of which no calendar knows is as good as one that stands.
    let now = ZonedDateTime::try_from(wall.now()).unwrap_or_default();
    let number = |value: i8| u16::try_from(value).unwrap_or(0);
    Moment { day: now.weekday().to_monday_zero_offset().cast_unsigned(), minute: number(now.hour()) * 60 + number(now.minute()) }
}

/// What may be moved at that moment, and which entry of the schedule says so, if it is one.
pub(super) fn limits_at(settings: &UpSettings, at: Moment) -> (Limits, Option<&TimedLimits>) {
    let timed = TimedLimits::first(settings.schedule.as_deref().unwrap_or_default(), at);
    (timed.map_or_else(|| settings.limits.unwrap_or_default(), TimedLimits::limits), timed)
}

/// No schedule has more entries than somebody would write.
///
/// # Errors
/// When it has.
pub(crate) fn check_schedule(schedule: &[TimedLimits]) -> Result<(), Problem> {
    if schedule.len() > SCHEDULE_MAX {
        let problem = Problem::new(format!("expected at most {SCHEDULE_MAX} times with limits of their own, came {}", schedule.len()));
        return Err(problem.hint("several days can share an entry: mon-fri"));
    }
    Ok(())
}

impl House {
    /// Has those limits hold that are meant for this moment; returns whether they are others than before.
    pub(super) fn look_at_the_clock(&self, state: &State) -> bool {
        let (limits, _) = limits_at(&state.settings, now(&self.given.wall));
        if self.outside.limits.session() == (limits.down_bytes_per_s, limits.up_bytes_per_s) {
            return false;
        }
        self.outside.set_limits(limits);
        true
    }
}
