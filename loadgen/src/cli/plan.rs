//! The plan that arguments make, and why they may not.

use std::net::{SocketAddr, ToSocketAddrs};

use mvt_proto::keyfile;

use super::LoadArguments;
use crate::{
    io::Carrier,
    run::Plan,
    target::{Protocol, Target},
    workload::Workload,
};

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
    /// Fewer clients than asked for.
    #[error("--identities {count}: --key names {found} key files")]
    Identities {
        /// Asked for.
        count: usize,
        /// Found.
        found: usize,
    },
    /// Fewer sessions than connections.
    #[error("--sessions {sessions} is less than --connections {connections}: each connection has one")]
    Sessions {
        /// Asked for.
        sessions: usize,
        /// Asked for.
        connections: usize,
    },
    /// An argument that means nothing on TCP.
    #[error("{0} is of QUIC: add --transport quic-stream or quic-datagram")]
    OfQuic(&'static str),
    /// QUIC on a ring.
    #[error("--io uring: packets of QUIC are read by epoll, which --io auto takes")]
    RingOfQuic,
    /// The roots of `--server-ca`.
    #[error("--server-ca: {source}")]
    Roots {
        /// Why.
        source: std::io::Error,
    },
    /// Bad frames where frames may be lost.
    #[error(
        "--bad with --transport quic-datagram: the refusal of a bad frame may be lost, or meant for the copy of a request; \
         quic-stream and tcp lose nothing"
    )]
    BadInDatagrams,
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

/// The plan of `load` on a server that speaks `protocol`.
pub(super) fn plan_of(
    load: LoadArguments,
    carrier: Carrier,
    protocol: Protocol,
    workload: Workload,
) -> Result<Plan, PlanError> {
    Ok(Plan {
        target: Target { address: resolve(&load.server)?, carrier, protocol },
        schedule: load.schedule(),
        extent: load.extent(),
        workload,
        pins: load.pin,
        server_pid: load.server_pid,
        io: load.io,
        spin: load.spin,
        doze: load.doze,
        labels: load.output.labels.into_iter().collect(),
        quiet: load.output.quiet,
    })
}

fn resolve(server: &str) -> Result<SocketAddr, PlanError> {
    let fail = |source| PlanError::Resolve { server: server.to_owned(), source };
    let none = || std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    server.to_socket_addrs().map_err(fail)?.next().ok_or_else(none).map_err(fail)
}
