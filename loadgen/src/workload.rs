//! What is sent.

use mvt_proto::Suite;

/// The op of every request; servers that only verify ignore it.
pub const OP: u16 = 0;

/// What is sent, over how many connections and threads.
#[derive(Debug, Clone)]
pub struct Workload {
    /// TCP connections, one session each at a time; at least `threads`.
    pub connections: usize,
    /// Requests that wait for their answer on each connection.
    pub in_flight: usize,
    /// Workers.
    pub threads: usize,
    /// The payload of every request, 0 to 16384 bytes.
    pub payload: Vec<u8>,
    /// The only suite offered at login.
    pub suite: Suite,
}

impl Workload {
    /// A payload of this many bytes: a pattern, so that a byte in the wrong place shows.
    #[must_use]
    pub fn payload_of(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|index| (index % 251) as u8).collect()
    }

    /// The connections of worker `index`: they differ by one at most.
    #[must_use]
    pub const fn connections_of(&self, index: usize) -> usize {
        share(self.connections as u64, self.threads, index) as usize
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
