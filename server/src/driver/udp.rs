//! The UDP socket of a shard's QUIC: packets in and out with as few system calls as the kernel allows (GRO, GSO).

use std::{
    io::{self, IoSliceMut},
    net::UdpSocket,
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use quinn_proto::EcnCodepoint;
use quinn_udp::{RecvMeta, UdpSocketState};

use crate::{
    limits::QUIC_SEGMENTS_MAX,
    mailbox::Packet,
    shard::{ConnectionId, Shard},
    transport::quic::{Arrival, Parts, Quic},
};

/// Buffers of one receive call.
const BUFFER_COUNT: usize = 8;
/// Bytes of one buffer: what the kernel joins at most.
const BUFFER_BYTES: usize = 64 * 1024;
/// Receive calls in one turn; what is left then makes the next turn come at once.
const RECEIVES_PER_TURN_MAX: usize = 4;
/// Transmissions in one turn; likewise.
const TRANSMITS_PER_TURN_MAX: usize = 256;
/// When to try again to send on a socket that was full.
const FULL_PAUSE: Duration = Duration::from_millis(1);

/// QUIC with its socket.
pub(super) struct QuicPort {
    quic: Quic,
    socket: UdpSocket,
    state: UdpSocketState,
    buffers: Vec<Box<[u8]>>,
    /// Packets that the socket did not take yet.
    unsent: Option<quinn_proto::Transmit>,
    packets: Vec<u8>,
    /// When there is something to do although nothing arrives.
    again_at: Option<Instant>,
}

impl QuicPort {
    /// # Errors
    /// The OS's, when the socket has not what QUIC needs.
    pub(super) fn new(socket: UdpSocket, parts: impl FnOnce(bool) -> Parts) -> io::Result<Self> {
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Self {
            quic: Quic::new(parts(!state.may_fragment())),
            socket,
            state,
            buffers: (0..BUFFER_COUNT).map(|_| vec![0; BUFFER_BYTES].into_boxed_slice()).collect(),
            unsent: None,
            packets: Vec::new(),
            again_at: None,
        })
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Reads what is there, within the bounds of a turn; true when there may be more.
    pub(super) fn receive(&mut self, now: Instant) -> bool {
        for _ in 0..RECEIVES_PER_TURN_MAX {
            let mut metas = [RecvMeta::default(); BUFFER_COUNT];
            let mut buffers = self.buffers.iter_mut();
            let mut slices: [IoSliceMut<'_>; BUFFER_COUNT] =
                std::array::from_fn(|_| IoSliceMut::new(buffers.next().expect("as many buffers")));
            let count = match self.state.recv((&self.socket).into(), &mut slices, &mut metas) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // An ICMP error of some peer, or a signal: no reason to stop.
                Err(_) => continue,
            };
            for (buffer, meta) in self.buffers.iter().zip(&metas[..count]) {
                self.quic.receive(
                    Arrival {
                        remote: meta.addr,
                        local_ip: meta.dst_ip,
                        ecn: meta.ecn.and_then(|ecn| EcnCodepoint::from_bits(ecn as u8)),
                        bytes: &buffer[..meta.len],
                        stride: meta.stride,
                    },
                    now,
                );
            }
        }
        true
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
    pub(super) fn settle(&mut self, shard: &mut Shard, now: Instant, now_ms: u64) {
        self.quic.settle(shard, now_ms);
        self.again_at = None;
        for _ in 0..TRANSMITS_PER_TURN_MAX {
            let segments_max = self.state.max_gso_segments().min(QUIC_SEGMENTS_MAX);
            let next = self.unsent.take();
            let next = next.or_else(|| self.quic.poll_transmit(now, segments_max, &mut self.packets));
            let Some(transmit) = next else { break };
            let sent = self.state.send(
                (&self.socket).into(),
                &quinn_udp::Transmit {
                    destination: transmit.destination,
                    ecn: transmit.ecn.and_then(|ecn| quinn_udp::EcnCodepoint::from_bits(ecn as u8)),
                    contents: &self.packets[..transmit.size],
                    segment_size: transmit.segment_size,
                    src_ip: transmit.src_ip,
                },
            );
            // Anything else is as if the packet were lost.
            if sent.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                self.unsent = Some(transmit);
                self.again_at = Some(now + FULL_PAUSE);
                break;
            }
        }
        if self.again_at.is_none() {
            self.again_at = if self.quic.has_work() { Some(now) } else { self.quic.deadline() };
        }
    }

    /// How long the driver may sleep; `None` is for ever.
    pub(super) fn patience(&self, now: Instant) -> Option<Duration> {
        self.again_at.map(|then| then.saturating_duration_since(now))
    }
}
