//! The order of the cells: depth by depth, and in each depth round by round over all servers, so that what disturbs
//! the machine disturbs all of them alike.

use serde_json::Value;

use crate::{stand::Stand, transport::Transport};

use super::{
    arguments::{Answers, Suite},
    cell::{Bench, Cost},
    peer::{Kind, PeerName, Running},
};

/// Whom a cell measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A peer.
    Peer(PeerName),
    /// Our server.
    Ours(Ours),
}

/// How our server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ours {
    /// What carries the frames.
    pub transport: Transport,
    /// The suite.
    pub suite: Suite,
    /// How it answers.
    pub answers: Answers,
}

impl Target {
    /// The name in progress lines and samples.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Peer(name) => name.kind().text.to_owned(),
            Self::Ours(Ours { transport, suite, answers }) => {
                format!("ours-{}-{}-{}", transport.name(), suite.name(), answers.name())
            }
        }
    }
}

/// One cell of one round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Requests in flight on each connection.
    pub depth: u32,
    /// From 1.
    pub round: u32,
    /// Whom.
    pub target: Target,
    /// What it cost.
    pub cost: Cost,
}

/// The servers of a run.
#[derive(Debug)]
pub struct Field {
    /// Ours.
    pub ours: Stand,
    /// How it is asked.
    pub asked: Vec<Ours>,
    /// The peers that could be started.
    pub peers: Vec<(&'static Kind, Running)>,
}

impl Field {
    /// Measures every cell; the samples in their order, and the environment that the client program saw.
    ///
    /// # Errors
    /// At the first cell that fails.
    pub fn measure(
        &self,
        bench: &Bench<'_>,
        depths: &[u32],
        rounds: u32,
    ) -> anyhow::Result<(Vec<Sample>, Value)> {
        let targets: Vec<Target> = self.targets();
        let count = depths.len() * rounds as usize * targets.len();
        let mut samples = Vec::with_capacity(count);
        let mut environment = Value::Null;
        for &depth in depths {
            for round in 1..=rounds {
                for target in order(&targets, round) {
                    let cost = match target {
                        Target::Peer(name) => {
                            let found = self.peers.iter().find(|(kind, _)| kind.name == name);
                            let (kind, running) = found.expect("a target is one of the peers");
                            bench.measure_peer(kind, running, depth)
                        }
                        Target::Ours(ours) => {
                            bench.measure_ours(&self.ours, ours, depth).map(|(cost, seen)| {
                                environment = seen;
                                cost
                            })
                        }
                    };
                    let cost =
                        cost.map_err(|error| error.context(format!("{} at depth {depth}", target.text())))?;
                    samples.push(Sample { depth, round, target, cost });
                    eprintln!(
                        "compare: [{:>3}/{count}] depth {depth:>3} round {round} {:<30} {:>7.0} ns, {:>9.0}/s, busy {:>3.0} %",
                        samples.len(),
                        target.text(),
                        cost.server_ns,
                        cost.rate_per_s,
                        cost.server_busy * 100.0,
                    );
                }
            }
        }
        Ok((samples, environment))
    }

    fn targets(&self) -> Vec<Target> {
        let peers = self.peers.iter().map(|(kind, _)| Target::Peer(kind.name));
        peers.chain(self.asked.iter().copied().map(Target::Ours)).collect()
    }
}

/// Every other round goes backwards, so that a drift of the machine favours nobody.
fn order(targets: &[Target], round: u32) -> Vec<Target> {
    let mut order = targets.to_vec();
    if round.is_multiple_of(2) {
        order.reverse();
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_round_goes_backwards() {
        let ours = |suite| Target::Ours(Ours { transport: Transport::Tcp, suite, answers: Answers::Each });
        let targets = [Target::Peer(PeerName::Redis), ours(Suite::Hs256), ours(Suite::Gcm256)];
        assert_eq!(order(&targets, 1), targets);
        let mut backwards = targets;
        backwards.reverse();
        assert_eq!(order(&targets, 2), backwards);
    }
}
