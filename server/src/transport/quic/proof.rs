//! What an address that has proved nothing may be sent: three times what came from it, to the byte (RFC 9000 §8.1). `quinn-proto`
//! lets a whole datagram out while any of that is left, which makes four times out of a first packet of 1201 bytes.

use std::time::{Duration, Instant};

use mvt_sys::steering::LONG_HEADER_ID_AT;
use quinn_proto::ConnectionId;

use crate::limits::QUIC_MOVES_PER_SECOND_MAX;

/// RFC 9000 §8.1.
const SENT_PER_RECEIVED_MAX: usize = 3;
/// First bit of a packet: a long header.
const LONG_HEADER_BIT: u8 = 0x80;

/// What may be sent to an address.
#[derive(Debug)]
pub(super) struct Allowance {
    bytes_left: usize,
}

impl Allowance {
    /// To one from which so much came.
    pub(super) const fn of(byte_count: usize) -> Self {
        Self { bytes_left: byte_count.saturating_mul(SENT_PER_RECEIVED_MAX) }
    }

    /// More came.
    pub(super) const fn note(&mut self, byte_count: usize) {
        self.bytes_left = self.bytes_left.saturating_add(byte_count.saturating_mul(SENT_PER_RECEIVED_MAX));
    }

    /// Whether so much may be sent now; it is, then.
    pub(super) const fn take(&mut self, byte_count: usize) -> bool {
        let left = self.bytes_left.checked_sub(byte_count);
        if let Some(left) = left {
            self.bytes_left = left;
        }
        left.is_some()
    }
}

/// What a client has us do for addresses that are nobody's yet, counted in the second that began then.
#[derive(Debug)]
pub(super) struct Rate {
    since: Instant,
    count: u32,
}

impl Rate {
    pub(super) const fn new(now: Instant) -> Self {
        Self { since: now, count: 0 }
    }

    /// Whether it may be done once more.
    pub(super) fn has_room(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            *self = Self::new(now);
        }
        self.count < QUIC_MOVES_PER_SECOND_MAX
    }

    pub(super) const fn note(&mut self) {
        self.count = self.count.saturating_add(1);
    }
}

/// An address from which a first packet came.
#[derive(Debug)]
pub(super) struct Unproved {
    /// The destination the client made up. It uses ours, which has 64 random bits, once it has read a packet of ours: that is proof.
    first_id: ConnectionId,
    allowance: Allowance,
}

impl Unproved {
    pub(super) fn new(first_id: ConnectionId, received_bytes: usize) -> Self {
        Self { first_id, allowance: Allowance::of(received_bytes) }
    }

    /// Takes note of packets that found their connection, `bytes` together; true when the first of them is a proof.
    pub(super) fn note(&mut self, bytes: &[u8]) -> bool {
        self.allowance.note(bytes.len());
        let is_long = bytes.first().is_some_and(|first| first & LONG_HEADER_BIT != 0);
        !is_long || !bytes.get(LONG_HEADER_ID_AT..).is_some_and(|rest| rest.starts_with(&self.first_id))
    }

    /// Whether so much may be sent now; it is, then.
    pub(super) const fn take(&mut self, byte_count: usize) -> bool {
        self.allowance.take(byte_count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_times_and_not_a_byte_more_until_our_own_name_comes_back() {
        let mut unproved = Unproved::new(ConnectionId::new(&[7; 8]), 1201);
        assert!(unproved.take(1200) && unproved.take(1200) && unproved.take(1200));
        assert!(!unproved.take(1200) && unproved.take(3) && !unproved.take(1));
        let again = [&[0xc0, 0, 0, 0, 1, 8][..], &[7; 8], &[0; 1186]].concat();
        assert!(!unproved.note(&again), "made up by the client");
        assert!(unproved.take(3600) && !unproved.take(1));
        let ours = [&[0xe0, 0, 0, 0, 1, 9][..], &[8; 9], &[0; 20]].concat();
        assert!(unproved.note(&ours));
        assert!(unproved.note(&[0x40; 30]), "short headers are found by names of ours alone");
    }
}
