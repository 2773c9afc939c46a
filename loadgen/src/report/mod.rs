//! The report of a run: what is known, in one structure, rendered as JSON or as text.

mod buckets;
pub mod json;
pub mod text;
pub mod units;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    environment::Environment,
    histogram::{SIGNIFICANT_DIGITS, Summary},
    run::{Outcome, Plan},
};

pub use buckets::{Bucket, buckets};

/// The name and version of the JSON layout.
pub const SCHEMA: &str = "mvt.report/1";

/// A report. The order of the fields is that of the JSON.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Requests sent in the measured interval; `sent = verified + Σ rejected + unanswered`.
    pub sent: u64,
    /// Those answered by a RESP whose tag held.
    pub verified: u64,
    /// Those refused by an answer whose tag held, by reason.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Answers whose tag did not hold, in any phase. Must be 0.
    pub failed_verifications: u64,
    /// Requests of the interval that were never answered.
    pub unanswered: u64,
    /// What went wrong, in any phase, by name.
    pub errors: BTreeMap<&'static str, u64>,
    /// Logins granted, in any phase.
    pub logins: u64,
    /// Verified requests per second of the interval.
    pub rate_per_s: f64,
    /// The measured interval.
    pub duration_s: f64,
    /// From just before a request's write until the read of its answer.
    pub latency_ns: Summary,
    /// CPU time of the server's process per verified request; null without `--server-pid`.
    pub server_cpu_ns_per_request: Option<f64>,
    /// CPU time of the generator's workers per verified request.
    pub client_cpu_ns_per_request: Option<f64>,
    /// What was asked for.
    pub workload: WorkloadReport,
    /// Where it ran.
    pub environment: Environment,
    /// Every recorded latency.
    pub histogram: HistogramReport,
}

/// The workload as the report names it.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)] // named as on the command line
pub struct WorkloadReport {
    pub server: String,
    pub connections: usize,
    pub in_flight: usize,
    pub threads: usize,
    pub payload_bytes: usize,
    pub suite: &'static str,
    #[serde(rename = "loop")]
    pub schedule: &'static str,
    pub warmup_s: f64,
    pub duration_s: f64,
    pub requests: Option<u64>,
    /// What the loop means for the latency.
    #[serde(skip)]
    pub meaning: &'static str,
}

/// The histogram for other programs: compressed HdrHistogram V2 in base64.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct HistogramReport {
    pub unit: &'static str,
    pub significant_digits: u8,
    pub hdr_v2_deflate_base64: String,
    #[serde(skip)]
    pub buckets: Vec<Bucket>,
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
        Self {
            schema: SCHEMA,
            sent: tally.sent,
            verified: tally.verified,
            rejected: tally.rejected(),
            failed_verifications: tally.failed_verifications,
            unanswered: tally.unanswered,
            errors: tally.errors(),
            logins: tally.logins,
            rate_per_s: if duration_s > 0.0 { tally.verified as f64 / duration_s } else { 0.0 },
            duration_s,
            latency_ns: tally.latencies.summary(),
            server_cpu_ns_per_request: outcome.server_cpu_ns.and_then(per_request),
            client_cpu_ns_per_request: per_request(outcome.client_cpu_ns),
            workload: WorkloadReport::new(plan),
            environment: Environment::capture(
                plan.target.address.ip(),
                outcome.local_ip,
                plan.server_pid,
                &plan.pins,
            ),
            histogram: HistogramReport {
                unit: "ns",
                significant_digits: SIGNIFICANT_DIGITS,
                hdr_v2_deflate_base64: tally.latencies.to_base64(),
                buckets: buckets(&tally.latencies),
            },
        }
    }
}

impl WorkloadReport {
    fn new(plan: &Plan) -> Self {
        let Plan { target, workload, schedule, extent, .. } = plan;
        Self {
            server: target.address.to_string(),
            connections: workload.connections,
            in_flight: workload.in_flight,
            threads: workload.threads,
            payload_bytes: workload.payload.len(),
            suite: workload.suite.name(),
            schedule: schedule.name(),
            warmup_s: extent.warmup.as_secs_f64(),
            duration_s: extent.duration.as_secs_f64(),
            requests: extent.requests,
            meaning: schedule.meaning(),
        }
    }
}
