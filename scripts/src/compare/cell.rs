//! One measurement: the client program on one server at one depth.

use std::{ffi::OsString, path::Path, time::Duration};

use anyhow::{Context, bail, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::{
    process::Process,
    stand::{PAYLOAD_BYTES, Stand},
    stop::Stop,
    workspace,
};

use super::{
    artifacts::Artifacts,
    peer::{Kind, Running},
    rounds::Ours,
};

/// The CPU of the client program.
pub const CLIENT_CORE: usize = 1;
/// Load before each measured interval.
pub const WARMUP: Duration = Duration::from_millis(300);
/// Beyond warm-up and interval a client may take this long, for connections, logins and the last answers.
const GRACE: Duration = Duration::from_secs(30);

/// What is the same for every cell of a run.
#[derive(Debug)]
pub struct Bench<'a> {
    /// The client program.
    pub artifacts: &'a Artifacts,
    /// Where they may write.
    pub folder: &'a Path,
    /// Connections.
    pub connections: u32,
    /// The measured interval.
    pub interval: Duration,
    /// The wish of the user to end.
    pub stop: &'a Stop,
}

/// What one cell gave.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cost {
    /// CPU time of the server's process per right answer, ns.
    pub server_ns: f64,
    /// CPU time of the client program per right answer, ns.
    pub client_ns: f64,
    /// Right answers per second.
    pub rate_per_s: f64,
    /// Part of the interval in which the server was on its CPU; near 1 the server sets the pace, else the client.
    pub server_busy: f64,
}

impl Bench<'_> {
    /// The cost of `peer`.
    ///
    /// # Errors
    /// When the client program fails, or not every answer is right.
    pub fn measure_peer(&self, kind: &Kind, peer: &Running, depth: u32) -> anyhow::Result<Cost> {
        let mut arguments = words(&["peer", "--protocol", kind.protocol]);
        arguments.extend(words(&["--server", &peer.address.to_string()]));
        arguments.extend(self.words(peer.process.id(), depth));
        arguments.extend(peer.client_arguments.iter().map(OsString::from));
        cost_of(&self.run(arguments)?)
    }

    /// The cost of ours, with the environment that the client program saw.
    ///
    /// # Errors
    /// When the client program fails, or not every answer verifies.
    pub fn measure_ours(
        &self,
        stand: &Stand,
        Ours { transport, suite, answers }: Ours,
        depth: u32,
    ) -> anyhow::Result<(Cost, Value)> {
        let mut arguments = words(&["run", "--server-public-key", &stand.public_key, "--key"]);
        arguments.push(stand.client_key.clone().into());
        arguments.extend(stand.way(transport).into_iter().map(OsString::from));
        arguments.extend(self.words(stand.process.id(), depth));
        arguments.extend(words(&[
            "--suite",
            suite.name(),
            "--answers",
            answers.name(),
            "--payload",
            &PAYLOAD_BYTES.to_string(),
        ]));
        let report = self.run(arguments)?;
        Ok((cost_of(&report)?, report["environment"].clone()))
    }

    /// Arguments of both kinds of load.
    fn words(&self, server_id: u32, depth: u32) -> Vec<OsString> {
        words(&[
            "--server-pid",
            &server_id.to_string(),
            "--connections",
            &self.connections.to_string(),
            "--in-flight",
            &depth.to_string(),
            "--pin",
            &CLIENT_CORE.to_string(),
            "--threads",
            "1",
            "--json",
            "-",
            "--quiet",
            "--warmup",
            &format!("{}ms", WARMUP.as_millis()),
            "--duration",
            &format!("{}ms", self.interval.as_millis()),
        ])
    }

    fn run(&self, arguments: Vec<OsString>) -> anyhow::Result<Value> {
        // Files go to `folder`, but the client asks git for the commit: it is started in the root.
        let program = &self.artifacts.loadgen;
        let mut client =
            Process::start_in("client", None, program, arguments, self.folder, &workspace::folder())?;
        let status = client.finish(WARMUP + self.interval + GRACE, self.stop)?;
        ensure!(status.success(), "the client program ended with {status}: {}", client.complaint());
        serde_json::from_str(&client.output()?).context("the client program did not print JSON")
    }
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// Reads `mvt.report/1`.
fn cost_of(report: &Value) -> anyhow::Result<Cost> {
    let field = |name: &str| match report[name].as_f64() {
        Some(number) if number > 0.0 => Ok(number),
        _ => bail!("the client program measured no {name}"),
    };
    let (server_ns, rate_per_s) = (field("server_cpu_ns_per_request")?, field("rate_per_s")?);
    Ok(Cost {
        server_ns,
        client_ns: field("client_cpu_ns_per_request")?,
        rate_per_s,
        server_busy: server_ns * rate_per_s / 1e9,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_without_a_cost_is_refused() {
        let whole = json!({
            "server_cpu_ns_per_request": 500.0, "client_cpu_ns_per_request": 250.0, "rate_per_s": 1_000_000.0
        });
        let cost = cost_of(&whole).unwrap();
        assert_eq!((cost.server_ns, cost.server_busy), (500.0, 0.5));
        for name in ["server_cpu_ns_per_request", "client_cpu_ns_per_request", "rate_per_s"] {
            for value in [json!(null), json!(0.0)] {
                let mut report = whole.clone();
                report[name] = value;
                assert!(cost_of(&report).unwrap_err().to_string().contains(name));
            }
        }
    }
}
