//! Medians, and the ratios of costs that were measured in the same round.

/// A ratio over the rounds of one depth. Invariant: `low ≤ median ≤ high`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// The median.
    pub median: f64,
    /// The least of any round.
    pub low: f64,
    /// The greatest of any round.
    pub high: f64,
}

impl Ratio {
    /// Of pairs (peer's cost, ours), one for each round; `None` without a round.
    ///
    /// The ratio is taken within each round, so that what slows a round down slows both its sides.
    #[must_use]
    pub fn of_rounds(pairs: &[(f64, f64)]) -> Option<Self> {
        let ratios: Vec<f64> = pairs.iter().map(|(peer, ours)| peer / ours).collect();
        Some(Self {
            median: median(&ratios)?,
            low: ratios.iter().copied().reduce(f64::min)?,
            high: ratios.iter().copied().reduce(f64::max)?,
        })
    }
}

/// The middle one, or the mean of the two in the middle; `None` of nothing.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        for (values, expected) in [
            (&[][..], None),
            (&[3.0], Some(3.0)),
            (&[3.0, 1.0], Some(2.0)),
            (&[9.0, 1.0, 2.0], Some(2.0)),
            (&[1e9, 1.0, 3.0, 2.0], Some(2.5)),
        ] {
            assert_eq!(median(values), expected, "{values:?}");
        }
    }

    #[test]
    fn the_ratio_is_taken_within_each_round() {
        // The second round was twice as slow for both: the ratio does not see it.
        let ratio = Ratio::of_rounds(&[(300.0, 100.0), (600.0, 200.0), (300.0, 100.0)]).unwrap();
        assert_eq!(ratio, Ratio { median: 3.0, low: 3.0, high: 3.0 });
    }

    #[test]
    fn the_spread_is_the_least_and_the_greatest_of_any_round() {
        let ratio = Ratio::of_rounds(&[(200.0, 100.0), (50.0, 100.0), (900.0, 100.0)]).unwrap();
        assert_eq!(ratio, Ratio { median: 2.0, low: 0.5, high: 9.0 });
        assert_eq!(Ratio::of_rounds(&[]), None);
    }
}
