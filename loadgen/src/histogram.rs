//! Latencies in nanoseconds, one histogram per worker, merged by adding.

use std::fmt;

use base64ct::{Base64, Encoding};
use hdrhistogram::{
    Histogram,
    serialization::{Deserializer, Serializer, V2DeflateSerializer},
};

/// Longest latency told apart; longer ones count as this.
pub const LATENCY_NS_MAX: u64 = 120_000_000_000;
/// Significant decimal digits of a recorded value.
pub const SIGNIFICANT_DIGITS: u8 = 3;
/// Below this many samples the 99.9th percentile is decided by fewer than ten of them and is not given.
pub const P999_SAMPLES_MIN: u64 = 10_000;
/// The same for the median, the 90th and the 99th percentile, where people read them.
const SAMPLES_MIN: [u64; 3] = [20, 100, 1_000];

/// Latencies of one worker or of a whole run.
#[derive(Clone, PartialEq)]
pub struct Latencies(Histogram<u64>);

/// Percentiles of one histogram, ns. A percentile without enough samples is `None`.
///
/// Percentiles are of `count + beyond` requests: those that were never answered, or never sent, are slower than every
/// one that was, and a percentile that falls among them is `None`.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// The shortest.
    pub min: Option<u64>,
    /// The median.
    pub p50: Option<u64>,
    /// 90 % are at most this.
    pub p90: Option<u64>,
    /// 99 % are at most this.
    pub p99: Option<u64>,
    /// 99.9 % are at most this; `None` below [`P999_SAMPLES_MIN`].
    pub p999: Option<u64>,
    /// The longest.
    pub max: Option<u64>,
    /// The arithmetic mean.
    pub mean: Option<f64>,
    /// Samples.
    pub count: u64,
    /// Requests whose latency is not known, only that it is long.
    pub beyond: u64,
}

impl Summary {
    /// The same without percentiles that fewer than ten samples are above: for people. Files keep what was found.
    #[must_use]
    pub fn well_founded(mut self) -> Self {
        for (value, least) in [&mut self.p50, &mut self.p90, &mut self.p99].into_iter().zip(SAMPLES_MIN) {
            *value = value.filter(|_| self.count + self.beyond >= least);
        }
        self
    }

    /// Whether [`Self::well_founded`] takes one away.
    #[must_use]
    pub fn lacks_samples(&self) -> bool {
        self.count > 0 && *self != self.well_founded()
    }
}

impl fmt::Debug for Latencies {
    /// The summary: the histogram itself has thousands of counters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Latencies").field(&self.summary()).finish()
    }
}

impl Default for Latencies {
    fn default() -> Self {
        let empty = Histogram::new_with_bounds(1, LATENCY_NS_MAX, SIGNIFICANT_DIGITS);
        Self(empty.expect("constant bounds that hdrhistogram accepts"))
    }
}

impl Latencies {
    /// Adds one latency.
    #[inline]
    pub fn record(&mut self, latency_ns: u64) {
        self.0.saturating_record(latency_ns);
    }

    /// Adds one latency `count` times.
    #[inline]
    pub fn record_some(&mut self, latency_ns: u64, count: u64) {
        self.0.saturating_record_n(latency_ns, count);
    }

    /// Adds every sample of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("histograms of one run have the same bounds");
    }

    /// Makes this the same as `other` without allocating.
    pub fn copy_from(&mut self, other: &Self) {
        self.0.reset();
        self.merge(other);
    }

    /// Samples.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The value that `quantile` (0 to 1) of the samples and of `beyond` longer ones do not exceed.
    #[must_use]
    pub fn quantile(&self, quantile: f64, beyond: u64) -> Option<u64> {
        let count = self.0.len();
        let of_samples = quantile * (count + beyond) as f64 / count as f64;
        (count > 0 && of_samples <= 1.0).then(|| self.0.value_at_quantile(of_samples))
    }

    /// Percentiles, maximum and mean.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.summary_with(0)
    }

    /// The same for a run in which `beyond` requests took longer than every sample.
    #[must_use]
    pub fn summary_with(&self, beyond: u64) -> Summary {
        let count = self.0.len();
        let some = count > 0;
        let enough = count >= P999_SAMPLES_MIN;
        Summary {
            min: some.then(|| self.0.min()),
            p50: self.quantile(0.5, beyond),
            p90: self.quantile(0.9, beyond),
            p99: self.quantile(0.99, beyond),
            p999: self.quantile(0.999, beyond).filter(|_| enough),
            max: some.then(|| self.0.max()),
            mean: some.then(|| self.0.mean()),
            count,
            beyond,
        }
    }

    /// The histogram, for the writers of its formats.
    #[must_use]
    pub const fn histogram(&self) -> &Histogram<u64> {
        &self.0
    }

    /// Recorded values with their counts, ascending.
    pub fn recorded(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value()))
    }

    /// Reads [`Self::to_base64`]; `None` when it is no histogram of these bounds.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        let bytes = Base64::decode_vec(text).ok()?;
        let read: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).ok()?;
        let mut latencies = Self::default();
        latencies.0.add(&read).ok()?;
        Some(latencies)
    }

    /// The compressed HdrHistogram V2 encoding in base64, as interval logs carry it.
    #[must_use]
    pub fn to_base64(&self) -> String {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&self.0, &mut bytes).expect("writing to memory does not fail");
        Base64::encode_string(&bytes)
    }
}

