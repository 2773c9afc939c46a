//! The report of a run: what is known, in one structure, rendered as JSON or as text.

mod buckets;
pub mod html;
pub mod json;
pub mod markdown;
pub mod notes;
mod over_time;
pub mod text;
pub mod units;
mod workload;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    assertion::{Assertion, Held},
    environment::Environment,
    histogram::{Latencies, SIGNIFICANT_DIGITS, Summary},
    run::{Outcome, Plan},
    search::SearchReport,
    tally::{BadCount, DatagramCount},
    verdict::Facts,
};

pub use buckets::{Bucket, buckets};
pub use over_time::{OverTime, SlotReport};
pub use workload::WorkloadReport;

/// The name and version of the JSON layout.
pub const SCHEMA: &str = "mvt.report/1";

/// A report. The order of the fields is that of the JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// Why this run says nothing about the server; null when it does.
    pub void: Option<String>,
    /// The run was stopped before its end.
    pub interrupted: bool,
    /// The bounds that were asserted, and whether each held.
    pub assertions: Vec<Held>,
    /// Requests sent in the measured interval; `sent = verified + Σ rejected + unanswered`.
    pub sent: u64,
    /// Those answered by a RESP whose tag held.
    pub verified: u64,
    /// Those refused by an answer whose tag held, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Answers whose tag did not hold, in any phase. Must be 0.
    pub failed_verifications: u64,
    /// Requests of the interval that were never answered.
    pub unanswered: u64,
    /// Requests due in the interval that were never sent (open loop).
    pub unsent: u64,
    /// Requests sent that had first to wait for the server (open loop); their wait is in the latency.
    pub held_back: u64,
    /// What went wrong, in any phase, by name.
    pub errors: BTreeMap<String, u64>,
    /// Logins granted, in any phase.
    pub logins: u64,
    /// Sessions resumed by a ticket, in any phase.
    #[serde(default)]
    pub resumes: u64,
    /// Renewals of keys, without a login.
    #[serde(default)]
    pub renewals: u64,
    /// Connections replaced by plan, in any phase.
    #[serde(default)]
    pub reconnects: u64,
    /// Frames that had to be refused, in any phase, by kind.
    #[serde(default)]
    pub bad: BTreeMap<String, BadCount>,
    /// What came of lost datagrams, in any phase; null where nothing is lost.
    #[serde(default)]
    pub datagrams: Option<DatagramCount>,
    /// The search this run is the result of.
    #[serde(default)]
    pub search: Option<SearchReport>,
    /// When the measured interval began, seconds since 1970.
    pub started_unix_s: f64,
    /// Verified requests per second of the interval.
    pub rate_per_s: f64,
    /// The measured interval.
    pub duration_s: f64,
    /// Until the read of a request's answer; from its intended instant (open loop) or its write (closed loop).
    pub latency_ns: Summary,
    /// From the intended instant to the write, of requests that the server did not hold back; null in a closed loop.
    pub slip_ns: Option<Summary>,
    /// Share of the interval in which the busiest worker had something to do.
    pub generator_busy_share: f64,
    /// CPU time of the server's process per verified request; null without `--server-pid`.
    pub server_cpu_ns_per_request: Option<f64>,
    /// CPU time of the generator's workers per verified request.
    pub client_cpu_ns_per_request: Option<f64>,
    /// What was asked for.
    pub workload: WorkloadReport,
    /// Where it ran.
    pub environment: Environment,
    /// The run in slots.
    pub over_time: OverTime,
    /// Every recorded latency.
    pub histogram: HistogramReport,
    /// Every recorded slip; null in a closed loop.
    pub slip_histogram: Option<HistogramReport>,
}

/// The histogram for other programs: compressed HdrHistogram V2 in base64.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct HistogramReport {
    pub unit: String,
    pub significant_digits: u8,
    #[serde(rename = "hdr_v2_deflate_base64")]
    pub latencies: Latencies,
}

impl HistogramReport {
    fn new(latencies: &Latencies) -> Self {
        Self { unit: "ns".into(), significant_digits: SIGNIFICANT_DIGITS, latencies: latencies.clone() }
    }
}

