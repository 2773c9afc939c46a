//! Quantiles of an arm's rounds beside those of a control, with the interval of their ratio.

use hdrhistogram::Histogram;

use crate::bootstrap;

/// The latencies of one arm, ns.
#[derive(Debug, Clone, Copy)]
pub struct Rounds<'r> {
    /// What the arm is called.
    pub name: &'static str,
    /// One histogram for each round.
    pub rounds: &'r [Histogram<u64>],
}

/// All of them as one.
///
/// # Panics
/// Never: a histogram of three digits that grows takes every value.
#[must_use]
pub fn merged<'h>(rounds: impl Iterator<Item = &'h Histogram<u64>>) -> Histogram<u64> {
    rounds.fold(Histogram::new(3).expect("three digits"), |mut all, round| {
        all.add(round).expect("it grows");
        all
    })
}

/// Prints a line for each of `quantiles`, with what it is of the control's; both have as many rounds.
pub fn print(arm: Rounds<'_>, control: Rounds<'_>, quantiles: &[(f64, &str)]) {
    let all = merged(arm.rounds.iter());
    let every: Vec<usize> = (0..arm.rounds.len()).collect();
    for (quantile, name) in quantiles {
        let ratio = |drawn: &[usize]| {
            let of = |of: Rounds<'_>| {
                merged(drawn.iter().map(|at| &of.rounds[*at])).value_at_quantile(*quantile) as f64
            };
            of(arm) / of(control)
        };
        let (low, high) = bootstrap::interval(every.len(), 11, ratio);
        println!(
            "  {name:>5} {:9.2} us   {:6.3}x of {} ({low:.3} to {high:.3})",
            all.value_at_quantile(*quantile) as f64 / 1e3,
            ratio(&every),
            control.name
        );
    }
}
