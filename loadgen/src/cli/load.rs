//! Arguments of every load, whatever the server speaks.

use std::{path::PathBuf, str::FromStr, thread, time::Duration};

use clap::Args;

use super::{
    CONNECTION_COUNT_MAX, DURATION_DEFAULT, DURATION_OF_REQUESTS, IN_FLIGHT_MAX, PlanError, THREAD_COUNT_MAX,
    values::{count, cpu, duration, host_and_port, label, process, rate, warmup},
};
use crate::{
    arrivals::{OpenLoop, Process},
    assertion::Assertion,
    clock::nanoseconds,
    io::Choice,
    run::Extent,
    schedule::Schedule,
    server_cpu::CpuReading,
};

/// Arguments of `run` and `peer`.
#[derive(Debug, Args)]
#[allow(missing_docs)] // the attribute beside each is its text
pub struct LoadArguments {
    #[arg(long, value_name = "HOST:PORT", help = "Address of the server", value_parser = host_and_port)]
    pub server: String,
    #[arg(
        long,
        value_name = "NAME|FILE",
        help = "Take arguments from a profile; those of the command line override it. Names: default, depth1, \
                  pipeline256, open-100k, mixed-payload, zipf, hostile, churn"
    )]
    pub profile: Option<String>,

    #[arg(long, value_name = "PER_S", help_heading = "When", value_parser = rate,
          help = "Open loop: requests per second over all connections, like 500, 50k, 1.5M")]
    pub rate: Option<f64>,
    #[arg(long, default_value = "poisson", requires = "rate", conflicts_with = "closed", help_heading = "When", value_parser = process,
          help = "constant or poisson")]
    pub arrivals: Process,
    #[arg(long, default_value = "0", requires = "rate", conflicts_with = "closed", help_heading = "When", value_parser = warmup,
          help = "The rate grows to --rate in this time, before the warm-up")]
    pub ramp: Duration,
    #[arg(
        long,
        conflicts_with = "rate",
        help_heading = "When",
        help = "Closed loop: the next request when an answer came [default without --rate]"
    )]
    pub closed: bool,
    #[arg(
        long,
        requires = "rate",
        conflicts_with = "closed",
        help_heading = "When",
        help = "Never sleep; else only when a request is due in less than 2 ms"
    )]
    pub spin: bool,
    #[arg(
        long,
        requires = "rate",
        conflicts_with_all = ["closed", "spin"],
        help_heading = "When",
        help = "Always sleep until the next request is due, late by what the kernel wakes late: leaves the core to others"
    )]
    pub doze: bool,
    #[arg(long, default_value = "1s", help_heading = "When", value_parser = warmup,
          help = "Load before the measured interval")]
    pub warmup: Duration,
    #[arg(long, help_heading = "When", value_parser = duration,
          help = "Measured interval, like 10, 10s, 500ms, 2m [default: 10s]")]
    pub duration: Option<Duration>,
    #[arg(long, help_heading = "When", value_parser = count(1, 1 << 48),
          help = "Measured requests; the run ends when they are answered")]
    pub requests: Option<u64>,
    #[arg(
        long,
        requires = "slo",
        help_heading = "When",
        help = "Search the highest rate whose run holds every --slo; each probe is one --duration, the first at \
                  --rate or 1000/s"
    )]
    pub find_max: bool,
    #[arg(long, value_name = "BOUND", requires = "find_max", help_heading = "When",
          value_parser = Assertion::from_str, help = "Like 'p99<200us', repeated")]
    pub slo: Vec<Assertion>,
    #[arg(
        long,
        default_value_t = 1,
        help_heading = "When",
        help = "Repeats arrivals, payload sizes, chosen sessions and bad frames"
    )]
    pub seed: u64,

    #[arg(long, short = 'c', default_value_t = 8, help_heading = "Over what",
          help = "Connections", value_parser = count(1, CONNECTION_COUNT_MAX))]
    pub connections: u64,
    #[arg(long, visible_alias = "pipeline", default_value_t = 256, help_heading = "Over what",
          help = "Requests waiting on each connection, in an open loop at most",
          value_parser = count(1, IN_FLIGHT_MAX))]
    pub in_flight: u64,
    #[arg(long, value_name = "N", help_heading = "Over what", value_parser = count(1, u64::MAX),
          help = "Replace each connection after N requests")]
    pub reconnect_every: Option<u64>,
    #[arg(long, help_heading = "Over what",
          help = "Worker threads [default: half of the cores, or one for each CPU of --pin]",
          value_parser = count(1, THREAD_COUNT_MAX))]
    pub threads: Option<u64>,
    #[arg(long, value_name = "CPU,CPU", value_delimiter = ',', help_heading = "Over what",
          help = "CPUs to pin the workers to", value_parser = cpu)]
    pub pin: Vec<usize>,
    #[arg(
        long,
        default_value = "auto",
        value_enum,
        help_heading = "Over what",
        help = "How bytes are moved"
    )]
    pub io: Choice,

    #[arg(
        long,
        value_name = "PID",
        help_heading = "Result",
        help = "Process of the server on this machine, for its CPU time"
    )]
    pub server_pid: Option<u32>,
    #[command(flatten)]
    pub output: Output,
}

/// Where a result goes, and what it has to be.
#[derive(Debug, Args)]
#[command(next_help_heading = "Result")]
#[allow(missing_docs)] // the attribute beside each is its text
pub struct Output {
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

/// The rate of the first probe of a search that is given none.
const FIRST_RATE: f64 = 1_000.0;

impl LoadArguments {
    /// When requests are sent.
    pub(super) fn schedule(&self) -> Schedule {
        let in_flight = self.in_flight as usize;
        let rate = self.rate.or_else(|| self.find_max.then_some(FIRST_RATE));
        rate.map_or(Schedule::Closed { in_flight }, |rate_per_s| Schedule::Open {
            arrivals: OpenLoop {
                rate_per_s,
                process: self.arrivals,
                ramp_ns: nanoseconds(self.ramp),
                seed: self.seed,
            },
            in_flight,
        })
    }

    /// How long.
    pub(super) fn extent(&self) -> Extent {
        let default = if self.requests.is_some() { DURATION_OF_REQUESTS } else { DURATION_DEFAULT };
        Extent { warmup: self.warmup, duration: self.duration.unwrap_or(default), requests: self.requests }
    }

    /// Workers, and whether what is asked of this machine fits together.
    pub(super) fn thread_count(&self) -> Result<usize, PlanError> {
        if let Some(pid) = self.server_pid {
            CpuReading::of(pid).map_err(|source| PlanError::ServerPid { pid, source })?;
        }
        let connections = self.connections as usize;
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
