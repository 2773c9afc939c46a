//! The canonical runs: one row each.

use crate::compare::{cell::CLIENT_CORE, peer::SERVER_CORE};

/// What is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// Ours.
    Ours,
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
    Workload { name, server: Server::Ours, arguments, core: CLIENT_CORE, ending: Ending::Clean, part: 0.5 }
}

/// Every run, in this order.
pub const WORKLOADS: [Workload; 12] = [
    Workload { part: 1.0, ..ours("pipeline256", &["--profile", "pipeline256"]) },
    ours("default", &["--profile", "default"]),
    ours("depth1", &["--profile", "depth1"]),
    ours("open-100k", &["--profile", "open-100k"]),
    ours("open-20k", &["--profile", "open-100k", "--rate", "20k"]),
    ours("mixed-payload", &["--profile", "mixed-payload"]),
    ours("zipf", &["--profile", "zipf"]),
    ours("hostile", &["--profile", "hostile"]),
    ours("churn", &["--profile", "churn"]),
    // On the server's own core the generator cannot keep any schedule.
    Workload {
        ending: Ending::Void,
        core: SERVER_CORE,
        part: 0.1,
        ..ours("void", &["--profile", "open-100k"])
    },
    Workload { server: Server::Peers, ..ours("pipeline256", &["--closed", "--in-flight", "256"]) },
    Workload { server: Server::Peers, ..ours("open-20k", &["--rate", "20k", "--in-flight", "1024"]) },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_has_a_folder_of_its_own_and_a_part_of_the_time() {
        for (index, one) in WORKLOADS.iter().enumerate() {
            assert!(one.part > 0.0 && one.part <= 1.0, "{}", one.name);
            let same = |other: &&Workload| (other.name, other.server) == (one.name, one.server);
            assert_eq!(WORKLOADS.iter().position(|other| same(&other)), Some(index));
        }
    }
}
