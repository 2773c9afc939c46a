//! Pairs of runs that follow each other and are disturbed alike: what the ratio of their p99 says, although neither p99 says anything.
//!
//! A host that takes the cores away makes the greater part of each p99, and so of both. That is no reason to believe either figure, and none
//! to disbelieve that one is greater than the other in pair after pair. It does draw their ratio towards 1.

use super::{
    aim::{Aim, Side},
    load::Seen,
};
use crate::compare::ratio::median;

/// How far apart the disturbances of both may be.
const UNLIKE_MAX: f64 = 1.1;
/// Of the interval: how sure it is at least.
const SURE: f64 = 0.95;

/// Two runs of one load.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub(super) steady: Seen,
    pub(super) disturbed: Seen,
}

impl Pair {
    fn ratio(&self) -> f64 {
        self.disturbed.p99_us / self.steady.p99_us
    }

    fn slip_ratio(&self) -> f64 {
        self.disturbed.slip_p99_us / self.steady.slip_p99_us
    }
}

/// Between which two of the samples the median lies of what they were drawn from, with a probability of [`SURE`] or more; `None` where
/// there are too few. Exact, whatever the distribution: each sample is below that median or above it, like a coin.
pub(super) fn interval(samples: &[f64]) -> Option<(f64, f64)> {
    let count = samples.len();
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    // Of `below` samples below the median, the probability; both tails are alike.
    let mut chance = 0.5_f64.powi(i32::try_from(count).ok()?);
    let (mut tail, mut rank) = (chance, None);
    for below in 0..count / 2 {
        if 2.0 * tail > 1.0 - SURE {
            break;
        }
        rank = Some(below);
        chance *= (count - below) as f64 / (below + 1) as f64;
        tail += chance;
    }
    let rank = rank?;
    Some((sorted[rank], sorted[count - 1 - rank]))
}

/// The aim that the p99 of the disturbed runs is at most `bound` times that of the others.
pub(super) fn judge(name: &'static str, bound: f64, pairs: &[Pair], controls: &[f64]) -> Aim {
    let mut aim = Aim::new(name, "x", Side::AtMost, bound);
    aim.samples = pairs.iter().map(Pair::ratio).filter(|ratio| ratio.is_finite()).collect();
    aim.interval = Some(interval(&aim.samples));
    let slips: Vec<f64> = pairs.iter().map(Pair::slip_ratio).filter(|ratio| ratio.is_finite()).collect();
    let of = |slip: fn(&Pair) -> f64| median(&pairs.iter().map(slip).collect::<Vec<_>>()).unwrap_or(f64::NAN);
    let (steady_us, disturbed_us) =
        (of(|pair| pair.steady.slip_p99_us), of(|pair| pair.disturbed.slip_p99_us));
    match (median(&slips), interval(&slips)) {
        (Some(middle), Some((low, high))) => {
            let said = format!(
                "p99 of the generator's slip, medians: {disturbed_us:.0} us, and {steady_us:.0} us without; of pairs {middle:.3}x ({low:.3} to {high:.3})"
            );
            let is_alike = low <= UNLIKE_MAX && high >= 1.0 / UNLIKE_MAX;
            if is_alike {
                aim.notes.push(said)
            } else {
                aim.doubts.push(format!("not disturbed alike: {said}"))
            }
        }
        _ => aim.doubts.push("too few pairs to say whether both were disturbed alike".into()),
    }
    let void =
        pairs.iter().filter(|pair| pair.steady.void.is_some() || pair.disturbed.void.is_some()).count();
    aim.notes.push(format!(
        "in {void} of {} pairs the absolute figures are void; what disturbs both runs of a pair draws their ratio towards 1",
        pairs.len()
    ));
    if let (Some(middle), Some((low, high))) = (median(controls), interval(controls)) {
        aim.notes
            .push(format!("control, runs without against each other: {middle:.3}x ({low:.3} to {high:.3})"));
    }
    aim
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifetime::aim::Verdict;

    #[test]
    fn the_interval_of_a_median_has_the_ranks_of_the_binomial_distribution() {
        let samples = |count: u32| (1..=count).rev().map(f64::from).collect::<Vec<_>>();
        // From tables of the sign test at 5 %, both sides.
        for (count, expected) in
            [(5, None), (6, Some((1.0, 6.0))), (10, Some((2.0, 9.0))), (30, Some((10.0, 21.0)))]
        {
            assert_eq!(interval(&samples(count)), expected, "{count}");
        }
    }

    fn pairs(ratio: f64, slip: f64) -> Vec<Pair> {
        let seen = |p99_us, slip_p99_us| Seen {
            verified: 1,
            failed: 0,
            renewals: 0,
            p99_us,
            slip_p99_us,
            void: Some("late".into()),
        };
        let pair = |number| {
            let wobble = 1.0 + f64::from(number) / 100.0;
            Pair { steady: seen(100.0, 50.0), disturbed: seen(100.0 * ratio * wobble, 50.0 * slip * wobble) }
        };
        (-10..=10).map(pair).collect()
    }

    #[test]
    fn an_aim_is_met_or_missed_only_where_the_interval_says_so() {
        for (ratio, slip, verdict) in [
            (1.0, 1.0, Verdict::Met),
            (1.2, 1.0, Verdict::Void),
            (1.4, 1.0, Verdict::Missed),
            (1.0, 1.5, Verdict::Void),
            (1.4, 0.7, Verdict::Void),
        ] {
            assert_eq!(judge("a", 1.2, &pairs(ratio, slip), &[]).verdict(), verdict, "{ratio} {slip}");
        }
        assert_eq!(judge("a", 1.2, &pairs(1.0, 1.0)[..5], &[]).verdict(), Verdict::Void, "too few");
    }
}
