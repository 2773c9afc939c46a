//! Runs against each other: the difference of each percentile with an interval, and whether it is one at all.

mod bootstrap;
pub mod likeness;
pub mod page;
pub mod text;

use std::path::{Path, PathBuf};

use self::bootstrap::{Interval, Resampler};
use crate::{
    histogram::Latencies,
    report::Report,
    run_directory::{self, DirectoryError, Run, percentiles::well_founded},
};

/// Percentiles that are compared.
pub const COMPARED: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 99.99];

/// Runs of the same thing: repeats.
#[derive(Debug)]
pub struct Side {
    /// As named on the command line.
    pub name: String,
    /// At least one.
    pub repeats: Vec<Run>,
}

impl Side {
    /// Reads the directories of `text`, separated by commas.
    ///
    /// # Errors
    /// [`DirectoryError`] of the first that cannot be read.
    pub fn read(text: &str) -> Result<Self, DirectoryError> {
        let folders: Vec<PathBuf> = text.split(',').map(PathBuf::from).collect();
        let repeats = folders.iter().map(|folder| run_directory::read(folder)).collect::<Result<_, _>>()?;
        let name = Path::new(text.split(',').next().unwrap_or(text));
        let name =
            name.file_name().map_or_else(|| text.to_owned(), |name| name.to_string_lossy().into_owned());
        Ok(Self { name, repeats })
    }

    /// All samples of all repeats.
    #[must_use]
    pub fn latencies(&self) -> Latencies {
        let mut merged = Latencies::default();
        self.reports().for_each(|report| merged.merge(&report.histogram.latencies));
        merged
    }

    /// Requests slower than every sample.
    #[must_use]
    pub fn beyond(&self) -> u64 {
        self.reports().map(|report| report.latency_ns.beyond).sum()
    }

    /// The reports of the repeats.
    pub fn reports(&self) -> impl Iterator<Item = &Report> {
        self.repeats.iter().map(|run| &run.report)
    }

    /// Verified requests per second of all repeats together.
    #[must_use]
    pub fn rate_per_s(&self) -> f64 {
        let seconds: f64 = self.reports().map(|report| report.duration_s).sum();
        self.reports().map(|report| report.verified as f64).sum::<f64>() / seconds.max(f64::MIN_POSITIVE)
    }
}

/// What a difference is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The interval holds 0.
    NoSignificantDifference,
    /// The whole interval is below 0.
    Lower,
    /// The whole interval is above 0.
    Higher,
    /// One side does not know the figure.
    NotKnown,
}

impl Verdict {
    /// In words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoSignificantDifference => "no significant difference",
            Self::Lower => "lower",
            Self::Higher => "higher",
            Self::NotKnown => "not known",
        }
    }
}

/// One figure of both sides.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// `p99`, or `rate`.
    pub figure: String,
    /// Of the baseline: ns, or requests per second.
    pub baseline: Option<f64>,
    /// Of the other side.
    pub other: Option<f64>,
    /// Where the difference `other - baseline` lies with 95 %.
    pub interval: Option<Interval>,
    /// What it is.
    pub verdict: Verdict,
}

impl Row {
    fn new(figure: String, baseline: Option<f64>, other: Option<f64>, interval: Option<Interval>) -> Self {
        let known = baseline.and(other).and(interval);
        let verdict = match known {
            None => Verdict::NotKnown,
            Some(Interval { low, .. }) if low > 0.0 => Verdict::Higher,
            Some(Interval { high, .. }) if high < 0.0 => Verdict::Lower,
            Some(_) => Verdict::NoSignificantDifference,
        };
        Self { figure, baseline, other, interval: known, verdict }
    }
}

/// `other` against `baseline`: percentiles, then the rate.
#[must_use]
pub fn compare(baseline: &Side, other: &Side, seed: u64) -> Vec<Row> {
    let differences = Resampler::new(baseline, other, &COMPARED, seed).differences();
    let whole = [baseline, other].map(|side| (side.latencies(), side.beyond()));
    let at =
        |side: usize, percent: f64| well_founded(&whole[side].0, percent, whole[side].1).map(|ns| ns as f64);
    let mut rows: Vec<Row> = COMPARED
        .iter()
        .zip(&differences.percentiles)
        .map(|(percent, interval)| {
            Row::new(format!("p{percent}"), at(0, *percent), at(1, *percent), *interval)
        })
        .collect();
    let rates = [baseline, other].map(Side::rate_per_s);
    rows.push(Row::new("rate".to_owned(), Some(rates[0]), Some(rates[1]), differences.rate));
    rows
}
