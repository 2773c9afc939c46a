//! The QUIC of a shard as its driver turns it: when to look, and what to hand to whatever sends.

use std::{
    io,
    net::UdpSocket,
    time::{Duration, Instant},
};

use quinn_proto::{EcnCodepoint, Transmit};
use quinn_udp::UdpSocketState;

use crate::{
    limits::{QUIC_SEGMENTS_MAX, QUIC_TRANSMITS_PER_TURN_MAX},
    mailbox::Packet,
    shard::{ConnectionId, Shard},
    transport::quic::{Arrival, Quic, Seat},
};

/// What sends packets.
pub(super) trait Outlet {
    /// Packets that may be sent at once, of one size.
    fn segments_max(&self) -> usize;

    /// An empty buffer for the next packets, used again and again; `None` when nothing can be sent now, with when to try again
    /// at the latest.
    fn buffer(&mut self) -> Result<&mut Vec<u8>, Duration>;

    /// Sends what was written to the buffer. What cannot be sent is as if it were lost on the way.
    fn send(&mut self, transmit: &Transmit);
}

/// QUIC, without its socket.
pub(super) struct QuicPort {
    quic: Quic,
    /// When there is something to do although nothing arrives.
    again_at: Option<Instant>,
}

impl QuicPort {
    /// QUIC, and its socket, set up to tell of its packets what is wanted.
    ///
    /// # Errors
    /// The OS's, when the socket has not what QUIC needs.
    pub(super) fn open((socket, parts): Seat) -> io::Result<(Self, (UdpSocket, UdpSocketState))> {
        let state = UdpSocketState::new((&socket).into())?;
        let quic = Quic::new(parts(!state.may_fragment()));
        Ok((Self { quic, again_at: None }, (socket, state)))
    }

    pub(super) fn receive(&mut self, arrival: Arrival<'_>, now: Instant) {
        self.quic.receive(arrival, now);
    }

    pub(super) fn take_forwarded(&mut self, packet: &Packet, now: Instant) {
        let Packet { remote, local_ip, ecn, bytes } = packet;
        let ecn = ecn.and_then(EcnCodepoint::from_bits);
        let arrival = Arrival { remote: *remote, local_ip: *local_ip, ecn, bytes, stride: bytes.len() };
        self.quic.take(arrival, now);
    }

    /// Before the shard's turn.
    pub(super) fn ingest(&mut self, shard: &mut Shard, now: Instant, now_ms: u64) {
        self.quic.ingest(shard, now, now_ms);
    }

    /// After the shard's turn, before its dirty connections are looked at.
    pub(super) fn hang_up(&mut self, shard: &mut Shard, now_ms: u64) {
        self.quic.hang_up(shard, now_ms);
    }

    pub(super) fn note_dirty(&mut self, id: ConnectionId) {
        self.quic.note_dirty(id);
    }

    pub(super) fn abort(&mut self, id: ConnectionId, shard: &mut Shard, now: Instant) {
        self.quic.abort(id, shard, now);
    }

    pub(super) fn stop(&mut self) {
        self.quic.stop();
    }

    /// Sends everything there is to send, within the bounds of a turn.
    pub(super) fn settle(&mut self, outlet: &mut impl Outlet, shard: &mut Shard, now: Instant, now_ms: u64) {
        self.quic.settle(shard, now_ms);
        self.again_at = None;
        let segments_max = outlet.segments_max().min(QUIC_SEGMENTS_MAX);
        for _ in 0..QUIC_TRANSMITS_PER_TURN_MAX {
            match outlet.buffer() {
                Ok(buffer) => match self.quic.poll_transmit(now, segments_max, buffer) {
                    Some(transmit) => outlet.send(&transmit),
                    None => break,
                },
                Err(pause) => {
                    self.again_at = Some(now + pause);
                    return;
                }
            }
        }
        self.again_at = if self.quic.has_work() { Some(now) } else { self.quic.deadline() };
    }

    /// How long the driver may sleep; `None` is for ever.
    pub(super) fn patience(&self, now: Instant) -> Option<Duration> {
        self.again_at.map(|then| then.saturating_duration_since(now))
    }
}
