//! The command line.

mod reading;
mod values;

use std::{
    fs,
    net::{SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    str::FromStr,
    thread,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use mvt_proto::{
    Suite,
    constants::PAYLOAD_BYTES_MAX,
    keyfile::{self, KeyFile},
};
use zeroize::Zeroizing;

use self::values::{count, cpu, duration, host_and_port, label, process, public_key, rate, suite, warmup};
pub use self::{
    reading::{CompareArguments, Format, ReportArguments},
    values::{DURATION_MAX, PublicKey, RATE_MAX},
};
use crate::{
    arrivals::{OpenLoop, Process},
    assertion::Assertion,
    clock::nanoseconds,
    run::{Extent, Plan},
    schedule::Schedule,
    server_cpu::CpuReading,
    target::Target,
    workload::Workload,
};

/// Most connections of a run.
pub const CONNECTION_COUNT_MAX: u64 = 4_096;
/// Most requests in flight on one connection.
pub const IN_FLIGHT_MAX: u64 = 65_536;
/// Most workers.
pub const THREAD_COUNT_MAX: u64 = 256;
/// The measured interval without `--duration` and `--requests`.
pub const DURATION_DEFAULT: Duration = Duration::from_secs(10);
/// The bound on a run of `--requests` without `--duration`.
pub const DURATION_OF_REQUESTS: Duration = Duration::from_secs(600);

/// Load on an MVT server, every answer verified.
#[derive(Debug, Parser)]
#[command(name = "mvt-loadgen", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the generator does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send requests, verify every answer, report rate and latency
    Run(Box<RunArguments>),
    /// Show the report of a run directory again
    Report(ReportArguments),
    /// Compare run directories with the first, percentile by percentile
    Compare(CompareArguments),
}

/// Arguments of `run`.
#[derive(Debug, Args)]
#[allow(missing_docs)] // the attribute beside each is its text
pub struct RunArguments {
    #[arg(long, value_name = "HOST:PORT", help = "Address of the server", value_parser = host_and_port)]
    pub server: String,
    #[arg(long, value_name = "BASE64", help = "Static public key of the server", value_parser = public_key)]
    pub server_public_key: PublicKey,
    #[arg(long, value_name = "FILE", help = "Key file of an enrolled client")]
    pub key: PathBuf,
    #[arg(long, default_value_t = 8, help = "TCP connections", value_parser = count(1, CONNECTION_COUNT_MAX))]
    pub connections: u64,
    #[arg(long, default_value_t = 256, help = "Requests waiting on each connection",
          value_parser = count(1, IN_FLIGHT_MAX))]
    pub in_flight: u64,
    #[arg(long, help = "Worker threads [default: half of the cores, or one for each CPU of --pin]",
          value_parser = count(1, THREAD_COUNT_MAX))]
    pub threads: Option<u64>,
    #[arg(
        long,
        value_name = "CPU,CPU",
        value_delimiter = ',',
        help = "CPUs to pin the workers to",
        value_parser = cpu
    )]
    pub pin: Vec<usize>,
    #[arg(long, help = "Measured interval, like 10, 10s, 500ms, 2m [default: 10s]", value_parser = duration)]
    pub duration: Option<Duration>,
    #[arg(long, help = "Measured requests; the run ends when they are answered",
          value_parser = count(1, 1 << 48))]
    pub requests: Option<u64>,
    #[arg(long, value_name = "PER_S", help = "Open loop: requests per second over all connections",
          value_parser = rate)]
    pub rate: Option<f64>,
    #[arg(long, default_value = "poisson", requires = "rate", help = "constant or poisson", value_parser = process)]
    pub arrivals: Process,
    #[arg(long, default_value_t = 1, requires = "rate", help = "Repeats the arrivals of an open loop")]
    pub seed: u64,
    #[arg(long, default_value = "0", requires = "rate", value_parser = warmup,
          help = "The rate grows to --rate in this time, before the warm-up")]
    pub ramp: Duration,
    #[arg(
        long,
        conflicts_with = "rate",
        help = "Closed loop: the next request when an answer came [default without --rate]"
    )]
    pub closed: bool,
    #[arg(long, requires = "rate", help = "Never sleep; else only when a request is due in less than 2 ms")]
    pub spin: bool,
    #[arg(long, default_value = "1s", help = "Load before the measured interval", value_parser = warmup)]
    pub warmup: Duration,
    #[arg(long, default_value_t = 20, help = "Payload bytes of a request",
          value_parser = count(0, PAYLOAD_BYTES_MAX as u64))]
    pub payload_bytes: u64,
    #[arg(long, default_value = "gcm256", help = "gcm256 or hs256", value_parser = suite)]
    pub suite: Suite,
    #[arg(long, value_name = "PID", help = "Process of the server on this machine, for its CPU time")]
    pub server_pid: Option<u32>,
    #[arg(long, value_name = "FILE|-", help = "Write the report as JSON; with -, text goes to stderr")]
    pub json: Option<PathBuf>,
    #[arg(
        long,
        value_name = "DIR",
        help = "Write report.json, report.html, histograms and more into this directory"
    )]
    pub out: Option<PathBuf>,
    #[arg(long = "assert", value_name = "BOUND", value_parser = Assertion::from_str,
          help = "Like 'p99<1ms' or 'errors==0', repeated; exit 3 when one does not hold")]
    pub assertions: Vec<Assertion>,
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label,
          help = "What the report is to say of the server, like backend=io_uring; repeated")]
    pub labels: Vec<(String, String)>,
    #[arg(long, help = "No progress line; with --json -, no text either")]
    pub quiet: bool,
}

