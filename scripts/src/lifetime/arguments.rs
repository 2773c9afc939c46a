//! The command line of `cargo x lifetime`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Latency while sessions renew, against the same without
    Renewal,
    /// What a flood of HELLOs leaves to established sessions
    Flood,
    /// Latency while many clients are revoked
    Revocation,
    /// How soon every node refuses a revoked client's ticket
    Resume,
}

/// Arguments of `lifetime`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Arguments {
    /// Write the result as JSON too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Exit with status 3 when an aim is missed or void.
    #[arg(long)]
    pub assert: bool,
    /// Measure the release binaries that are there.
    #[arg(long)]
    pub no_build: bool,
    /// Measure only these.
    #[arg(long, value_delimiter = ',', value_enum)]
    pub only: Vec<Part>,
    /// Rounds of each comparison: two or three runs that follow each other.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// Measured seconds of one run.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
    /// Pairs of short runs, where renewals are measured.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub pairs: u32,
    /// Measured seconds of each run of a pair.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub pair_seconds: u32,
    /// Have loads look for work instead of sleeping, and shards too where renewals are measured.
    #[arg(long)]
    pub spin: bool,
    /// Requests a second, at which latency is measured: open loop.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub rate: u32,
    /// Requests after which a session renews, where renewals are measured. Three requests of each generation carry a step of a
    /// renewal: where they are more than 1 % of all, p99 is what such a step takes.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(16..=1_000_000))]
    pub renew_after: u32,
    /// Identities that are revoked.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub identities: u32,
    /// Clients revoked one by one while their tickets are tried on every node.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub tickets: u32,
}

impl Arguments {
    /// Whether `part` is to be measured.
    #[must_use]
    pub fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}
