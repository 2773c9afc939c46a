//! `percentiles.csv`: percentiles of latency and slip in ns. A percentile decided by fewer than ten samples is empty.

use std::fmt::Write as _;

use crate::{histogram::Latencies, report::Report};

/// Percentiles of the table.
pub const PERCENTILES: [f64; 16] =
    [1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99, 99.995, 99.999, 99.9999];
/// Samples above a percentile that make it one.
const SAMPLES_ABOVE_MIN: f64 = 10.0;

/// The percentiles of `report`.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut out = String::from("percentile,latency_ns,slip_ns\n");
    let cell = |value: Option<u64>| value.map(|ns| ns.to_string()).unwrap_or_default();
    let latencies = &report.histogram.latencies;
    let slip = report.slip_histogram.as_ref().map(|it| &it.latencies);
    let beyond = report.latency_ns.beyond;
    for percent in PERCENTILES {
        let latency = well_founded(latencies, percent, beyond);
        let slip = slip.and_then(|slip| well_founded(slip, percent, 0));
        // Writing to a String does not fail.
        let _ = writeln!(out, "{percent},{},{}", cell(latency), cell(slip));
    }
    let max = |latencies: &Latencies| latencies.summary().max;
    let _ =
        writeln!(out, "100,{},{}", cell(max(latencies).filter(|_| beyond == 0)), cell(slip.and_then(max)));
    out
}

/// The latency that `percent` of the samples and of `beyond` longer ones do not exceed, when enough are above it.
#[must_use]
pub fn well_founded(latencies: &Latencies, percent: f64, beyond: u64) -> Option<u64> {
    let total = (latencies.count() + beyond) as f64;
    // A rounding error of the percentage is not to hide a percentile.
    let enough = total * (100.0 - percent) / 100.0 >= SAMPLES_ABOVE_MIN - 1e-6;
    latencies.quantile(percent / 100.0, beyond).filter(|_| enough)
}
