//! `cargo x demo`: server, load and latency report in one command.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, ensure};

use crate::{
    stand::Stand,
    stop::Stop,
    transport::Transport,
    workspace::{release_binary, run_cargo},
};

/// How long the server may take to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Measured seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Also write the report as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// What carries the frames.
    #[arg(long, value_enum, default_value = "tcp")]
    transport: Transport,
    /// gcm256 or hs256 [default: gcm256 on TCP, hs256 inside QUIC].
    #[arg(long)]
    suite: Option<String>,
    /// Connections.
    #[arg(long, default_value_t = 8)]
    connections: u32,
    /// Requests waiting on each connection.
    #[arg(long, default_value_t = 256)]
    in_flight: u32,
}

/// Builds, starts a server with throwaway keys, loads it, checks that every answer verified, and stops it.
///
/// # Errors
/// Whatever keeps the demo from showing a whole run in which every tag held.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    eprintln!("building the server and the load generator (release) ...");
    run_cargo(&["build", "--release", "--quiet", "--package", "mvt-server", "--package", "mvt-loadgen"])?;

    let stop = Stop::listen().context("cannot listen to signals")?;
    let folder = tempfile::tempdir().context("cannot make a folder for keys")?;
    let (server_cores, load_cores) = split_cores();
    let mut stand = Stand::start(&release_binary("mvt-server"), folder.path(), &server_cores, &stop)?;
    eprintln!(
        "server on {} by {}, cores {server_cores:?}; load on cores {load_cores:?}",
        stand.address, stand.backend
    );

    let report = tempfile::NamedTempFile::new().context("cannot make a file for the report")?;
    let pins: Vec<String> = load_cores.iter().map(usize::to_string).collect();
    let status = Command::new(release_binary("mvt-loadgen"))
        .arg("run")
        .args(stand.way(arguments.transport))
        .args(["--server-public-key", &stand.public_key])
        .args(["--server-pid", &stand.process.id().to_string()])
        .args(["--duration", &format!("{}s", arguments.seconds)])
        .args(arguments.suite.iter().flat_map(|suite| ["--suite", suite]))
        .args(["--connections", &arguments.connections.to_string()])
        .args(["--in-flight", &arguments.in_flight.to_string()])
        .args(["--threads", &pins.len().min(arguments.connections as usize).to_string()])
        .args(["--pin", &pins[..pins.len().min(arguments.connections as usize)].join(",")])
        .arg("--key")
        .arg(&stand.client_key)
        .arg("--json")
        .arg(report.path())
        .status()
        .context("cannot start mvt-loadgen")?;
    ensure!(
        status.success(),
        "the load generator ended with {status}; the server: {}",
        stand.process.complaint()
    );
    let ended = stand.process.terminate(STOP_PATIENCE, &stop)?;
    ensure!(ended.success(), "the server ended with {ended}: {}", stand.process.complaint());
    let text = fs::read_to_string(report.path()).context("no report was written")?;
    check(&text)?;
    if let Some(path) = &arguments.json {
        fs::write(path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Every answer's tag held, and there were answers.
fn check(report: &str) -> anyhow::Result<()> {
    let report: serde_json::Value = serde_json::from_str(report).context("the report is not JSON")?;
    let count = |name: &str| report[name].as_u64().with_context(|| format!("the report has no {name}"));
    ensure!(report["schema"] == "mvt.report/1", "the report is of another schema");
    let (verified, failed) = (count("verified")?, count("failed_verifications")?);
    ensure!(verified > 0, "nothing was verified");
    ensure!(failed == 0, "{failed} answers did not verify");
    println!("\nevery answer verified: {verified} of {verified}");
    Ok(())
}

/// The first half of the cores for the server, the rest for the load; one core is shared.
fn split_cores() -> (Vec<usize>, Vec<usize>) {
    let set = rustix::thread::sched_getaffinity(None);
    let cores: Vec<usize> = set
        .map(|set| (0..rustix::thread::CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
        .unwrap_or_else(|_| vec![0]);
    match cores.as_slice() {
        [one] => (vec![*one], vec![*one]),
        cores => {
            let (server, load) = cores.split_at(cores.len() / 2);
            (server.to_vec(), load.to_vec())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_with_a_failed_tag_or_without_answers_is_not_shown_as_good() {
        let report = |verified: u64, failed: u64| {
            format!(r#"{{"schema":"mvt.report/1","verified":{verified},"failed_verifications":{failed}}}"#)
        };
        assert!(check(&report(7, 0)).is_ok());
        assert!(check(&report(7, 1)).is_err());
        assert!(check(&report(0, 0)).is_err());
        assert!(check("{}").is_err());
    }
}
