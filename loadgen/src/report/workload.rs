//! The workload as the report names it.

use serde::{Deserialize, Serialize};

use crate::{io::Carrier, run::Plan, target::Protocol, workload::percent};

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // named as on the command line
pub struct WorkloadReport {
    pub server: String,
    /// What carried the frames; of reports before there was a choice, nothing.
    #[serde(default = "tcp")]
    pub transport: String,
    pub connections: usize,
    pub in_flight: usize,
    pub threads: usize,
    /// The average.
    pub payload_bytes: usize,
    /// The distribution, as given.
    #[serde(default)]
    pub payload: String,
    /// Of MVT; the protocol of another server.
    pub suite: String,
    /// Of MVT: `each` or `joint`.
    #[serde(default)]
    pub answers: Option<String>,
    #[serde(default)]
    pub sessions: Option<usize>,
    #[serde(default)]
    pub popularity: Option<String>,
    #[serde(default)]
    pub identities: Option<usize>,
    #[serde(default)]
    pub bad: Option<String>,
    #[serde(default)]
    pub reconnect_every: Option<u64>,
    #[serde(default)]
    pub login_every: Option<u64>,
    /// Of the sessions after the first, 0 to 1.
    #[serde(default)]
    pub resume_share: Option<f64>,
    /// `open` or `closed`.
    #[serde(rename = "loop")]
    pub schedule: String,
    /// Of an open loop, over all connections.
    pub rate_per_s: Option<f64>,
    pub arrivals: Option<String>,
    pub seed: Option<u64>,
    pub ramp_s: Option<f64>,
    pub spin: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub doze: bool,
    pub warmup_s: f64,
    pub duration_s: f64,
    pub requests: Option<u64>,
}

fn tcp() -> String {
    Carrier::Tcp.name().to_owned()
}

impl WorkloadReport {
    pub(super) fn new(plan: &Plan) -> Self {
        let Plan { target, workload, schedule, extent, .. } = plan;
        let arrivals = schedule.arrivals();
        let (suite, parties) = match &target.protocol {
            Protocol::Mvt(parties) => (workload.suite.name(), Some(parties)),
            Protocol::Peer(exchange) => (exchange.name(), None),
        };
        let is_shared = workload.sessions > workload.connections;
        Self {
            server: target.address.to_string(),
            transport: target.carrier.name().to_owned(),
            connections: workload.connections,
            in_flight: workload.in_flight,
            threads: workload.threads,
            payload_bytes: workload.payload.mean().round() as usize,
            payload: workload.payload.to_string(),
            suite: suite.to_owned(),
            answers: parties.map(|_| workload.answers.to_string()),
            sessions: parties.map(|_| workload.sessions),
            popularity: is_shared.then(|| workload.popularity.to_string()),
            identities: parties.map(|parties| parties.identities.len()),
            bad: (!workload.bad.is_none()).then(|| workload.bad.to_string()),
            reconnect_every: workload.churn.reconnect_every,
            login_every: workload.churn.login_every,
            resume_share: Some(workload.churn.resume_share).filter(|share| *share > 0.0),
            schedule: schedule.name().to_owned(),
            rate_per_s: arrivals.map(|open| open.rate_per_s),
            arrivals: arrivals.map(|open| open.process.name().to_owned()),
            seed: arrivals.map(|open| open.seed),
            ramp_s: arrivals.map(|open| open.ramp_ns as f64 / 1e9),
            spin: plan.spin,
            doze: plan.doze,
            warmup_s: extent.warmup.as_secs_f64(),
            duration_s: extent.duration.as_secs_f64(),
            requests: extent.requests,
        }
    }
}

impl WorkloadReport {
    /// What one request is, in words.
    #[must_use]
    pub fn unit(&self) -> String {
        match (self.sessions, self.payload.parse::<usize>()) {
            (None, _) => format!("{} bytes a request, {}", self.payload_bytes, self.suite),
            (Some(_), Err(_)) if !self.payload.is_empty() => {
                format!("{} payload bytes on average ({}), {}", self.payload_bytes, self.payload, self.suite)
            }
            _ => format!("{} payload bytes, {}", self.payload_bytes, self.suite),
        }
    }

    /// What is not as usual, in words; empty when nothing is.
    #[must_use]
    pub fn extras(&self) -> Vec<String> {
        let mut extras = Vec::new();
        if self.transport != tcp() {
            extras.push(format!("over {}", self.transport));
        }
        if self.answers.as_deref() == Some("joint") {
            extras.push("answered together".to_owned());
        }
        if let (Some(sessions), Some(popularity)) = (self.sessions, &self.popularity) {
            extras.push(format!("{sessions} sessions, {popularity}"));
        }
        if let Some(identities) = self.identities.filter(|count| *count > 1) {
            extras.push(format!("{identities} identities"));
        }
        extras.extend(self.bad.as_ref().map(|bad| format!("bad frames {bad}")));
        extras.extend(self.reconnect_every.map(|every| format!("a reconnect every {every} requests")));
        extras.extend(self.login_every.map(|every| format!("a login every {every} requests of a session")));
        extras.extend(self.resume_share.map(|share| format!("{}% of them by ticket", percent(share))));
        extras
    }
}
