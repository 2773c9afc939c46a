//! `--assert 'p99<1ms'`: a bound on one figure of the report.

use std::{fmt, str::FromStr};

use crate::{
    histogram::Latencies,
    report::{Report, units},
    run_directory::percentiles::well_founded,
};

/// What is bounded.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Figure {
    /// A percentile of the latency, as a quantile of 0 to 1.
    Latency(f64),
    /// The same of the schedule slip.
    Slip(f64),
    /// Of the table.
    Named(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Time,
    Count,
}

/// A figure by name: its unit and where the report has it.
type Row = (&'static str, Unit, fn(&Report) -> Option<f64>);

const FIGURES: [Row; 11] = [
    ("max", Unit::Time, |report| report.latency_ns.max.map(|ns| ns as f64)),
    ("mean", Unit::Time, |report| report.latency_ns.mean),
    ("slip_max", Unit::Time, |report| report.slip_ns?.max.map(|ns| ns as f64)),
    ("rate", Unit::Count, |report| Some(report.rate_per_s)),
    ("errors", Unit::Count, |report| Some((report.failed_verifications + report.error_count()) as f64)),
    ("rejected", Unit::Count, |report| Some(report.rejected.values().sum::<u64>() as f64)),
    ("unanswered", Unit::Count, |report| Some(report.unanswered as f64)),
    ("unsent", Unit::Count, |report| Some(report.unsent as f64)),
    ("held_back", Unit::Count, |report| Some(report.held_back as f64)),
    ("verified", Unit::Count, |report| Some(report.verified as f64)),
    ("server_cpu", Unit::Time, |report| report.server_cpu_ns_per_request),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Below,
    AtMost,
    Above,
    AtLeast,
    Equal,
}

/// Longer signs first: `<=` begins with `<`.
const RELATIONS: [(&str, Relation); 5] = [
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("==", Relation::Equal),
    ("<", Relation::Below),
    (">", Relation::Above),
];

/// A bound on one figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Assertion {
    text: String,
    figure: Figure,
    relation: Relation,
    bound: f64,
}

/// What became of an assertion.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Held {
    /// As given.
    pub assertion: String,
    /// Whether it held; a figure that is not known holds nothing.
    pub held: bool,
    /// The figure, for people.
    pub found: String,
    /// The bound on a percentile of the latency: the quantile and ns. For the picture.
    pub bound: Option<(f64, f64)>,
}

/// Why a text is no assertion.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// No relation in it.
    #[error("expected FIGURE<BOUND with <, <=, >, >= or ==, like p99<1ms or errors==0")]
    Relation,
    /// No such figure.
    #[error("there is no figure `{0}`; there are p50, p99.9 and the like, slip_p99 and the like, {names}", names = names())]
    Figure(String),
    /// Not a number, or not in its unit.
    #[error("`{0}` is no bound: a time has ns, us, ms or s; a count may have k or M")]
    Bound(String),
}

fn names() -> String {
    FIGURES.map(|(name, ..)| name).join(", ")
}

impl FromStr for Assertion {
    type Err = AssertionError;

    fn from_str(text: &str) -> Result<Self, AssertionError> {
        let split =
            RELATIONS.into_iter().find_map(|(sign, relation)| Some((text.split_once(sign)?, relation)));
        let ((name, bound), relation) = split.ok_or(AssertionError::Relation)?;
        let (name, bound) = (name.trim(), bound.trim());
        let figure = Figure::from_name(name).ok_or_else(|| AssertionError::Figure(name.to_owned()))?;
        let bound =
            parse_bound(bound, figure.unit()).ok_or_else(|| AssertionError::Bound(bound.to_owned()))?;
        Ok(Self { text: text.to_owned(), figure, relation, bound })
    }
}

impl Figure {
    fn from_name(name: &str) -> Option<Self> {
        let quantile = |percent: &str| {
            let percent =
                percent.parse::<f64>().ok().filter(|percent| *percent > 0.0 && *percent <= 100.0)?;
            Some(percent / 100.0)
        };
        if let Some(percent) = name.strip_prefix("slip_p") {
            return quantile(percent).map(Self::Slip);
        }
        if let Some(latency) = name.strip_prefix('p').and_then(quantile) {
            return Some(Self::Latency(latency));
        }
        FIGURES.iter().position(|(known, ..)| *known == name).map(Self::Named)
    }

    const fn unit(self) -> Unit {
        match self {
            Self::Latency(_) | Self::Slip(_) => Unit::Time,
            Self::Named(index) => FIGURES[index].1,
        }
    }

