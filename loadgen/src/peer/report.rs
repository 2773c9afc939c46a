//! The outcome of a run against a peer as JSON.

use serde::Serialize;

use super::load::Outcome;

/// The name and version of the JSON layout.
pub const SCHEMA: &str = "mvt.peer/1";

/// What a run gave. The first fields are named as in `mvt.report/1`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// CPU time of the peer's process per right answer of the interval.
    pub server_cpu_ns_per_request: Option<f64>,
    /// CPU time of the generator per right answer of the interval.
    pub client_cpu_ns_per_request: Option<f64>,
    /// Right answers per second of the interval.
    pub rate_per_s: f64,
    /// The measured interval.
    pub duration_s: f64,
    /// Right answers in the interval.
    pub right: u64,
    /// Answers that were not right, in any phase.
    pub wrong: u64,
    /// Requests that were never answered.
    pub unanswered: u64,
}

impl Report {
    /// The report of `outcome`.
    #[must_use]
    pub fn new(outcome: &Outcome) -> Self {
        let right = outcome.right_in_interval;
        let per_request = |cpu_ns: u64| (right > 0).then(|| cpu_ns as f64 / right as f64);
        let duration_s = outcome.interval_ns as f64 / 1e9;
        Self {
            schema: SCHEMA,
            server_cpu_ns_per_request: per_request(outcome.server_cpu_ns),
            client_cpu_ns_per_request: per_request(outcome.client_cpu_ns),
            rate_per_s: if duration_s > 0.0 { right as f64 / duration_s } else { 0.0 },
            duration_s,
            right,
            wrong: outcome.wrong,
            unanswered: outcome.unanswered,
        }
    }

    /// As one line of JSON.
    #[must_use]
    pub fn render(&self) -> String {
        serde_json::to_string(self).expect("a report has string keys and finite numbers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTCOME: Outcome = Outcome {
        right_in_interval: 1_000,
        wrong: 0,
        unanswered: 0,
        interval_ns: 500_000_000,
        server_cpu_ns: 400_000,
        client_cpu_ns: 300_000,
    };

    #[test]
    fn cost_is_cpu_time_over_right_answers() {
        let report = Report::new(&OUTCOME);
        assert_eq!(report.server_cpu_ns_per_request, Some(400.0));
        assert_eq!(report.client_cpu_ns_per_request, Some(300.0));
        assert_eq!(report.rate_per_s, 2_000.0);
    }

    #[test]
    fn without_an_answer_there_is_no_cost() {
        let report = Report::new(&Outcome { right_in_interval: 0, ..OUTCOME });
        assert!(report.render().contains("\"server_cpu_ns_per_request\":null"), "{}", report.render());
    }

    #[test]
    fn one_wrong_or_missing_answer_is_not_clean() {
        assert!(OUTCOME.is_clean());
        for outcome in [
            Outcome { right_in_interval: 0, ..OUTCOME },
            Outcome { wrong: 1, ..OUTCOME },
            Outcome { unanswered: 1, ..OUTCOME },
        ] {
            assert!(!outcome.is_clean(), "{outcome:?}");
        }
    }
}
