//! What some figures come to: their middle, a straight line through points.

/// The middle of some figures: the mean of the two in the middle where their number is even, 0 where there are none.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => figures[middle],
        _ => f64::midpoint(figures[middle - 1], figures[middle]),
    }
}

/// The line of least squares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fit {
    /// How much it rises for each step to the right.
    pub(crate) slope: f64,
    /// R², how much of the variation it explains; nothing where there is no variation to explain.
    pub(crate) explained: Option<f64>,
}

impl Fit {
    /// The line through points; level where they say nothing about a slope.
    pub(crate) fn of(points: &[(f64, f64)]) -> Self {
        let count = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for point in points {
            let (dx, dy) = (point.0 - x, point.1 - y);
            (xx, xy, yy) = (xx + dx * dx, xy + dx * dy, yy + dy * dy);
        }
        // What is left of sums of equal numbers is no variation.
        if xx > 0.0 && yy > count * y * y * 1e-20 {
            Self { slope: xy / xx, explained: Some(xy * xy / (xx * yy)) }
        } else {
            Self { slope: 0.0, explained: None }
        }
    }

    /// R² of the line for somebody who says that something grows along it: 0 where it stays as it is, which shows no growth.
    pub(crate) fn explained_growth(points: &[(f64, f64)]) -> f64 {
        Self::of(points).explained.unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straight_line_explains_everything_and_chance_little() {
        let straight = Fit::of(&[(1.0, 5.0), (2.0, 7.0), (4.0, 11.0)]);
        assert!((straight.slope - 2.0).abs() < 1e-12 && straight.explained.is_some_and(|share| (share - 1.0).abs() < 1e-12));
        assert!(Fit::of(&[(1.0, 0.0), (2.0, 9.0), (3.0, 0.0)]).explained.is_some_and(|share| share < 0.01));
    }

    #[test]
    fn half_of_all_figures_are_below_the_median() {
        assert_eq!([&[][..], &[3.0], &[4.0, 1.0], &[9.0, 1.0, 2.0]].map(median), [0.0, 3.0, 2.5, 2.0]);
    }

    #[test]
    fn equal_numbers_have_no_slope_and_nothing_to_explain() {
        let third = 1.0 / 3.0;
        for points in [&[(0.1, third), (0.7, third), (1.3, third)][..], &[(2.0, 1.0), (2.0, 5.0)], &[(1.0, 1.0)]] {
            assert_eq!(Fit::of(points), Fit { slope: 0.0, explained: None });
        }
    }
}
