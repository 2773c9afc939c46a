//! Arguments of the hidden commands on other servers: `peer`, `floor`.

use clap::{Args, ValueEnum};
use mvt_proto::Suite;

use super::{LoadArguments, PlanError, plan::plan_of};
use crate::{
    peer::{echo::Echo, exchange::Exchange, http::BearerGet, memcached, redis},
    run::Plan,
    target::Protocol,
    workload::{Answers, BadShares, Churn, Payload, Popularity, Workload},
};

/// What the peer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PeerProtocol {
    /// GET over RESP2
    Redis,
    /// `mg key v` over the meta protocol
    Memcached,
    /// HTTP/1.1 GET with a bearer token
    HaproxyJwt,
    /// 64 bytes that come back
    Echo,
}

/// Arguments of `peer`.
#[derive(Debug, Args)]
#[allow(missing_docs)] // the attribute beside each is its text
pub struct PeerArguments {
    #[command(flatten)]
    pub load: LoadArguments,
    #[arg(long, help = "What the peer speaks")]
    pub protocol: PeerProtocol,
    #[arg(long, default_value = "key", help = "Key asked for, where there are keys")]
    pub key: String,
    #[arg(long, default_value = "", help = "Value that must come, where there are values")]
    pub value: String,
    #[arg(long, default_value = "", help = "Bearer token, where there are tokens")]
    pub token: String,
}

/// Arguments of `floor`.
#[derive(Debug, Args)]
pub struct FloorArguments {}

impl PeerArguments {
    /// The plan these arguments make.
    ///
    /// # Errors
    /// [`PlanError`], naming the argument.
    pub fn into_plan(self) -> Result<Plan, PlanError> {
        let threads = self.load.thread_count()?;
        let exchange: Box<dyn Exchange> = match self.protocol {
            PeerProtocol::Redis => Box::new(redis::get(&self.key, &self.value)),
            PeerProtocol::Memcached => Box::new(memcached::meta_get(&self.key, &self.value)),
            PeerProtocol::HaproxyJwt => Box::new(BearerGet::new(&self.token)),
            PeerProtocol::Echo => Box::new(Echo::default()),
        };
        let connections = self.load.connections as usize;
        let workload = Workload {
            connections,
            sessions: connections,
            popularity: Popularity::Uniform,
            in_flight: self.load.in_flight as usize,
            threads,
            payload: Payload::fixed(exchange.request().len()),
            suite: Suite::Hs256,
            answers: Answers::Each,
            bad: BadShares::default(),
            churn: Churn { reconnect_every: self.load.reconnect_every, ..Churn::default() },
            seed: self.load.seed,
        };
        plan_of(self.load, Protocol::Peer(exchange), workload)
    }
}
