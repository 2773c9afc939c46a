//! How this driver moves packets: by the ring, or by asking it whether the socket is readable where it cannot.

use std::{io, net::UdpSocket, sync::Arc, time::Duration};

use mvt_sys::uring::{Inbound, Outbound, Ring, Wait};
use quinn_proto::{EcnCodepoint, Transmit};
use quinn_udp::UdpSocketState;
use rustix::io::Errno;

use crate::{
    counters::Counters,
    driver::{
        quic_port::Outlet,
        udp::PacketSocket,
        uring::{
            Station,
            segments::{Refusal, Segments},
        },
    },
    transport::quic::Arrival,
};

/// Receives that fail one after another, beyond which the next one waits for a tick.
const FAILURES_MAX: u32 = 8;
/// Looks for more packets before a turn, while there are some.
const LOOKS_MAX: usize = 4;
/// Bytes of packets taken in for one turn; what a last look brings may be more.
const PACKETS_BYTES_MAX: usize = 512 * 1024;
/// When to look again at a full socket, at the latest: it says itself when it is not.
const FULL_PAUSE: Duration = Duration::from_millis(20);

/// The way of packets.
pub(super) enum Carrier {
    /// There is no QUIC.
    None,
    /// The ring receives and sends them.
    Ring(RingCarrier),
    /// The ring says when there is something to read.
    Socket(PacketSocket),
}

/// What is known of the socket that the ring has.
pub(super) struct RingCarrier {
    segments: Segments,
    /// Receives that failed since the last packet or tick.
    failure_count: u32,
    /// Bytes of packets that came for this turn.
    arrived_bytes: usize,
}

impl Carrier {
    /// For a socket that was set up, by the ring unless `is_watched`; what is left of it is the ring's.
    pub(super) fn new(
        socket: Option<(UdpSocket, UdpSocketState)>,
        is_watched: bool,
        counters: &Arc<Counters>,
    ) -> (Self, Option<UdpSocket>) {
        match socket {
            None => (Self::None, None),
            Some((socket, state)) if is_watched => {
                (Self::Socket(PacketSocket::new(socket, state, counters.clone())), None)
            }
            Some((socket, state)) => {
                let segments = Segments::new(state.max_gso_segments());
                let carrier = RingCarrier { segments, failure_count: 0, arrived_bytes: 0 };
                (Self::Ring(carrier), Some(socket))
            }
        }
    }
}

impl Station {
    /// Asks for packets, once a turn, when every buffer is back.
    pub(super) fn await_packets(&mut self) {
        if let Carrier::Ring(carrier) = &self.carrier
            && carrier.failure_count < FAILURES_MAX
        {
            self.ring.receive_packets();
        }
    }

    /// Looks again and again where packets came and more are there: those of many clients make one batch, and a batch costs less
    /// than its frames one by one. A look without anything to find is reading a flag.
    pub(super) fn take_more_packets(&mut self) -> io::Result<()> {
        for _ in 0..LOOKS_MAX {
            let Carrier::Ring(RingCarrier { arrived_bytes, .. }) = self.carrier else { return Ok(()) };
            if !(1..PACKETS_BYTES_MAX).contains(&arrived_bytes) || !self.ring.has_news() {
                break;
            }
            self.await_packets();
            self.ring.enter(Wait::Poll)?;
            if !self.ring.has_completions() {
                break;
            }
            self.take_completions();
        }
        if let Carrier::Ring(carrier) = &mut self.carrier {
            carrier.arrived_bytes = 0;
        }
        Ok(())
    }

    /// Asks to be told of packets.
    pub(super) fn watch_socket(&mut self) {
        if let Carrier::Socket(socket) = &self.carrier {
            self.ring.await_readable(socket.descriptor());
        }
    }

    /// Asked again while there may be more, the ring answers at once: other lines have their turn between.
    pub(super) fn read_socket(&mut self) {
        if let (Carrier::Socket(socket), Some(quic)) = (&mut self.carrier, &mut self.quic) {
            socket.receive(quic, self.now);
        }
        self.watch_socket();
    }

    pub(super) fn take_packets(&mut self, inbound: Inbound) {
        if let (Carrier::Ring(carrier), Some(quic)) = (&mut self.carrier, &mut self.quic) {
            carrier.failure_count = 0;
            let arrival = Arrival {
                remote: inbound.remote,
                local_ip: inbound.local_ip,
                ecn: EcnCodepoint::from_bits(inbound.ecn),
                bytes: self.ring.packets(&inbound),
                stride: inbound.stride,
            };
            carrier.arrived_bytes += arrival.bytes.len();
            quic.receive(arrival, self.now);
        }
        self.ring.recycle_packets(inbound);
    }

    pub(super) fn note_failed_receive(&mut self) {
        self.shard.counters().quic_receive_failed.add(1);
        if let Carrier::Ring(carrier) = &mut self.carrier {
            carrier.failure_count += 1;
        }
    }

    pub(super) fn note_unsent(&mut self, error: &io::Error, is_segmented: bool) {
        let counters = self.shard.counters();
        let refusal = Refusal::of(Errno::from_io_error(error), is_segmented);
        match refusal {
            Refusal::TooLarge => counters.quic_too_large.add(1),
            Refusal::NotCut | Refusal::Other => counters.quic_unsent.add(1),
        }
        if let Carrier::Ring(carrier) = &mut self.carrier
            && refusal == Refusal::NotCut
            && let Some(pause_ms) = carrier.segments.note_refused(self.now_ms)
        {
            tracing::warn!(%error, pause_ms, "the network does not cut packets apart: they are sent one by one");
        }
    }

    /// Every tick.
    pub(super) fn forgive_failures(&mut self) {
        if let Carrier::Ring(carrier) = &mut self.carrier {
            carrier.failure_count = 0;
            carrier.segments.pass(self.now_ms);
        }
    }

    pub(super) fn settle_packets(&mut self) {
        let Some(quic) = &mut self.quic else { return };
        match &mut self.carrier {
            Carrier::None => {}
            Carrier::Ring(RingCarrier { segments, .. }) => {
                let mut outlet = RingOutlet { ring: &mut self.ring, segments_max: segments.count_max() };
                quic.settle(&mut outlet, &mut self.shard, self.now, self.now_ms);
            }
            Carrier::Socket(socket) => quic.settle(socket, &mut self.shard, self.now, self.now_ms),
        }
    }
}

struct RingOutlet<'a> {
    ring: &'a mut Ring,
    segments_max: usize,
}

impl Outlet for RingOutlet<'_> {
    fn segments_max(&self) -> usize {
        self.segments_max
    }

    fn buffer(&mut self) -> Result<&mut Vec<u8>, Duration> {
        // Places that are only queued are free again after the next submission.
        let pause = if self.ring.is_full() { FULL_PAUSE } else { Duration::ZERO };
        self.ring.packet_buffer().ok_or(pause)
    }

    fn send(&mut self, transmit: &Transmit) {
        self.ring.send_packets(&Outbound {
            destination: transmit.destination,
            source: transmit.src_ip,
            ecn: transmit.ecn.map_or(0, |ecn| ecn as u8),
            segment_bytes: transmit.segment_size.and_then(|bytes| u16::try_from(bytes).ok()),
        });
    }
}
