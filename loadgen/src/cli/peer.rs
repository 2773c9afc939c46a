//! Arguments of the hidden commands on other servers: `peer`, `floor`.

use clap::{Args, ValueEnum};
use mvt_client::quic::ServerCertificate;
use mvt_proto::Suite;

use super::{LoadArguments, PlanError, plan::plan_of, transport};
use crate::{
    io::{Carrier, quic::Way},
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
    /// The same, on a QUIC stream for each request
    Quinn,
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
    #[arg(long, value_name = "SHA256", value_parser = transport::fingerprint, help = "Certificate, where there is one")]
    pub server_certificate: Option<ServerCertificate>,
}

/// Arguments of `floor`.
#[derive(Debug, Args)]
pub struct FloorArguments {
    /// By quinn, with a QUIC stream for each request.
    #[arg(long)]
    pub quinn: bool,
}

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
            PeerProtocol::Echo | PeerProtocol::Quinn => Box::new(Echo::default()),
        };
        let request_bytes = exchange.request().len();
        let carrier = match (self.protocol, &self.server_certificate) {
            (PeerProtocol::Quinn, certificate) => {
                let certificate = certificate.as_ref().unwrap_or(&ServerCertificate::CheckedByLogin);
                transport::quic(Way::StreamEach { request_bytes }, certificate, self.load.io)?
            }
            (_, Some(_)) => return Err(PlanError::OfQuic("--server-certificate")),
            _ => Carrier::Tcp,
        };
        let connections = self.load.connections as usize;
        let workload = Workload {
            connections,
            sessions: connections,
            popularity: Popularity::Uniform,
            in_flight: self.load.in_flight as usize,
            threads,
            payload: Payload::fixed(request_bytes),
            suite: Suite::Hs256,
            answers: Answers::Each,
            bad: BadShares::default(),
            churn: Churn { reconnect_every: self.load.reconnect_every, ..Churn::default() },
            seed: self.load.seed,
        };
        plan_of(self.load, carrier, Protocol::Peer(exchange), workload)
    }
}
