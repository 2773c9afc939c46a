//! The UDP socket of one connection: packets in and out, many for each system call (GRO, GSO).

use std::{
    io::{self, IoSliceMut},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use mio::net::UdpSocket;
use quinn_proto::{EcnCodepoint, Transmit};
use quinn_udp::{RecvMeta, UdpSocketState};

/// Buffers of one receive call.
const BUFFER_COUNT: usize = 4;
/// Bytes of one buffer: what the kernel joins at most.
const BUFFER_BYTES: usize = 64 * 1024;
/// Packets the kernel splits for us in one call.
const SEGMENTS_MAX: usize = 32;

/// Where the packets of one worker's connections are received, one connection at a time.
#[derive(Debug, Default)]
pub struct Buffers(Vec<Box<[u8]>>);

/// Packets that arrived together.
pub(super) struct Arrival<'a> {
    pub(super) remote: SocketAddr,
    pub(super) local_ip: Option<IpAddr>,
    pub(super) ecn: Option<EcnCodepoint>,
    pub(super) bytes: &'a [u8],
    /// Bytes of each but the last.
    pub(super) stride: usize,
}

/// A connected socket, and packets it did not take.
#[derive(Debug)]
pub(super) struct Port {
    socket: UdpSocket,
    state: UdpSocketState,
    unsent: Option<Transmit>,
    packets: Vec<u8>,
}

impl Port {
    pub(super) fn connect(server: SocketAddr) -> io::Result<Self> {
        let local: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(local)?;
        // Connected, so that the kernel tells when nobody listens there.
        socket.connect(server)?;
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Self { socket, state, unsent: None, packets: Vec::new() })
    }

    pub(super) fn socket(&mut self) -> &mut UdpSocket {
        &mut self.socket
    }

    pub(super) fn local_ip(&self) -> io::Result<IpAddr> {
        Ok(self.socket.local_addr()?.ip())
    }

    /// Whether the kernel may fragment packets, so that no larger path can be looked for.
    pub(super) fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }

    /// One receive call; whether there may be more.
    pub(super) fn receive(
        &mut self,
        Buffers(buffers): &mut Buffers,
        mut each: impl FnMut(Arrival<'_>),
    ) -> io::Result<bool> {
        if buffers.is_empty() {
            buffers.resize_with(BUFFER_COUNT, || vec![0; BUFFER_BYTES].into_boxed_slice());
        }
        let mut metas = [RecvMeta::default(); BUFFER_COUNT];
        let mut rooms = buffers.iter_mut();
        let mut slices: [IoSliceMut<'_>; BUFFER_COUNT] =
            std::array::from_fn(|_| IoSliceMut::new(rooms.next().expect("as many buffers")));
        let count = match self.state.recv((&self.socket).into(), &mut slices, &mut metas) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error),
        };
        for (buffer, meta) in buffers.iter().zip(&metas[..count]) {
            each(Arrival {
                remote: meta.addr,
                local_ip: meta.dst_ip,
                ecn: meta.ecn.and_then(|ecn| EcnCodepoint::from_bits(ecn as u8)),
                bytes: &buffer[..meta.len],
                stride: meta.stride.max(1),
            });
        }
        Ok(count == BUFFER_COUNT)
    }

    /// Sends what `poll` gives until it gives nothing more; false when the socket is full before.
    pub(super) fn send(&mut self, mut poll: impl FnMut(usize, &mut Vec<u8>) -> Option<Transmit>) -> bool {
        let segments_max = self.state.max_gso_segments().min(SEGMENTS_MAX);
        loop {
            let next = match self.unsent.take() {
                Some(unsent) => Some(unsent),
                None => {
                    self.packets.clear();
                    poll(segments_max, &mut self.packets)
                }
            };
            let Some(transmit) = next else { return true };
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
            // Anything else is as if the packets were lost: QUIC notices.
            if sent.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                self.unsent = Some(transmit);
                return false;
            }
        }
    }
}
