//! The start-up list: build, install, start, measure, report. Every process ends with its value, whatever happens.

use std::{
    env, fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::{
    stand::Stand,
    stop::{Stop, Stopped},
};

use super::{
    arguments::Arguments,
    artifacts::Artifacts,
    cell::{Bench, CLIENT_CORE, WARMUP},
    install::{program_of, version_of},
    peer::{Kind, Running, SERVER_CORE, Seat},
    report::{Report, SCHEMA, rows, sample},
    rounds::Field,
};

/// A peer that takes part: its row, its process, its version.
struct Admitted {
    kind: &'static Kind,
    running: Running,
    version: Option<String>,
}

/// Builds ours and runs the comparison.
///
/// # Errors
/// When ours cannot be built, and as [`run_with`].
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    run_with(arguments, &Artifacts::build()?)
}

/// Runs the comparison with programs that are built already.
///
/// # Errors
/// When ours cannot be started, no peer can, a cell fails, the user stops it, or the file cannot be written.
pub fn run_with(arguments: Arguments, artifacts: &Artifacts) -> anyhow::Result<()> {
    let arguments = arguments.without_repetitions();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    ensure!(
        cores >= 2,
        "a comparison needs two CPUs: {SERVER_CORE} for servers, {CLIENT_CORE} for the client"
    );
    let json_path = arguments.json.as_deref().map(resolve).transpose()?;
    let stop = Stop::listen().context("cannot listen to signals")?;
    let folder = tempfile::tempdir()?;

    let (admitted, skipped) = admit(&arguments, artifacts, folder.path(), &stop)?;
    let asked = arguments.ours();
    ensure!(!asked.is_empty(), "nothing of ours is asked for: QUIC is compared with HS256");
    ensure!(!admitted.is_empty(), "no peer could be started, so there is nothing to compare with");
    let ours = Stand::start(&artifacts.server, folder.path(), &[SERVER_CORE], &stop)?;
    eprintln!("compare: ours serves on {} by {}", ours.address, ours.backend);

    let bench = Bench {
        artifacts,
        folder: folder.path(),
        connections: arguments.connections,
        interval: Duration::from_secs_f64(arguments.seconds_per_cell),
        stop: &stop,
    };
    let described: Vec<Value> = admitted.iter().map(|peer| describe(peer, folder.path())).collect();
    let peers = admitted.into_iter().map(|it| (it.kind, it.running)).collect();
    let field = Field { ours, asked, peers };
    let busy_before = load_average();
    let (samples, machine) = field.measure(&bench, &arguments.depths, arguments.rounds)?;

    let mut environment = environment(machine, &arguments, &field.ours, described, skipped);
    environment["load_average"] = json!({"before": busy_before, "after": load_average()});
    let report = Report {
        schema: SCHEMA,
        rows: rows(&samples, arguments.connections),
        environment,
        command: command(),
        samples: samples.iter().map(sample).collect(),
    };
    print!("{}", report.to_text());
    if let Some(path) = json_path {
        fs::write(&path, report.to_json()).with_context(|| format!("--json {}", path.display()))?;
        eprintln!("compare: wrote {}", path.display());
    }
    Ok(())
}

/// The file of `--json`, with its folder made: an unusable path is known before the measurement.
fn resolve(path: &Path) -> anyhow::Result<PathBuf> {
    let path = env::current_dir()?.join(path);
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).with_context(|| format!("--json {}", path.display()))?;
    ensure!(!path.is_dir(), "--json {} is a folder", path.display());
    Ok(path)
}

/// Starts every peer that is there or can be installed; those left out, with the reason.
fn admit(
    arguments: &Arguments,
    artifacts: &Artifacts,
    folder: &Path,
    stop: &Stop,
) -> anyhow::Result<(Vec<Admitted>, Vec<Value>)> {
    let (mut admitted, mut skipped) = (Vec::new(), Vec::new());
    for name in &arguments.peers {
        let kind = name.kind();
        let started =
            program_of(kind, !arguments.no_install).map_err(anyhow::Error::from).and_then(|program| {
                stop.check()?;
                let version = kind.version_argument.and_then(|argument| version_of(&program, argument));
                let running = (kind.start)(&Seat { program, folder, artifacts, stop })?;
                Ok(Admitted { kind, running, version })
            });
        match started {
            Ok(peer) => {
                eprintln!("compare: {} serves on {} and does its work", kind.text, peer.running.address);
                admitted.push(peer);
            }
            Err(error) if error.is::<Stopped>() => return Err(error),
            Err(error) => {
                eprintln!("compare: WITHOUT {}: {error:#}", kind.text);
                skipped.push(json!({"peer": kind.text, "reason": format!("{error:#}")}));
            }
        }
    }
    Ok((admitted, skipped))
}

/// Its files were in a folder that is gone.
fn describe(peer: &Admitted, folder: &Path) -> Value {
    let configuration = peer.running.configuration.replace(&*folder.to_string_lossy(), ".");
    json!({"peer": peer.kind.text, "version": peer.version, "configuration": configuration})
}

/// What the client program saw of the machine, and how this run measured.
fn environment(
    machine: Value,
    arguments: &Arguments,
    ours: &Stand,
    peers: Vec<Value>,
    skipped: Vec<Value>,
) -> Value {
    json!({
        "machine": machine,
        "ours": {"backend": ours.backend, "configuration": ours.configuration},
        "peers": peers,
        "skipped": skipped,
        "server_core": SERVER_CORE,
        "client_core": CLIENT_CORE,
        "rounds": arguments.rounds,
        "seconds_per_cell": arguments.seconds_per_cell,
        "warmup_s": WARMUP.as_secs_f64(),
        "cpu_time": "difference of /proc/PID/task/*/schedstat over the interval, per right answer in it",
        "transports": "peers on TCP with ours on TCP; quinn, and ours-tcp, which is ours on TCP with the same suite and \
                       answers, with ours over QUIC",
        "spread": "least and greatest ratio of any round",
    })
}

/// Runnable threads of the whole machine over 1, 5 and 15 minutes: beyond 2, others disturbed the run.
fn load_average() -> Option<String> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    Some(text.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
}

/// The command line as it would be typed again; files by an absolute path by their names only.
fn command() -> String {
    let shown = |argument: String| {
        match Path::new(&argument) {
            path if path.is_absolute() => path.file_name().map(|name| name.to_string_lossy().into_owned()),
            _ => None,
        }
        .unwrap_or(argument)
    };
    let arguments: Vec<String> = env::args().skip(1).map(shown).collect();
    format!("cargo x {}", arguments.join(" "))
}
