//! Connection ids that name their shard, and the way of packets that arrive at another one.

use std::sync::Arc;

use mvt_sys::steering::{LONG_HEADER_ID_AT, SHORT_HEADER_ID_AT};
use quinn_proto::{ConnectionId, ConnectionIdGenerator, InvalidCid};

use crate::{
    counters::Counters,
    mailbox::{Mail, Mailbox, Packet},
    transport::quic::Arrival,
};

/// Bytes of a connection id: the shard, then 64 random bits, so that who knows it has read a packet of ours (RFC 9000 §8.1).
const ID_BYTES: usize = 9;
/// First bit of a packet: a long header.
const LONG_HEADER_BIT: u8 = 0x80;

/// Makes the connection ids of one shard.
#[derive(Debug)]
pub(super) struct ShardIds {
    pub(super) shard: u8,
}

impl ConnectionIdGenerator for ShardIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut bytes = [0; ID_BYTES];
        // As elsewhere: without randomness there is no going on.
        getrandom::fill(&mut bytes).expect("the operating system gives randomness");
        bytes[0] = self.shard;
        ConnectionId::new(&bytes)
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        if id.first() == Some(&self.shard) { Ok(()) } else { Err(InvalidCid) }
    }

    fn cid_len(&self) -> usize {
        ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        None
    }
}

/// Knows the shards of this node.
#[derive(Debug)]
pub struct Router {
    shard: usize,
    mailboxes: Arc<[Mailbox]>,
}

impl Router {
    /// For shard number `shard` of those with these mailboxes.
    #[must_use]
    pub const fn new(shard: usize, mailboxes: Arc<[Mailbox]>) -> Self {
        Self { shard, mailboxes }
    }

    pub(super) fn shard(&self) -> u8 {
        self.shard as u8
    }

    /// The shard whose connection `packet` is of, when it is another one. A byte that a client chose may name any shard; then
    /// that one takes the client in.
    pub(super) fn elsewhere(&self, packet: &[u8]) -> Option<usize> {
        let is_long = packet.first()? & LONG_HEADER_BIT != 0;
        let at = if is_long { LONG_HEADER_ID_AT } else { SHORT_HEADER_ID_AT };
        let owner = usize::from(*packet.get(at)?);
        (owner != self.shard && owner < self.mailboxes.len()).then_some(owner)
    }

    /// Hands a packet to its shard. A full mailbox drops it: as if it were lost on the way.
    pub(super) fn forward(&self, owner: usize, packet: Arrival<'_>, counters: &Counters) {
        let Arrival { remote, local_ip, ecn, bytes, .. } = packet;
        let mail =
            Mail::Packet(Packet { remote, local_ip, ecn: ecn.map(|ecn| ecn as u8), bytes: bytes.into() });
        match self.mailboxes[owner].post(mail) {
            Ok(()) => counters.quic_forwarded.add(1),
            Err(_) => counters.quic_forward_dropped.add(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_of_the_shard_its_connection_id_names() {
        let (mailboxes, _ends): (Vec<_>, Vec<_>) = (0..3).map(|_| Mailbox::new(3).expect("sockets")).unzip();
        let router = Router::new(1, mailboxes.into());
        let id = ShardIds { shard: 2 }.generate_cid();
        let short = [&[0x41][..], &id[..], &[0; 20]].concat();
        let long = [&[0xc3, 0, 0, 0, 1, 8][..], &id[..], &[0; 20]].concat();
        assert_eq!((router.elsewhere(&short), router.elsewhere(&long)), (Some(2), Some(2)));
        let ours = ShardIds { shard: 1 }.generate_cid();
        assert_eq!(router.elsewhere(&[&[0x41][..], &ours[..]].concat()), None);
        assert_eq!(router.elsewhere(&[0x41, 3]), None, "there is no shard 3");
        assert_eq!(router.elsewhere(&[0xc3, 0, 0, 0, 1, 0]), None, "no connection id at all");
        assert_eq!(router.elsewhere(&[]), None);
    }
}
