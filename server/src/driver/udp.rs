//! A UDP socket asked whether it is readable: packets in and out with as few system calls as the kernel allows.

use std::{
    io::{self, IoSliceMut},
    net::UdpSocket,
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use quinn_proto::{EcnCodepoint, Transmit};
use quinn_udp::{RecvMeta, UdpSocketState};
use rustix::io::Errno;

use crate::{
    counters::Counters,
    driver::quic_port::{Outlet, QuicPort},
    transport::quic::Arrival,
};

/// Buffers of one receive call.
const BUFFER_COUNT: usize = 8;
/// Bytes of one buffer: what the kernel joins at most.
const BUFFER_BYTES: usize = 64 * 1024;
/// Receive calls in one turn; what is left then makes the next turn come at once.
const RECEIVES_PER_TURN_MAX: usize = 4;
/// When to try again to send on a socket that was full.
const FULL_PAUSE: Duration = Duration::from_millis(1);

/// A socket with what it receives into and sends from.
pub(super) struct PacketSocket {
    socket: UdpSocket,
    state: UdpSocketState,
    counters: Arc<Counters>,
    buffers: Vec<Box<[u8]>>,
    packets: Vec<u8>,
    /// Whose packets the socket did not take yet.
    unsent: Option<Transmit>,
}

impl PacketSocket {
    pub(super) fn new(socket: UdpSocket, state: UdpSocketState, counters: Arc<Counters>) -> Self {
        Self {
            socket,
            state,
            counters,
            buffers: (0..BUFFER_COUNT).map(|_| vec![0; BUFFER_BYTES].into_boxed_slice()).collect(),
            packets: Vec::new(),
            unsent: None,
        }
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Reads what is there, within the bounds of a turn.
    pub(super) fn receive(&mut self, port: &mut QuicPort, now: Instant) {
        for _ in 0..RECEIVES_PER_TURN_MAX {
            let mut metas = [RecvMeta::default(); BUFFER_COUNT];
            let mut buffers = self.buffers.iter_mut();
            let mut slices: [IoSliceMut<'_>; BUFFER_COUNT] =
                std::array::from_fn(|_| IoSliceMut::new(buffers.next().expect("as many buffers")));
            let count = match self.state.recv((&self.socket).into(), &mut slices, &mut metas) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An ICMP error of some peer: no reason to stop.
                Err(_) => {
                    self.counters.quic_receive_failed.add(1);
                    continue;
                }
            };
            for (buffer, meta) in self.buffers.iter().zip(&metas[..count]) {
                port.receive(
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
    }

    /// Sends what `transmit` describes; false when the socket is full.
    fn try_send(&mut self, transmit: &Transmit) -> bool {
        let contents = &self.packets[..transmit.size];
        let sent = self.state.try_send(
            (&self.socket).into(),
            &quinn_udp::Transmit {
                destination: transmit.destination,
                ecn: transmit.ecn.and_then(|ecn| quinn_udp::EcnCodepoint::from_bits(ecn as u8)),
                contents,
                segment_size: transmit.segment_size,
                src_ip: transmit.src_ip,
            },
        );
        let Err(error) = sent else { return true };
        let is_full = error.kind() == io::ErrorKind::WouldBlock;
        match Errno::from_io_error(&error) {
            _ if is_full => self.counters.quic_sends_waited.add(1),
            Some(Errno::MSGSIZE) => self.counters.quic_too_large.add(1),
            _ => self.counters.quic_unsent.add(1),
        }
        !is_full
    }
}

impl Outlet for PacketSocket {
    fn segments_max(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn buffer(&mut self) -> Result<&mut Vec<u8>, Duration> {
        if let Some(unsent) = self.unsent.take()
            && !self.try_send(&unsent)
        {
            self.unsent = Some(unsent);
            return Err(FULL_PAUSE);
        }
        Ok(&mut self.packets)
    }

    fn send(&mut self, transmit: &Transmit) {
        if !self.try_send(transmit) {
            self.unsent = Some(Transmit { ..*transmit });
        }
    }
}
