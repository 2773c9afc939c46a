//! Logins that were refused, by address: an address of which too many are is told to wait, before the next costs two key
//! agreements.

use std::{
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{handshakes::queue::host_of, limits::LOGIN_FAILURES_PER_SECOND_MAX};

/// Addresses that share one share its count; nobody can choose with whom (the hash is keyed).
const LINE_COUNT: usize = 1024;
/// Bits of the count; those above them are the second it is of.
const COUNT_BITS: u32 = 24;

/// Refusals in the second that lasts.
#[derive(Debug)]
pub(super) struct Failures {
    hash: RandomState,
    lines: Box<[AtomicU64]>,
}

impl Failures {
    pub(super) fn new() -> Self {
        Self { hash: RandomState::new(), lines: (0..LINE_COUNT).map(|_| AtomicU64::new(0)).collect() }
    }

    fn line_of(&self, peer: SocketAddr) -> &AtomicU64 {
        &self.lines[self.hash.hash_one(host_of(peer)) as usize % LINE_COUNT]
    }

    /// A login of `peer` was refused. Two threads at one instant may count it once: the bound is none to the unit.
    pub(super) fn note(&self, peer: SocketAddr, now_ms: u64) {
        let line = self.line_of(peer);
        let (second, seen) = (now_ms / 1000, line.load(Ordering::Relaxed));
        let count = if seen >> COUNT_BITS == second { seen + 1 } else { second << COUNT_BITS | 1 };
        line.store(count, Ordering::Relaxed);
    }

    /// Whether the next of `peer` is to wait.
    pub(super) fn are_too_many(&self, peer: SocketAddr, now_ms: u64) -> bool {
        let seen = self.line_of(peer).load(Ordering::Relaxed);
        let count = seen & ((1 << COUNT_BITS) - 1);
        seen >> COUNT_BITS == now_ms / 1000 && count >= LOGIN_FAILURES_PER_SECOND_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_of_one_address_are_told_to_wait_until_the_next_second_and_no_other_is() {
        let failures = Failures::new();
        let peer = |last: u8| SocketAddr::from(([192, 0, 2, last], 7));
        for _ in 0..LOGIN_FAILURES_PER_SECOND_MAX {
            assert!(!failures.are_too_many(peer(1), 5_999));
            failures.note(peer(1), 5_000);
        }
        assert!(failures.are_too_many(peer(1), 5_999));
        assert!(failures.are_too_many(SocketAddr::from(([192, 0, 2, 1], 8)), 5_999), "by whatever port");
        let others = (2..=255).filter(|last| failures.are_too_many(peer(*last), 5_999)).count();
        assert!(others < 16, "{others} of 254 share its place; a quarter of one is to be expected");
        assert!(!failures.are_too_many(peer(1), 6_000));
        failures.note(peer(1), 6_000);
        assert!(!failures.are_too_many(peer(1), 6_001), "counted anew");
    }
}
