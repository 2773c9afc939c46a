//! One run of the load generator, and what it saw.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::{
    bench::{Bench, text},
    house::{House, Node},
};
use crate::process::Process;

/// Before the measured interval.
pub(super) const WARMUP: Duration = Duration::from_secs(1);
/// What a run may take beside what it measures.
const PATIENCE: Duration = Duration::from_secs(60);
/// The generator's status when it could not keep its own pace: its figures stand, and are marked.
const VOID: i32 = 4;

/// A run that goes on.
pub(super) struct Load {
    process: Process,
    report: PathBuf,
}

/// What it saw.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) verified: u64,
    /// Whatever was not answered by a verified response.
    pub(super) failed: u64,
    pub(super) renewals: u64,
    pub(super) p99_us: f64,
    /// How late the generator was.
    pub(super) slip_p99_us: f64,
    /// Why the generator says that its figures are its own.
    pub(super) void: Option<String>,
}

impl Load {
    /// Starts a run over `sessions` sessions at the rate of the command line.
    pub(super) fn start(
        bench: &Bench<'_>,
        house: &House,
        node: &Node,
        sessions: u32,
    ) -> anyhow::Result<Self> {
        Self::start_with(bench, house, node, sessions, bench.arguments.seconds, &[])
    }

    /// The same for so many measured seconds, with more arguments.
    pub(super) fn start_with(
        bench: &Bench<'_>,
        house: &House,
        node: &Node,
        sessions: u32,
        seconds: u32,
        more: &[&str],
    ) -> anyhow::Result<Self> {
        let report = house.folder().join(format!("{}.json", node.name));
        let arguments = [
            "run",
            "--quiet",
            "--suite=hs256",
            "--connections=8",
            "--arrivals=poisson",
            "--server",
            &node.address.to_string(),
            "--server-public-key",
            &house.public_key,
            "--key",
            &text(&house.client_key()),
            "--rate",
            &bench.arguments.rate.to_string(),
            "--sessions",
            &sessions.to_string(),
            "--warmup",
            &format!("{}s", WARMUP.as_secs()),
            "--duration",
            &format!("{seconds}s"),
            "--threads=1",
            "--pin",
            &bench.load_core.to_string(),
            "--json",
            &text(&report),
        ]
        .map(str::to_owned);
        let spin = bench.arguments.spin.then(|| "--spin".to_owned());
        let more = more.iter().map(|argument| (*argument).to_owned());
        let arguments = arguments.into_iter().chain(spin).chain(more);
        let process = Process::start("loadgen", None, &bench.generator, arguments, house.folder())?;
        Ok(Self { process, report })
    }

    /// Of its process.
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for its end.
    pub(super) fn finish(mut self, bench: &Bench<'_>) -> anyhow::Result<Seen> {
        let patience = PATIENCE + Duration::from_secs(bench.arguments.seconds.into());
        let status = self.process.finish(patience, bench.stop)?;
        // Requests that failed are figures here, too.
        ensure!(
            matches!(status.code(), Some(0 | 1 | VOID)),
            "the load generator ended with {status}: {}",
            self.process.complaint()
        );
        let text = fs::read_to_string(&self.report).context("no report was written")?;
        Seen::read(&serde_json::from_str(&text)?)
    }

    /// A whole run.
    pub(super) fn run(bench: &Bench<'_>, house: &House, node: &Node, sessions: u32) -> anyhow::Result<Seen> {
        Self::start(bench, house, node, sessions)?.finish(bench)
    }

    /// A whole run of so many measured seconds.
    pub(super) fn run_for(
        bench: &Bench<'_>,
        house: &House,
        node: &Node,
        sessions: u32,
        seconds: u32,
    ) -> anyhow::Result<Seen> {
        Self::start_with(bench, house, node, sessions, seconds, &[])?.finish(bench)
    }
}

/// The ratio of two p99s; or why one of the runs says nothing of the server.
pub(super) fn ratio(run: &Seen, against: &Seen) -> Result<f64, String> {
    match run.void.as_ref().or(against.void.as_ref()) {
        Some(why) => Err(why.clone()),
        None => Ok(run.p99_us / against.p99_us),
    }
}

impl Seen {
    fn read(report: &Value) -> anyhow::Result<Self> {
        let count = |name: &str| report[name].as_u64().with_context(|| format!("the report has no {name}"));
        let sum = |name: &str| -> u64 {
            let counts = report[name].as_object().map(|counts| counts.values().filter_map(Value::as_u64));
            counts.map_or(0, Iterator::sum)
        };
        // None is known where too many were never answered.
        let p99_ns = report["latency_ns"]["p99"].as_f64().unwrap_or(f64::INFINITY);
        let failed =
            count("failed_verifications")? + count("unanswered")? + count("unsent")? + sum("rejected");
        Ok(Self {
            verified: count("verified")?,
            failed,
            renewals: count("renewals")?,
            p99_us: p99_ns / 1e3,
            slip_p99_us: report["slip_ns"]["p99"].as_f64().unwrap_or(f64::NAN) / 1e3,
            void: report["void"].as_str().map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_void_run_is_compared_with_nothing() {
        let seen = |p99_us, void: Option<&str>| Seen {
            verified: 1,
            failed: 0,
            renewals: 0,
            p99_us,
            slip_p99_us: 1.0,
            void: void.map(str::to_owned),
        };
        assert_eq!(ratio(&seen(3.0, None), &seen(2.0, None)), Ok(1.5));
        assert_eq!(ratio(&seen(3.0, None), &seen(2.0, Some("late"))), Err("late".into()));
        assert_eq!(ratio(&seen(3.0, Some("late")), &seen(2.0, None)), Err("late".into()));
    }

    #[test]
    fn whatever_failed_is_counted_as_failed() {
        let report = json!({
            "verified": 10, "failed_verifications": 1, "unanswered": 2, "unsent": 7, "rejected": { "stale": 5 }, "renewals": 6, "latency_ns": { "p99": 1500 }, "void": null,
        });
        let seen = Seen::read(&report).unwrap();
        assert_eq!((seen.verified, seen.failed, seen.renewals), (10, 15, 6));
        assert_eq!((seen.p99_us, seen.void), (1.5, None));
        assert!(Seen::read(&json!({})).is_err());
    }
}
