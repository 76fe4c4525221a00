//! How much is usual, from counts of comparable hours: the modified z-score of Iglewicz and Hoaglin
//! (1993), solved for the greatest count that is not unusual.
//!
//! Only addition, subtraction, multiplication, division and rounding down of 64-bit floating point, in a
//! fixed order: the same bits natively and in WebAssembly.

/// 0.6745 of a standard deviation on either side of the mean is the middle half of a normal
/// distribution.
const MAD_PER_SIGMA: f64 = 0.6745;

/// Mean absolute deviations of a normal distribution that make one standard deviation: the square root
/// of pi / 2.
const SIGMA_PER_MEAN_DEVIATION: f64 = 1.253_314;

/// What is usual.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Baseline {
    pub(crate) median: f64,
    /// The estimated standard deviation. 0 if all counts are equal, or there are none.
    pub(crate) spread: f64,
}

impl Baseline {
    /// Of the counts of hours with events, and a number of hours without any.
    ///
    /// The spread is the greater of two estimates. Iglewicz and Hoaglin take the median absolute
    /// deviation, and the mean one if that is 0. But for hours in which a user is present on a little less
    /// than half of the days, the median one is not 0 and says nothing, because it only reflects the empty
    /// half. Single large values hardly move the mean here: the history holds none above its limit.
    pub(crate) fn of(mut counts: Vec<u32>, n_zeros: usize) -> Self {
        let n = counts.len() + n_zeros;
        if n == 0 {
            return Self { median: 0.0, spread: 0.0 };
        }
        counts.resize(n, 0);
        let mut values: Vec<f64> = counts.into_iter().map(f64::from).collect();
        let median = median(&mut values);
        for value in &mut values {
            *value = (*value - median).abs();
        }
        values.sort_unstable_by(f64::total_cmp);
        let mean_deviation = values.iter().sum::<f64>() / n as f64;
        let median_deviation = middle(&values);
        let spread =
            (median_deviation / MAD_PER_SIGMA).max(mean_deviation * SIGMA_PER_MEAN_DEVIATION);
        Self { median, spread }
    }

    /// The greatest count whose modified z-score is at most `score`.
    pub(crate) fn limit(&self, score: f64) -> f64 {
        self.median + score * self.spread
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    middle(values)
}

/// The middle of sorted values, of which there is at least one.
fn middle(values: &[f64]) -> f64 {
    let (lower, upper) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
    lower + (upper - lower) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(counts: &[u32], n_zeros: usize) -> (f64, f64) {
        let baseline = Baseline::of(counts.to_vec(), n_zeros);
        (baseline.median, baseline.spread)
    }

    #[test]
    fn median_and_spread() {
        assert_eq!(of(&[], 0), (0.0, 0.0));
        assert_eq!(of(&[7], 0), (7.0, 0.0));
        assert_eq!(of(&[9, 7], 0), (8.0, 1.0 / 0.6745));
        assert_eq!(of(&[5, 5, 5, 5], 0), (5.0, 0.0));
        // Deviations 0, 1, 1, 2, 4: their median is 1, their mean 1.6.
        assert_eq!(of(&[10, 11, 9, 12, 6], 0), (10.0, 1.6 * 1.253_314));
        // Deviations 0, 2, 2, 2, 2: their median is 2, their mean 1.6.
        assert_eq!(of(&[10, 8, 8, 12, 12], 0), (10.0, 2.0 / 0.6745));
        // Deviations 2, 2, 2, 6: their median is 2, their mean 3.
        assert_eq!(of(&[4, 8], 2), (2.0, 3.0 * 1.253_314));
    }

    /// Present on 3 of 7 days: the median absolute deviation is 1, and any day of work would be unusual.
    #[test]
    fn a_minority_of_busy_hours_is_not_unusual() {
        let counts = [40, 40, 40, 1];
        let baseline = Baseline::of(counts.to_vec(), 3);
        assert!((baseline.median - 1.0).abs() < 1e-9, "{}", baseline.median);
        assert!(baseline.limit(3.5) > 60.0, "{baseline:?}");
    }

    #[test]
    fn all_zeros_have_no_spread() {
        assert_eq!(of(&[], 40), (0.0, 0.0));
        assert_eq!(of(&[21], 41), (0.0, 21.0 / 42.0 * 1.253_314));
    }
}
