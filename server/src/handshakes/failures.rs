//! Logins that were refused, by address: an address or a prefix of which too many are is told to wait, before the next costs two key
//! agreements.

use std::{
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    handshakes::queue::{host_of, prefix_of},
    limits::{LOGIN_FAILURES_OF_ADDRESS_MAX, LOGIN_FAILURES_OF_PREFIX_MAX},
};

/// Those that share one share its count; nobody can choose with whom (the hash is keyed).
const LINE_COUNT: usize = 1024;
/// Bits of the count; those above them are the second it is of.
const COUNT_BITS: u32 = 24;

/// Refusals in the second that lasts.
#[derive(Debug)]
pub(super) struct Failures {
    addresses: Counts,
    prefixes: Counts,
}

impl Failures {
    pub(super) fn new() -> Self {
        Self {
            addresses: Counts::new(LOGIN_FAILURES_OF_ADDRESS_MAX),
            prefixes: Counts::new(LOGIN_FAILURES_OF_PREFIX_MAX),
        }
    }

    /// A login of `peer` was refused.
    pub(super) fn note(&self, peer: SocketAddr, now_ms: u64) {
        // What had begun before an address was told to wait may be many; of what its neighbours have it takes its part and no more.
        if !self.addresses.are_too_many(host_of(peer), now_ms) {
            self.prefixes.note(prefix_of(peer), now_ms);
        }
        self.addresses.note(host_of(peer), now_ms);
    }

    /// Whether the next of `peer` is to wait.
    pub(super) fn are_too_many(&self, peer: SocketAddr, now_ms: u64) -> bool {
        self.addresses.are_too_many(host_of(peer), now_ms)
            || self.prefixes.are_too_many(prefix_of(peer), now_ms)
    }
}

/// One for each line of names.
#[derive(Debug)]
struct Counts {
    most: u64,
    hash: RandomState,
    lines: Box<[AtomicU64]>,
}

impl Counts {
    fn new(most: u64) -> Self {
        Self { most, hash: RandomState::new(), lines: (0..LINE_COUNT).map(|_| AtomicU64::new(0)).collect() }
    }

    fn line_of(&self, name: u64) -> &AtomicU64 {
        &self.lines[self.hash.hash_one(name) as usize % LINE_COUNT]
    }

    /// Two threads at one instant may count it once: the bound is none to the unit.
    fn note(&self, name: u64, now_ms: u64) {
        let line = self.line_of(name);
        let (second, seen) = (now_ms / 1000, line.load(Ordering::Relaxed));
        let count = if seen >> COUNT_BITS == second { seen + 1 } else { second << COUNT_BITS | 1 };
        line.store(count, Ordering::Relaxed);
    }

    fn are_too_many(&self, name: u64, now_ms: u64) -> bool {
        let seen = self.line_of(name).load(Ordering::Relaxed);
        let count = seen & ((1 << COUNT_BITS) - 1);
        seen >> COUNT_BITS == now_ms / 1000 && count >= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_of_one_address_are_told_to_wait_until_the_next_second_and_no_other_is() {
        let failures = Failures::new();
        let peer = |last: u8| SocketAddr::from(([192, 0, 2, last], 7));
        for _ in 0..LOGIN_FAILURES_OF_ADDRESS_MAX {
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

    /// As many as were queued before the first of them failed.
    #[test]
    fn however_many_of_one_address_fail_its_neighbours_go_on() {
        let failures = Failures::new();
        let peer = |last: u8| SocketAddr::from(([192, 0, 2, last], 7));
        (0..10 * LOGIN_FAILURES_OF_PREFIX_MAX).for_each(|_| failures.note(peer(1), 5_000));
        let waiting = (2..=255).filter(|last| failures.are_too_many(peer(*last), 5_999)).count();
        assert!(waiting < 16, "{waiting} of 254 share its place; a quarter of one is to be expected");
    }

    #[test]
    fn too_many_of_one_prefix_have_all_of_it_wait_and_no_other() {
        let failures = Failures::new();
        let peer = |net: u8, last: u64| SocketAddr::from(([192, 0, net, last as u8], 7));
        for last in 0..LOGIN_FAILURES_OF_PREFIX_MAX {
            assert!(!failures.are_too_many(peer(2, 255), 5_999));
            failures.note(peer(2, last), 5_000);
        }
        assert!(failures.are_too_many(peer(2, 255), 5_999), "though nothing of it failed");
        let others = (3..=255).filter(|net| failures.are_too_many(peer(*net, 1), 5_999)).count();
        assert!(others < 16, "{others} of 253 share its place; a quarter of one is to be expected");
        let of_v6 = |net: u16| SocketAddr::from(([0x2001, 0xdb8, 1, net, 0, 0, 0, 1], 7));
        (0..LOGIN_FAILURES_OF_PREFIX_MAX).for_each(|net| failures.note(of_v6(net as u16), 7_000));
        assert!(failures.are_too_many(of_v6(999), 7_000), "of one site");
    }
}
