//! Limits by the day of the week and the hour.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::Limits;

const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// Limits that hold at certain times in place of the usual ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TimedLimits {
    /// On which days: `mon`, `mon-fri`, `sat,sun`; every day when left out.
    #[serde(default)]
    #[schema(value_type = String, example = "mon-fri")]
    pub days: Days,
    /// At which hours by the clock of the node's machine, the end not included: `08:00-18:30`. `22:00-06:00` goes on into the day after. The whole day when
    /// left out.
    #[serde(default)]
    #[schema(value_type = String, example = "08:00-18:30")]
    pub hours: Hours,
    /// What may come, bytes a second; 0 has no limit.
    #[serde(default)]
    pub down_bytes_per_s: u64,
    /// What may go, bytes a second; 0 has no limit.
    #[serde(default)]
    pub up_bytes_per_s: u64,
}

/// Days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days([bool; 7]);

/// A part of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// Minutes since midnight.
    from: u16,
    /// Minutes since midnight; what is not after `from` is on the day after.
    to: u16,
}

/// A moment of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// 0 is Monday.
    pub day: u8,
    /// Minutes since midnight.
    pub minute: u16,
}

impl TimedLimits {
    /// Whether they hold at that moment.
    #[must_use]
    pub fn hold_at(&self, at: Moment) -> bool {
        let Hours { from, to } = self.hours;
        let day = usize::from(at.day % 7);
        let is_over_midnight = to <= from;
        let begun_today = self.days.0[day] && at.minute >= from && (is_over_midnight || at.minute < to);
        let begun_yesterday = self.days.0[(day + 6) % 7] && is_over_midnight && at.minute < to;
        begun_today || begun_yesterday
    }

    /// What they are.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits { down_bytes_per_s: self.down_bytes_per_s, up_bytes_per_s: self.up_bytes_per_s }
    }

    /// When they hold, in words.
    #[must_use]
    pub fn when(&self) -> String {
        format!("{} {}", self.days, self.hours)
    }

    /// The first of `schedule` that holds at that moment.
    #[must_use]
    pub fn first(schedule: &[Self], at: Moment) -> Option<&Self> {
        schedule.iter().find(|timed| timed.hold_at(at))
    }
}

impl Default for Days {
    fn default() -> Self {
        Self([true; 7])
    }
}

impl Default for Hours {
    fn default() -> Self {
        Self { from: 0, to: DAY }
    }
}

impl FromStr for Days {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected days such as mon, mon-fri or sat,sun, came '{text}'");
        let number = |name: &str| NAMES.iter().position(|known| known.eq_ignore_ascii_case(name.trim())).ok_or_else(wrong);
        let mut days = [false; 7];
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (mut day, last) = (number(first)?, number(last)?);
            days[day] = true;
            while day != last {
                day = (day + 1) % 7;
                days[day] = true;
            }
        }
        Ok(Self(days))
    }
}