    /// The figure; of a percentile only if enough samples are above it: of four, the 99th is the longest, and a bound on it
    /// proves nothing.
    fn of(self, report: &Report) -> Option<f64> {
        self.percentile(report, well_founded)
    }

    /// Whether there are samples, but too few.
    fn lacks_samples(self, report: &Report) -> bool {
        let any = |latencies: &Latencies, percent: f64, beyond| latencies.quantile(percent / 100.0, beyond);
        self.of(report).is_none() && self.percentile(report, any).is_some()
    }

    fn percentile(self, report: &Report, of: impl Fn(&Latencies, f64, u64) -> Option<u64>) -> Option<f64> {
        let (quantile, histogram, beyond) = match self {
            Self::Latency(quantile) => (quantile, &report.histogram, report.latency_ns.beyond),
            Self::Slip(quantile) => (quantile, report.slip_histogram.as_ref()?, 0),
            Self::Named(index) => return FIGURES[index].2(report),
        };
        let latencies = &histogram.latencies;
        // The 100th is the longest by its name.
        let found = if quantile < 1.0 {
            of(latencies, 100.0 * quantile, beyond)
        } else {
            latencies.quantile(1.0, beyond)
        };
        found.map(|ns| ns as f64)
    }
}

impl Assertion {
    /// Whether `report` holds it.
    #[must_use]
    pub fn check(&self, report: &Report) -> Held {
        let figure = self.figure.of(report);
        let held = figure.is_some_and(|figure| match self.relation {
            Relation::Below => figure < self.bound,
            Relation::AtMost => figure <= self.bound,
            Relation::Above => figure > self.bound,
            Relation::AtLeast => figure >= self.bound,
            Relation::Equal => figure == self.bound,
        });
        let found = match (figure, self.figure.unit()) {
            (None, _) if self.figure.lacks_samples(report) => "too few samples, run longer".to_owned(),
            (None, _) => "not known".to_owned(),
            (Some(ns), Unit::Time) => units::microseconds(ns.round() as u64),
            (Some(count), Unit::Count) => units::grouped(count.round() as u64),
        };
        let bound = match (self.figure, self.relation) {
            (Figure::Latency(quantile), Relation::Below | Relation::AtMost) => Some((quantile, self.bound)),
            _ => None,
        };
        Held { assertion: self.text.clone(), held, found, bound }
    }
}

impl fmt::Display for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse_bound(text: &str, unit: Unit) -> Option<f64> {
    let split = text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let scale = match (unit, suffix) {
        (Unit::Time, "ns") | (Unit::Count, "") => 1.0,
        (Unit::Time, "us" | "µs") | (Unit::Count, "k") => 1e3,
        (Unit::Time, "ms") | (Unit::Count, "M") => 1e6,
        (Unit::Time, "s") => 1e9,
        _ => return None,
    };
    let number = number.trim().parse::<f64>().ok()?;
    number.is_finite().then_some(number * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_relations_and_units_are_read() {
        for (text, figure, relation, bound) in [
            ("p99<1ms", Figure::Latency(0.99), Relation::Below, 1e6),
            ("p99.9 <= 200us", Figure::Latency(0.999), Relation::AtMost, 2e5),
            ("slip_p99<5µs", Figure::Slip(0.99), Relation::Below, 5e3),
            ("max<2s", Figure::Named(0), Relation::Below, 2e9),
            ("rate>=1.5M", Figure::Named(3), Relation::AtLeast, 1.5e6),
            ("errors==0", Figure::Named(4), Relation::Equal, 0.0),
        ] {
            let assertion: Assertion = text.parse().expect(text);
            assert_eq!((assertion.relation, assertion.bound), (relation, bound), "{text}");
            assert_eq!(assertion.figure.unit(), figure.unit());
            match (assertion.figure, figure) {
                (Figure::Latency(a), Figure::Latency(b)) | (Figure::Slip(a), Figure::Slip(b)) => {
                    assert!((a - b).abs() < 1e-12);
                }
                (a, b) => assert_eq!(a, b),
            }
        }
    }

    #[test]
    fn what_is_no_assertion_says_why() {
        for (text, error) in [
            ("p99", AssertionError::Relation),
            ("q99<1ms", AssertionError::Figure("q99".into())),
            ("p101<1ms", AssertionError::Figure("p101".into())),
            ("p99<1", AssertionError::Bound("1".into())),
            ("errors==0ms", AssertionError::Bound("0ms".into())),
            ("rate>fast", AssertionError::Bound("fast".into())),
        ] {
            assert_eq!(text.parse::<Assertion>(), Err(error), "{text}");
        }
    }
}