impl Report {
    /// The report of `outcome`, measured by `plan`.
    #[must_use]
    pub fn new(plan: &Plan, outcome: &Outcome) -> Self {
        let tally = &outcome.tally;
        let duration_s = outcome.interval_ns as f64 / 1e9;
        let per_request = |cpu_ns: u64| {
            (tally.verified_in_interval > 0).then(|| cpu_ns as f64 / tally.verified_in_interval as f64)
        };
        let owned = |counts: BTreeMap<&'static str, u64>| {
            counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
        };
        let open = plan.schedule.arrivals().is_some();
        let mut report = Self {
            schema: SCHEMA.to_owned(),
            void: None,
            interrupted: outcome.interrupted,
            assertions: Vec::new(),
            sent: tally.sent,
            verified: tally.verified,
            rejected: owned(tally.rejected()),
            failed_verifications: tally.failed_verifications,
            unanswered: tally.unanswered,
            unsent: tally.unsent,
            held_back: tally.held_back,
            errors: owned(tally.errors()),
            logins: tally.logins,
            resumes: tally.resumes,
            renewals: tally.renewals,
            reconnects: tally.reconnects,
            bad: tally.bad().into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
            datagrams: plan.target.carrier.loses().then_some(tally.datagrams),
            search: None,
            started_unix_s: outcome.started_unix_s,
            rate_per_s: if duration_s > 0.0 { tally.verified as f64 / duration_s } else { 0.0 },
            duration_s,
            latency_ns: tally.latencies.summary_with(tally.unanswered + tally.unsent),
            slip_ns: open.then(|| tally.slip.summary()),
            generator_busy_share: outcome.busy_share,
            server_cpu_ns_per_request: outcome.server_cpu_ns.and_then(per_request),
            client_cpu_ns_per_request: per_request(outcome.client_cpu_ns),
            workload: WorkloadReport::new(plan),
            environment: Environment::capture(plan, outcome),
            over_time: OverTime::new(&tally.timeline),
            histogram: HistogramReport::new(&tally.latencies),
            slip_histogram: open.then(|| HistogramReport::new(&tally.slip)),
        };
        report.void = report.facts().void().map(|void| void.to_string());
        report
    }

    /// Checks `assertions` and keeps what became of them.
    pub fn assert(&mut self, assertions: &[Assertion]) {
        self.assertions = assertions.iter().map(|assertion| assertion.check(self)).collect();
    }

    /// What became of an assertion, in a word: of a void run it means nothing whether it held.
    #[must_use]
    pub const fn word_on(&self, assertion: &Held) -> &'static str {
        match (&self.void, assertion.held) {
            (Some(_), _) => "void",
            (None, true) => "held",
            (None, false) => "failed",
        }
    }

    /// What came of lost datagrams, by name; empty where nothing is lost.
    #[must_use]
    pub fn datagram_rows(&self) -> Vec<(&'static str, u64)> {
        let rows = |count: &DatagramCount| {
            vec![
                ("sent again", count.repeated),
                ("answers to copies", count.late_answers),
                ("outcome unknown", count.outcome_unknown),
            ]
        };
        self.datagrams.as_ref().map(rows).unwrap_or_default()
    }

    /// Everything that went wrong, failed verifications apart.
    #[must_use]
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }

    /// What the row with the generator's CPU time is called: an open loop polls the clock while it waits.
    #[must_use]
    pub const fn generator_cost(&self) -> &'static str {
        if self.slip_ns.is_some() {
            "generator CPU per request, spinning included"
        } else {
            "generator CPU per request"
        }
    }

    /// Requests due in the interval.
    #[must_use]
    pub const fn offered(&self) -> u64 {
        self.sent + self.unsent
    }

    fn facts(&self) -> Facts {
        Facts {
            open: self.slip_ns.is_some(),
            slip_p99_ns: self.slip_ns.and_then(|slip| slip.p99),
            latency_p50_ns: self.latency_ns.p50,
            sent: self.sent,
            unsent: self.unsent,
            held_back: self.held_back,
            lost_connections: self.error_count() > 0,
            busy_share: self.generator_busy_share,
        }
    }
}
