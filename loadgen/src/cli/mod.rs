//! The command line.

mod load;
mod mvt;
mod peer;
mod plan;
pub mod profile;
mod reading;
mod transport;
mod values;

use std::time::Duration;

use clap::{Parser, Subcommand};

pub use self::{
    load::{LoadArguments, Output},
    mvt::RunArguments,
    peer::{FloorArguments, PeerArguments},
    plan::PlanError,
    reading::{CompareArguments, Format, IndexArguments, ReportArguments},
    transport::{Transport, TransportArguments},
    values::{DURATION_MAX, PublicKey, RATE_MAX},
};

/// Most connections of a run.
pub const CONNECTION_COUNT_MAX: u64 = 4_096;
/// Most sessions of a run.
pub const SESSION_COUNT_MAX: u64 = 1 << 20;
/// Most requests in flight on one connection.
pub const IN_FLIGHT_MAX: u64 = 65_536;
/// Most workers.
pub const THREAD_COUNT_MAX: u64 = 256;
/// The measured interval without `--duration` and `--requests`.
pub const DURATION_DEFAULT: Duration = Duration::from_secs(10);
/// The bound on a run of `--requests` without `--duration`.
pub const DURATION_OF_REQUESTS: Duration = Duration::from_secs(600);

const AFTER: &str = "\
Exit status:
  0  clean: every answer verified, no errors, every bound held
  1  not clean (errors, failed verifications, an accepted bad frame), or the report could not be written
  2  usage: an argument, a profile, a key file or a run directory is wrong, or a result could not be written there
  3  an --assert did not hold, or --find-max found no rate that holds its --slo
  4  VOID: the generator, not the server, was the bottleneck; its figures say nothing about the server
  5  the server could not be reached, or refused the login

Examples:
  mvt-loadgen run --server HOST:PORT --server-public-key KEY --key client.key --rate 50k --out run-1
  mvt-loadgen run ... --profile pipeline256 --duration 30s --assert 'p99<5ms' --assert 'errors==0'
  mvt-loadgen run ... --transport quic-datagram --server-certificate sha256:...
  mvt-loadgen run ... --profile open-100k --find-max --slo 'p99<200us' --duration 5s
  mvt-loadgen report run-1 --format md
  mvt-loadgen compare before-1,before-2 after-1,after-2 --html compare.html";

/// Load on an MVT server: signs, sends, verifies every answer, reports honest latency.
#[derive(Debug, Parser)]
#[command(name = "mvt-loadgen", version, about, after_help = AFTER)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the generator does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send requests, verify every answer, report rate and latency
    #[command(after_help = AFTER)]
    Run(Box<RunArguments>),
    /// Show the report of a run directory again
    Report(ReportArguments),
    /// Compare run directories with the first, percentile by percentile
    Compare(CompareArguments),
    /// The same load on a server of another protocol
    #[command(hide = true)]
    Peer(Box<PeerArguments>),
    /// A bare echo server on a free loopback port, of TCP or of QUIC, until it is ended
    #[command(hide = true)]
    Floor(FloorArguments),
    /// One page of all run directories in a folder
    #[command(hide = true)]
    Index(IndexArguments),
}
