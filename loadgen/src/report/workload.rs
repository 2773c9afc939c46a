//! The workload as the report names it.

use serde::{Deserialize, Serialize};

use crate::run::Plan;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // named as on the command line
pub struct WorkloadReport {
    pub server: String,
    pub connections: usize,
    pub in_flight: usize,
    pub threads: usize,
    pub payload_bytes: usize,
    pub suite: String,
    /// `open` or `closed`.
    #[serde(rename = "loop")]
    pub schedule: String,
    /// Of an open loop, over all connections.
    pub rate_per_s: Option<f64>,
    pub arrivals: Option<String>,
    pub seed: Option<u64>,
    pub ramp_s: Option<f64>,
    pub spin: bool,
    pub warmup_s: f64,
    pub duration_s: f64,
    pub requests: Option<u64>,
}

impl WorkloadReport {
    pub(super) fn new(plan: &Plan) -> Self {
        let Plan { target, workload, schedule, extent, .. } = plan;
        let arrivals = schedule.arrivals();
        Self {
            server: target.address.to_string(),
            connections: workload.connections,
            in_flight: workload.in_flight,
            threads: workload.threads,
            payload_bytes: workload.payload.len(),
            suite: workload.suite.name().to_owned(),
            schedule: schedule.name().to_owned(),
            rate_per_s: arrivals.map(|open| open.rate_per_s),
            arrivals: arrivals.map(|open| open.process.name().to_owned()),
            seed: arrivals.map(|open| open.seed),
            ramp_s: arrivals.map(|open| open.ramp_ns as f64 / 1e9),
            spin: plan.spin,
            warmup_s: extent.warmup.as_secs_f64(),
            duration_s: extent.duration.as_secs_f64(),
            requests: extent.requests,
        }
    }
}