impl serde::Serialize for Latencies {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_base64())
    }
}

impl<'de> serde::Deserialize<'de> for Latencies {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_base64(&text).ok_or_else(|| serde::de::Error::custom("not a compressed HdrHistogram V2"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Deterministic values over seven decades.
    fn samples(seed: u64, count: u64) -> impl Iterator<Item = u64> {
        (0..count).scan(seed, |state, _| {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            Some((*state >> 33) % 10u64.pow(1 + (*state >> 60) as u32 % 9) + 1)
        })
    }

    fn of(values: impl Iterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::default();
        values.for_each(|value| latencies.record(value));
        latencies
    }

    #[test]
    fn a_merge_is_the_histogram_of_the_merged_samples() {
        let mut merged = of(samples(1, 50_000));
        merged.merge(&of(samples(2, 30_000)));
        merged.merge(&Latencies::default());
        let together = of(samples(1, 50_000).chain(samples(2, 30_000)));
        assert_eq!(merged, together);
        assert_eq!(merged.summary(), together.summary());
        assert_eq!(merged.to_base64(), together.to_base64());
    }

    #[test]
    fn a_percentile_without_samples_is_not_given() {
        let none = Latencies::default().summary();
        assert_eq!((none.p50, none.p99, none.p999, none.max, none.mean), (None, None, None, None, None));
        let few = of(1..P999_SAMPLES_MIN).summary();
        assert!(few.p99.is_some() && few.p999.is_none());
        let enough = of(1..=P999_SAMPLES_MIN).summary();
        assert_eq!(enough.p999, Some(9_991));
    }

    #[test]
    fn people_see_no_percentile_that_fewer_than_ten_samples_are_above() {
        for (count, seen) in [
            (19, [false, false, false]),
            (20, [true, false, false]),
            (99, [true, false, false]),
            (100, [true, true, false]),
            (999, [true, true, false]),
            (1_000, [true, true, true]),
        ] {
            let found = of(1..count + 1).summary();
            let shown = found.well_founded();
            assert_eq!([shown.p50, shown.p90, shown.p99].map(|it| it.is_some()), seen, "{count}");
            assert_eq!(found.lacks_samples(), seen != [true; 3], "{count}");
            assert_eq!(shown.max, found.max);
        }
        assert!(!Latencies::default().summary().lacks_samples());
    }

    #[test]
    fn a_value_keeps_three_digits_and_a_huge_one_counts_as_the_bound() {
        let summary = of([123_456_789].into_iter()).summary();
        let p50 = summary.p50.unwrap();
        assert!(p50.abs_diff(123_456_789) < 123_456, "{p50}");
        let huge = of([u64::MAX].into_iter()).summary();
        assert!(huge.max.unwrap() >= LATENCY_NS_MAX);
    }

    #[test]
    fn a_copy_equals_its_source() {
        let source = of(samples(3, 1_000));
        let mut copy = of(samples(4, 10));
        copy.copy_from(&source);
        assert_eq!(copy.summary(), source.summary());
    }

    #[test]
    fn the_encoding_is_read_back_by_the_format_s_reader() {
        let latencies = of(samples(5, 10_000));
        assert_eq!(Latencies::from_base64(&latencies.to_base64()), Some(latencies));
        assert_eq!(Latencies::from_base64("AAAA"), None);
    }

    #[test]
    fn a_percentile_among_requests_that_were_never_answered_is_not_known() {
        let latencies = of(1..=100);
        let summary = latencies.summary_with(100);
        assert_eq!((summary.p50, summary.p90, summary.p99), (Some(100), None, None));
        assert_eq!((summary.count, summary.beyond, summary.max), (100, 100, Some(100)));
        assert_eq!(latencies.quantile(0.25, 100), Some(50));
        assert_eq!(Latencies::default().quantile(0.5, 3), None);
    }
}