/// Why arguments that parse do not make a run.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The key file cannot be read.
    #[error("--key {path}: {source}")]
    KeyFile {
        /// As given.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The key file is not one.
    #[error("--key {path}: {source}")]
    Key {
        /// As given.
        path: String,
        /// Which line.
        source: keyfile::KeyFileError,
    },
    /// Name resolution.
    #[error("--server {server}: {source}")]
    Resolve {
        /// As given.
        server: String,
        /// Why.
        source: std::io::Error,
    },
    /// More workers than connections.
    #[error(
        "--threads {threads} is more than --connections {connections}: a thread would have nothing to do"
    )]
    Threads {
        /// Asked for.
        threads: usize,
        /// Asked for.
        connections: usize,
    },
    /// Pins and workers differ in number.
    #[error("--pin names {pins} CPUs for --threads {threads}: name one for each thread")]
    Pins {
        /// Asked for.
        pins: usize,
        /// Asked for.
        threads: usize,
    },
    /// The server's CPU time cannot be read.
    #[error("--server-pid {pid}: {source}")]
    ServerPid {
        /// As given.
        pid: u32,
        /// Why.
        source: std::io::Error,
    },
}

impl RunArguments {
    /// Reads the key file, resolves the server, and checks what single arguments cannot.
    ///
    /// # Errors
    /// [`PlanError`], naming the argument.
    pub fn into_plan(self) -> Result<Plan, PlanError> {
        let connections = self.connections as usize;
        let threads = self.thread_count(connections)?;
        if let Some(pid) = self.server_pid {
            CpuReading::of(pid).map_err(|source| PlanError::ServerPid { pid, source })?;
        }
        let identity = read_key(&self.key)?.identity;
        let schedule = self.schedule();
        let in_flight = self.in_flight as usize;
        let default = if self.requests.is_some() { DURATION_OF_REQUESTS } else { DURATION_DEFAULT };
        Ok(Plan {
            target: Target {
                address: resolve(&self.server)?,
                server_public: self.server_public_key.0,
                identity,
            },
            workload: Workload {
                connections,
                in_flight,
                threads,
                payload: Workload::payload_of(self.payload_bytes as usize),
                suite: self.suite,
            },
            schedule,
            extent: Extent {
                warmup: self.warmup,
                duration: self.duration.unwrap_or(default),
                requests: self.requests,
            },
            pins: self.pin,
            server_pid: self.server_pid,
            spin: self.spin,
            labels: self.labels.into_iter().collect(),
            quiet: self.quiet,
        })
    }

    fn schedule(&self) -> Schedule {
        let in_flight = self.in_flight as usize;
        self.rate.map_or(Schedule::Closed { in_flight }, |rate_per_s| Schedule::Open {
            arrivals: OpenLoop {
                rate_per_s,
                process: self.arrivals,
                ramp_ns: nanoseconds(self.ramp),
                seed: self.seed,
            },
            in_flight,
        })
    }

    fn thread_count(&self, connections: usize) -> Result<usize, PlanError> {
        let pins = self.pin.len();
        let threads = match self.threads {
            Some(threads) => threads as usize,
            None if pins > 0 => pins,
            // The other half is the server's when it runs here.
            None => (thread::available_parallelism().map_or(1, usize::from) / 2).clamp(1, connections),
        };
        if threads > connections {
            return Err(PlanError::Threads { threads, connections });
        }
        if pins > 0 && pins != threads {
            return Err(PlanError::Pins { pins, threads });
        }
        Ok(threads)
    }
}

fn read_key(path: &Path) -> Result<KeyFile, PlanError> {
    let shown = path.display().to_string();
    let text = fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|source| PlanError::KeyFile { path: shown.clone(), source })?;
    KeyFile::parse(&text).map_err(|source| PlanError::Key { path: shown, source })
}

fn resolve(server: &str) -> Result<SocketAddr, PlanError> {
    let fail = |source| PlanError::Resolve { server: server.to_owned(), source };
    let none = || std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    server.to_socket_addrs().map_err(fail)?.next().ok_or_else(none).map_err(fail)
}
