//! The command line of `cargo x compare`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::transport::Transport;

use super::{peer::PeerName, rounds::Ours};

/// A suite of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// HMAC-SHA256, what the target of the ratios is set for
    Hs256,
    /// AES-256-GCM
    Gcm256,
}

impl Suite {
    /// The name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "hs256",
            Self::Gcm256 => "gcm256",
        }
    }
}

/// How ours answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Answers {
    /// An answer for each request
    Each,
    /// Neighbours together, each verdict bound to its request
    Joint,
}

impl Answers {
    /// The name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Each => "each",
            Self::Joint => "joint",
        }
    }
}

/// Arguments of `compare`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Arguments {
    /// Write the result as JSON too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Requests in flight on each connection.
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256",
          value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub depths: Vec<u32>,
    /// Connections.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub connections: u32,
    /// Length of one measured interval.
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub seconds_per_cell: f64,
    /// Rounds of every depth; a ratio is the median of one for each round.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub rounds: u32,
    /// Suites of ours.
    #[arg(long, value_delimiter = ',', value_enum, default_value = "hs256,gcm256")]
    pub suites: Vec<Suite>,
    /// Transports of ours; QUIC with HS256, which is the suite inside of it, if that is among --suites.
    #[arg(long, value_delimiter = ',', value_enum, default_value = "tcp,quic-stream,quic-datagram")]
    pub transports: Vec<Transport>,
    /// How ours answers.
    #[arg(long, value_delimiter = ',', value_enum, default_value = "each,joint")]
    pub answers: Vec<Answers>,
    /// Whom to compare with.
    #[arg(long, value_delimiter = ',', value_enum, default_value = "redis,memcached,haproxy,quinn")]
    pub peers: Vec<PeerName>,
    /// Install nothing: leave out peers that are not there.
    #[arg(long)]
    pub no_install: bool,
}

impl Arguments {
    /// Those of a published run.
    #[must_use]
    pub fn usual() -> Self {
        Self {
            json: None,
            depths: vec![1, 16, 64, 256],
            connections: 8,
            seconds_per_cell: 2.0,
            rounds: 5,
            suites: vec![Suite::Hs256, Suite::Gcm256],
            transports: vec![Transport::Tcp, Transport::QuicStream, Transport::QuicDatagram],
            answers: vec![Answers::Each, Answers::Joint],
            peers: vec![PeerName::Redis, PeerName::Memcached, PeerName::Haproxy, PeerName::Quinn],
            no_install: false,
        }
    }

    /// What is measured of ours.
    #[must_use]
    pub fn ours(&self) -> Vec<Ours> {
        let mut ours = Vec::new();
        for &transport in &self.transports {
            let is_usual = |suite: &&Suite| transport == Transport::Tcp || **suite == Suite::Hs256;
            for &suite in self.suites.iter().filter(is_usual) {
                ours.extend(self.answers.iter().map(|&answers| Ours { transport, suite, answers }));
            }
        }
        ours
    }

    /// The arguments without repetitions, in their order.
    #[must_use]
    pub fn without_repetitions(mut self) -> Self {
        self.depths = firsts(self.depths);
        self.suites = firsts(self.suites);
        self.transports = firsts(self.transports);
        self.answers = firsts(self.answers);
        self.peers = firsts(self.peers);
        self
    }
}

fn firsts<T: PartialEq + Copy>(all: Vec<T>) -> Vec<T> {
    let mut kept = Vec::new();
    for each in all {
        if !kept.contains(&each) {
            kept.push(each);
        }
    }
    kept
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    if (0.05..=60.0).contains(&seconds) { Ok(seconds) } else { Err("expected 0.05 to 60 seconds".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(line: &[&str]) -> Result<Arguments, clap::Error> {
        let line = Line::try_parse_from(["compare"].iter().chain(line))?;
        Ok(line.arguments.without_repetitions())
    }

    #[test]
    fn the_defaults_are_those_of_a_published_run() {
        let arguments = parse(&[]).unwrap();
        assert_eq!(arguments, Arguments::usual());
    }

    #[test]
    fn repetitions_are_measured_once() {
        assert_eq!(parse(&["--depths", "4,1,4,1"]).unwrap().depths, [4, 1]);
    }

    #[test]
    fn inside_quic_the_suite_is_hs256() {
        let ours = parse(&["--answers", "each"]).unwrap().ours();
        let names: Vec<_> = ours.iter().map(|ours| (ours.transport.name(), ours.suite.name())).collect();
        let quic = [("quic-stream", "hs256"), ("quic-datagram", "hs256")];
        assert_eq!(names, [&[("tcp", "hs256"), ("tcp", "gcm256")][..], &quic].concat());
    }

    #[test]
    fn values_without_a_meaning_are_refused() {
        for line in [
            ["--depths", "0"],
            ["--rounds", "0"],
            ["--seconds-per-cell", "0"],
            ["--seconds-per-cell", "NaN"],
            ["--suites", "md5"],
            ["--peers", "nginx"],
            ["--connections", "0"],
        ] {
            assert!(parse(&line).is_err(), "{line:?}");
        }
    }
}
