//! The canonical runs: one row each.

use crate::{
    compare::{cell::CLIENT_CORE, peer::SERVER_CORE},
    transport::Transport,
};

/// What is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// Ours, so.
    Ours(Transport),
    /// Each peer that is there.
    Peers,
}

/// How the generator may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Clean. A run at a rate may be void where the machine is too small or too busy: then its page says so.
    Clean,
    /// Void: it shows what a void run looks like.
    Void,
}

/// One run of the generator, or one for each peer.
#[derive(Debug)]
pub struct Workload {
    /// Its folder; of a peer, with the peer's name behind it.
    pub name: &'static str,
    /// What is loaded.
    pub server: Server,
    /// Arguments beside the server, the time and the folder.
    pub arguments: &'static [&'static str],
    /// The CPU of the generator.
    pub core: usize,
    /// How it may end.
    pub ending: Ending,
    /// Its measured interval is this part of `--seconds`.
    pub part: f64,
}

const fn ours(name: &'static str, arguments: &'static [&'static str]) -> Workload {
    let server = Server::Ours(Transport::Tcp);
    Workload { name, server, arguments, core: CLIENT_CORE, ending: Ending::Clean, part: 1.0 / 3.0 }
}

const fn over(transport: Transport, name: &'static str, arguments: &'static [&'static str]) -> Workload {
    Workload { server: Server::Ours(transport), ..ours(name, arguments) }
}

const fn peers(name: &'static str, arguments: &'static [&'static str]) -> Workload {
    Workload { server: Server::Peers, part: 0.25, ..ours(name, arguments) }
}

/// Every run, in this order.
pub const WORKLOADS: [Workload; 15] = [
    Workload { part: 1.0, ..ours("pipeline256", &["--profile", "pipeline256"]) },
    ours("default", &["--profile", "default"]),
    ours("depth1", &["--profile", "depth1"]),
    ours("open-100k", &["--profile", "open-100k"]),
    ours("open-20k", &["--profile", "open-100k", "--rate", "20k"]),
    ours("mixed-payload", &["--profile", "mixed-payload"]),
    ours("zipf", &["--profile", "zipf"]),
    ours("hostile", &["--profile", "hostile"]),
    ours("churn", &["--profile", "churn"]),
    over(Transport::QuicStream, "quic-stream", &["--profile", "pipeline256"]),
    over(Transport::QuicDatagram, "quic-datagram", &["--profile", "pipeline256"]),
    // Inside QUIC the suite is HS256, which adds no second encryption.
    over(
        Transport::QuicDatagram,
        "quic-datagram-20k",
        &["--profile", "open-100k", "--rate", "20k", "--suite", "hs256"],
    ),
    // On the server's own core the generator cannot keep any schedule.
    Workload {
        ending: Ending::Void,
        core: SERVER_CORE,
        part: 0.1,
        ..ours("void", &["--profile", "open-100k"])
    },
    peers("pipeline256", &["--closed", "--in-flight", "256"]),
    peers("open-20k", &["--rate", "20k", "--in-flight", "1024"]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    #[test]
    fn every_run_has_a_folder_of_its_own_and_a_part_of_the_time() {
        for (index, one) in WORKLOADS.iter().enumerate() {
            assert!(one.part > 0.0 && one.part <= 1.0, "{}", one.name);
            let is_of_peers = |it: &Workload| it.server == Server::Peers;
            let same = |other: &&Workload| (other.name, is_of_peers(other)) == (one.name, is_of_peers(one));
            assert_eq!(WORKLOADS.iter().position(|other| same(&other)), Some(index));
        }
    }

    #[test]
    fn every_transport_is_among_them_and_a_void_run_is_too() {
        for transport in Transport::value_variants() {
            assert!(WORKLOADS.iter().any(|it| it.server == Server::Ours(*transport)), "{transport:?}");
        }
        assert!(WORKLOADS.iter().any(|it| it.ending == Ending::Void));
    }
}
