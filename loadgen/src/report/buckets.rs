//! Latencies in buckets of 1, 2, 5 per decade, for a histogram that people look at.

use crate::histogram::Latencies;

/// Samples in `from_ns..below_ns`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// The lower bound.
    pub from_ns: u64,
    /// The upper bound, not included.
    pub below_ns: u64,
    /// Samples.
    pub count: u64,
}

/// Every bucket between the shortest and the longest latency; none when there is no sample.
#[must_use]
pub fn buckets(latencies: &Latencies) -> Vec<Bucket> {
    let mut buckets: Vec<Bucket> = Vec::new();
    for (value, count) in latencies.recorded() {
        // A recorded value stands for a range; its upper end is not to leave the bucket of the sample.
        while buckets.last().is_none_or(|last| value >= last.below_ns) {
            let from_ns = buckets.last().map_or_else(|| round_below(value), |last| last.below_ns);
            buckets.push(Bucket { from_ns, below_ns: next_bound(from_ns), count: 0 });
        }
        if let Some(last) = buckets.last_mut() {
            last.count += count;
        }
    }
    buckets
}

/// The largest 1, 2 or 5 times a power of ten that is not above `value`.
fn round_below(value: u64) -> u64 {
    let mut bound = 1;
    while next_bound(bound) <= value {
        bound = next_bound(bound);
    }
    bound
}

/// The bound after `bound`, which is 1, 2 or 5 times a power of ten.
fn next_bound(bound: u64) -> u64 {
    let power = 10u64.pow(bound.ilog10());
    if bound / power == 2 { 5 * power } else { 2 * bound }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_go_1_2_5() {
        let bounds: Vec<u64> =
            std::iter::successors(Some(1), |bound| Some(next_bound(*bound))).take(8).collect();
        assert_eq!(bounds, [1, 2, 5, 10, 20, 50, 100, 200]);
        assert_eq!([1, 3, 7, 10, 499_999].map(round_below), [1, 2, 5, 10, 200_000]);
    }

    #[test]
    fn every_sample_is_in_one_bucket_and_gaps_are_shown() {
        let mut latencies = Latencies::default();
        [30_000, 45_000, 70_000, 700_000].into_iter().for_each(|ns| latencies.record(ns));
        let counts: Vec<_> = buckets(&latencies).iter().map(|it| (it.from_ns, it.count)).collect();
        assert_eq!(counts, [(20_000, 2), (50_000, 1), (100_000, 0), (200_000, 0), (500_000, 1)]);
        assert!(buckets(&Latencies::default()).is_empty());
    }
}
