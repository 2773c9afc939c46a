//! How sure a ratio is that was found over rounds: by drawing the rounds again, with replacement.

use rand_xoshiro::{
    Xoshiro256PlusPlus,
    rand_core::{Rng as _, SeedableRng as _},
};

/// Times the rounds are drawn.
const DRAWS: usize = 1_000;
/// Of the draws this part lies below the interval, and as much above.
const TAIL: f64 = 0.025;

/// The interval in which 95 % of the draws lie. `figure` is given the numbers of the rounds drawn, as many as there are rounds.
///
/// # Panics
/// Without a round.
#[must_use]
pub fn interval(rounds: usize, seed: u64, mut figure: impl FnMut(&[usize]) -> f64) -> (f64, f64) {
    assert!(rounds > 0, "something was measured");
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut drawn = vec![0; rounds];
    let mut figures: Vec<f64> = (0..DRAWS)
        .map(|_| {
            drawn.fill_with(|| (random.next_u64() % rounds as u64) as usize);
            figure(&drawn)
        })
        .collect();
    figures.sort_by(f64::total_cmp);
    let rank = (TAIL * DRAWS as f64) as usize;
    (figures[rank], figures[DRAWS - 1 - rank])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_mean_is_that_of_theory() {
        // Of 400 values spread evenly over 0 to 1 the mean has a standard error of 1 / sqrt(12 * 400).
        let values: Vec<f64> = (0..400).map(|number| (f64::from(number) + 0.5) / 400.0).collect();
        let mean = |drawn: &[usize]| drawn.iter().map(|at| values[*at]).sum::<f64>() / drawn.len() as f64;
        let (low, high) = interval(values.len(), 1, mean);
        let error = 1.96 / (12.0_f64 * 400.0).sqrt();
        assert!((low - (0.5 - error)).abs() < 0.005 && (high - (0.5 + error)).abs() < 0.005, "{low} {high}");
    }

    #[test]
    fn equal_rounds_leave_no_doubt() {
        assert_eq!(interval(9, 7, |drawn| drawn.len() as f64), (9.0, 9.0));
    }
}
