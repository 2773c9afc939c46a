//! What is sent.

mod answers;
mod bad;
mod payload;
mod popularity;

use mvt_proto::Suite;

pub use self::{
    answers::Answers,
    bad::{Bad, BadShares, percent, share_of_percent},
    payload::{Payload, PayloadError, Sizes},
    popularity::{Picker, Popularity},
};

/// The op of every request; servers that only verify ignore it.
pub const OP: u16 = 0;

/// What is sent, over how many connections and threads.
#[derive(Debug, Clone)]
pub struct Workload {
    /// TCP connections; at least `threads`.
    pub connections: usize,
    /// Sessions over all connections; at least `connections`.
    pub sessions: usize,
    /// Which session of its connection sends a request.
    pub popularity: Popularity,
    /// Requests that wait for their answer on each connection.
    pub in_flight: usize,
    /// Workers.
    pub threads: usize,
    /// The payload of the requests.
    pub payload: Payload,
    /// The only suite offered at login.
    pub suite: Suite,
    /// How requests are answered.
    pub answers: Answers,
    /// Frames that have to be refused, beside the requests.
    pub bad: BadShares,
    /// What is done anew while the run goes on.
    pub churn: Churn,
    /// Repeats the sizes, the sessions chosen and the bad frames.
    pub seed: u64,
}

/// What is done anew, each after so many requests.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Churn {
    /// A connection; its sessions go on.
    pub reconnect_every: Option<u64>,
    /// A session, by a login or a resume.
    pub login_every: Option<u64>,
    /// Of the sessions after the first, those that are resumed by a ticket, if there is one, 0 to 1.
    pub resume_share: f64,
}

impl Workload {
    /// The connections of worker `index`: they differ by one at most.
    #[must_use]
    pub const fn connections_of(&self, index: usize) -> usize {
        share(self.connections as u64, self.threads, index) as usize
    }

    /// The sessions of connection `of_all`.
    #[must_use]
    pub const fn sessions_of(&self, of_all: usize) -> usize {
        share(self.sessions as u64, self.connections, of_all) as usize
    }
}

/// The part of `whole` that is the `index`-th of `parts`; the parts differ by one at most.
#[must_use]
pub const fn share(whole: u64, parts: usize, index: usize) -> u64 {
    whole / parts as u64 + ((index as u64) < whole % parts as u64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_differ_by_one() {
        for whole in [0u64, 1, 7, 8, 100] {
            for parts in 1..9 {
                let shares: Vec<u64> = (0..parts).map(|index| share(whole, parts, index)).collect();
                assert_eq!(shares.iter().sum::<u64>(), whole);
                assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
            }
        }
    }
}
