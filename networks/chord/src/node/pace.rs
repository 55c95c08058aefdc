//! How often fingers are looked at: with every stabilisation while something changes, less and less often while nothing does.

/// Stabilisations that pass at most without a look at a finger.
const PAUSE_MAX: u8 = 7;

/// When it is time to look at fingers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pace {
    /// Stabilisations that pass without a look between two with one.
    pause: u8,
    /// How many of them are still to pass.
    left: u8,
    /// Fingers in a row that were found to be right.
    right: u8,
}

impl Pace {
    /// Stabilisation has come round: whether fingers are looked at this time.
    pub fn is_due(&mut self) -> bool {
        let due = self.left == 0;
        self.left = if due { self.pause } else { self.left - 1 };
        due
    }

    /// A finger was found to be right. When all of `fingers` were in turn, there is twice as long between two looks.
    pub fn found_right(&mut self, fingers: u8) {
        self.right = self.right.saturating_add(1);
        if self.right >= fingers {
            self.right = 0;
            self.pause = (2 * self.pause + 1).min(PAUSE_MAX);
        }
    }

    /// Others have come or gone nearby, and so probably elsewhere.
    pub fn quicken(&mut self) {
        self.pause /= 2;
        self.left = self.left.min(self.pause);
        self.right = 0;
    }

    /// A finger was wrong or is gone.
    pub fn hurry(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::{PAUSE_MAX, Pace};

    /// Looks until nothing has changed for so many stabilisations: at which of them fingers were looked at.
    fn looks(pace: &mut Pace, ticks: usize) -> Vec<usize> {
        let mut looks = Vec::new();
        for tick in 0..ticks {
            if pace.is_due() {
                looks.push(tick);
                pace.found_right(3);
            }
        }
        looks
    }

    #[test]
    fn each_round_without_news_doubles_the_pause_up_to_a_bound_and_news_end_it() {
        let mut pace = Pace::default();
        assert_eq!(looks(&mut pace, 70), [0, 1, 2, 3, 5, 7, 9, 13, 17, 21, 29, 37, 45, 53, 61, 69]);
        pace.quicken();
        assert_eq!(looks(&mut pace, 14), [3, 7, 11]);
        let mut pace = Pace { pause: PAUSE_MAX, left: PAUSE_MAX, right: 2 };
        pace.hurry();
        assert_eq!(looks(&mut pace, 8), [0, 1, 2, 3, 5, 7]);
    }
}
