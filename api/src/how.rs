//! How a task is to be carried out: limits, order, goals.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How fast bytes may come and go, in bytes a second; 0 has no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// What may come.
    pub down_bytes_per_s: u64,
    /// What may go.
    pub up_bytes_per_s: u64,
}

impl Limits {
    /// Whether there is none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// How a task is to be carried out beside what it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct How {
    /// Of this task alone, beside those of the session.
    pub limits: Limits,
    /// The front first, where the network has a choice.
    pub sequential: bool,
    /// Files that come before the others, as a selection names them.
    pub first: Vec<String>,
    /// Files that come after the others.
    pub last: Vec<String>,
    /// Show peers one piece at a time (BEP 16), so that a seed of little bandwidth gives each about once.
    pub super_seed: bool,
    /// Seed until so much was given, in percent of what there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_percent: Option<u64>,
    /// Seed for so many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed_s: Option<u64>,
}

impl How {
    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// Whether seeding has an end of its own.
    #[must_use]
    pub fn has_goal(&self) -> bool {
        self.ratio_percent.is_some() || self.seed_s.is_some()
    }

    /// Whether enough was given: any of the goals is reached.
    #[must_use]
    pub fn is_enough(&self, given_bytes: u64, whole_bytes: u64, seeded_s: u64) -> bool {
        let ratio = self
            .ratio_percent
            .is_some_and(|percent| whole_bytes > 0 && u128::from(given_bytes) * 100 >= u128::from(whole_bytes) * u128::from(percent));
        ratio || self.seed_s.is_some_and(|goal| seeded_s >= goal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_goal_that_is_reached_is_enough() {
        let none = How::default();
        assert!(!none.has_goal() && !none.is_enough(u64::MAX, 1, u64::MAX));
        let ratio = How { ratio_percent: Some(150), ..How::default() };
        assert!(ratio.has_goal() && !ratio.is_enough(149, 100, 9_999) && ratio.is_enough(150, 100, 0));
        assert!(!ratio.is_enough(0, 0, 0), "of nothing, nothing is enough");
        let both = How { seed_s: Some(60), ..ratio };
        assert!(both.is_enough(0, 100, 60) && both.is_enough(150, 100, 0) && !both.is_enough(149, 100, 59));
        let huge = How { ratio_percent: Some(u64::MAX), ..How::default() };
        assert!(!huge.is_enough(u64::MAX, u64::MAX, 0));
    }
}
