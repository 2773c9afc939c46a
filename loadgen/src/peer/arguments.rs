//! The command line of a run against a peer.

use std::{net::SocketAddr, time::Duration};

use clap::{Parser, ValueEnum};

use super::{echo::Echo, exchange::Exchange, http::BearerGet, load::Plan, memcached::MetaGet, redis::Get};
use crate::cli::{CONNECTION_COUNT_MAX, IN_FLIGHT_MAX};

/// What the peer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// GET over RESP2
    Redis,
    /// `mg key v` over the meta protocol
    Memcached,
    /// HTTP/1.1 GET with a bearer token
    HaproxyJwt,
    /// 64 bytes that come back
    Echo,
}

/// Closed-loop load on a server of another protocol, every answer checked; JSON on standard output.
#[derive(Debug, Parser)]
#[command(name = "peer")]
#[allow(missing_docs)] // the attribute beside each is its text
pub struct Arguments {
    #[arg(long, help = "What the peer speaks")]
    pub protocol: Protocol,
    #[arg(long, value_name = "IP:PORT", help = "Address of the peer")]
    pub server: SocketAddr,
    #[arg(long, value_name = "PID", help = "Process of the peer on this machine, for its CPU time")]
    pub server_pid: u32,
    #[arg(long, default_value_t = 8, help = "TCP connections",
          value_parser = clap::value_parser!(u64).range(1..=CONNECTION_COUNT_MAX))]
    pub connections: u64,
    #[arg(long, default_value_t = 256, help = "Requests waiting on each connection",
          value_parser = clap::value_parser!(u64).range(1..=IN_FLIGHT_MAX))]
    pub in_flight: u64,
    #[arg(long, value_name = "CPU", help = "CPU to stay on")]
    pub pin: Option<usize>,
    #[arg(long, default_value_t = 300, help = "Load before the measured interval, ms",
          value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub warmup_ms: u64,
    #[arg(long, default_value_t = 2_000, help = "Measured interval, ms",
          value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub duration_ms: u64,
    #[arg(long, default_value = "key", help = "Key asked for, where there are keys")]
    pub key: String,
    #[arg(long, default_value = "", help = "Value that must come, where there are values")]
    pub value: String,
    #[arg(long, default_value = "", help = "Bearer token, where there are tokens")]
    pub token: String,
}

impl Arguments {
    /// The plan these arguments make.
    #[must_use]
    pub fn into_plan(self) -> Plan {
        let exchange: Box<dyn Exchange> = match self.protocol {
            Protocol::Redis => Box::new(Get::new(&self.key, &self.value)),
            Protocol::Memcached => Box::new(MetaGet::new(&self.key, &self.value)),
            Protocol::HaproxyJwt => Box::new(BearerGet::new(&self.token)),
            Protocol::Echo => Box::new(Echo::default()),
        };
        Plan {
            server: self.server,
            server_pid: self.server_pid,
            exchange,
            connections: self.connections as usize,
            in_flight: self.in_flight as usize,
            pin: self.pin,
            warmup: Duration::from_millis(self.warmup_ms),
            duration: Duration::from_millis(self.duration_ms),
        }
    }
}
