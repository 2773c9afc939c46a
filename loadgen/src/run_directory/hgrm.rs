//! `latency.hgrm`: the percentile distribution as HdrHistogram's own tools print it, values in µs.

use std::fmt::Write as _;

use crate::histogram::Latencies;

/// Steps for each halving of the distance to 100 %, as the other implementations have it.
const STEPS_PER_HALF_DISTANCE: u32 = 5;
/// The unit of the values, ns.
const UNIT_NS: f64 = 1_000.0;

/// The distribution of `latencies`.
#[must_use]
pub fn render(latencies: &Latencies) -> String {
    let histogram = latencies.histogram();
    let mut out = String::from("       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
    let mut total = 0;
    // Writing to a String does not fail.
    for step in histogram.iter_quantiles(STEPS_PER_HALF_DISTANCE) {
        total += step.count_since_last_iteration();
        let value = step.value_iterated_to().min(histogram.max()) as f64 / UNIT_NS;
        let quantile = step.quantile_iterated_to();
        let _ = write!(out, "{value:12.3} {quantile:2.12} {total:10}");
        let _ =
            if quantile < 1.0 { writeln!(out, " {:14.2}", 1.0 / (1.0 - quantile)) } else { writeln!(out) };
    }
    let (mean, deviation) = (histogram.mean() / UNIT_NS, histogram.stdev() / UNIT_NS);
    let max = histogram.max() as f64 / UNIT_NS;
    let count = histogram.len();
    let _ = writeln!(out, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]");
    let _ = writeln!(out, "#[Max     = {max:12.3}, Total count    = {count:12}]");
    let _ = writeln!(out, "#[Unit    = us]");
    out
}