impl fmt::Display for Days {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let mut day = 0;
        while day < 7 {
            if !self.0[day] {
                day += 1;
                continue;
            }
            let first = day;
            while day < 7 && self.0[day] {
                day += 1;
            }
            parts.push(if day - first == 1 { NAMES[first].to_owned() } else { format!("{}-{}", NAMES[first], NAMES[day - 1]) });
        }
        formatter.write_str(&parts.join(","))
    }
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected hours such as 08:00-18:30, came '{text}'");
        let minute = |time: &str| {
            let (hours, minutes) = time.trim().split_once(':')?;
            let two = |digits: &str, length| (digits.len() <= 2 && digits.len() >= length).then(|| digits.parse::<u8>().ok()).flatten();
            let (hours, minutes) = (u16::from(two(hours, 1)?), u16::from(two(minutes, 2)?));
            (minutes < 60 && hours * 60 + minutes <= DAY).then_some(hours * 60 + minutes)
        };
        let (from, to) = text.split_once('-').ok_or_else(wrong)?;
        let (from, to) = minute(from).zip(minute(to)).ok_or_else(wrong)?;
        if from == to || from == DAY {
            return Err(format!("expected an end after the beginning, came '{text}'"));
        }
        Ok(Self { from, to })
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        write!(formatter, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

macro_rules! as_text {
    ($kind:ty) => {
        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(Days);
as_text!(Hours);

#[cfg(test)]
mod tests {
    use super::*;

    fn timed(days: &str, hours: &str) -> TimedLimits {
        TimedLimits { days: days.parse().unwrap(), hours: hours.parse().unwrap(), down_bytes_per_s: 1, up_bytes_per_s: 2 }
    }

    fn at(day: u8, hour: u16, minute: u16) -> Moment {
        Moment { day, minute: hour * 60 + minute }
    }

    #[test]
    fn they_hold_from_their_first_minute_to_before_their_last_on_their_days() {
        let office = timed("mon-fri", "08:00-18:30");
        assert!(office.hold_at(at(0, 8, 0)) && office.hold_at(at(4, 18, 29)));
        assert!(!office.hold_at(at(0, 7, 59)) && !office.hold_at(at(4, 18, 30)) && !office.hold_at(at(5, 12, 0)));
        let whole = timed("sat,sun", "00:00-24:00");
        assert!(whole.hold_at(at(5, 0, 0)) && whole.hold_at(at(6, 23, 59)) && !whole.hold_at(at(0, 0, 0)));
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let night = timed("sun", "22:00-06:00");
        assert!(night.hold_at(at(6, 22, 0)) && night.hold_at(at(0, 5, 59)));
        assert!(!night.hold_at(at(6, 5, 0)) && !night.hold_at(at(0, 6, 0)) && !night.hold_at(at(0, 22, 0)));
        assert!(timed("sat", "22:00-00:00").hold_at(at(5, 23, 59)) && !timed("sat", "22:00-00:00").hold_at(at(6, 0, 0)));
    }

    #[test]
    fn the_first_that_holds_counts() {
        let schedule = [timed("sat", "10:00-12:00"), timed("sat,sun", "00:00-24:00")];
        assert_eq!(TimedLimits::first(&schedule, at(5, 11, 0)), Some(&schedule[0]));
        assert_eq!(TimedLimits::first(&schedule, at(5, 12, 0)), Some(&schedule[1]));
        assert_eq!(TimedLimits::first(&schedule, at(0, 12, 0)), None);
    }

    #[test]
    fn what_is_written_is_read_again_and_nonsense_is_refused_in_words() {
        for (given, written) in [("fri-mon", "mon,fri-sun"), ("MON , wed", "mon,wed"), ("tue", "tue"), ("sun-sat", "mon-sun")] {
            let days: Days = given.parse().unwrap();
            assert_eq!((days.to_string().as_str(), days.to_string().parse()), (written, Ok(days)));
        }
        for (given, written) in [("8:00-18:30", "08:00-18:30"), ("22:00 - 6:00", "22:00-06:00"), ("00:00-24:00", "00:00-24:00")] {
            let hours: Hours = given.parse().unwrap();
            assert_eq!((hours.to_string().as_str(), hours.to_string().parse()), (written, Ok(hours)));
        }
        for wrong in ["", "monday", "mon-", "mon,,tue", "mon-fri-sun"] {
            assert_eq!(wrong.parse::<Days>(), Err(format!("expected days such as mon, mon-fri or sat,sun, came '{wrong}'")));
        }
        for wrong in ["", "8-18", "08:00", "08:60-09:00", "24:01-24:02", "8:0-9:00", "-1:00-2:00", "08:00-18:00-20:00", "256:00-1:00"] {
            assert_eq!(wrong.parse::<Hours>(), Err(format!("expected hours such as 08:00-18:30, came '{wrong}'")));
        }
        assert!("08:00-08:00".parse::<Hours>().is_err() && "24:00-06:00".parse::<Hours>().is_err());
    }
}
