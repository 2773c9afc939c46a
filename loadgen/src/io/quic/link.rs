//! One QUIC connection: packets in, bytes out, and the other way round.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use bytes::{Bytes, BytesMut};
use mvt_congestion::packets;
use mvt_proto::constants::KEY_BYTES;
use quinn_proto::{
    Connection, ConnectionError, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event,
    StreamEvent, StreamId, Transmit, VarInt,
};

use super::{
    Buffers, CONNECT_TIMEOUT, Dialer, Way,
    port::{Arrival, Port},
    streams_each::Answers,
};
use crate::{
    clock::{Clock, nanoseconds},
    io::{Filled, inbox::Inbox},
    trouble::Trouble,
};

/// What logins are bound to (SPEC §17.2.3).
const EXPORTER: &[u8] = b"EXPORTER-MVT1";
/// TLS alerts by which a client refuses a certificate (RFC 8446, 6.2), as QUIC numbers them.
const CERTIFICATE_ALERTS: std::ops::RangeInclusive<u64> = 0x12a..=0x131;
/// Receive calls of one turn.
const RECEIVES_PER_TURN_MAX: usize = 4;

/// One connection on a socket of its own.
pub struct QuicLink {
    port: Port,
    endpoint: Endpoint,
    handle: ConnectionHandle,
    pub(super) quic: Connection,
    way: Way,
    clock: Clock,
    connect_until: Instant,
    /// What it is bound to, once its handshake is done.
    channel_binding: Option<[u8; KEY_BYTES]>,
    /// The stream of everything, or of logins.
    pub(super) stream: Option<StreamId>,
    /// Of the stream beside datagrams: received and not yet a whole frame.
    pub(super) rest: Vec<u8>,
    /// Of streams for one request each.
    pub(super) answers: Answers,
    /// Memory of packets in and datagrams out.
    pub(super) arena: BytesMut,
    /// The socket was full.
    is_full: bool,
    deadline_ns: Option<u64>,
}

impl std::fmt::Debug for QuicLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QuicLink").field("port", &self.port).field("way", &self.way).finish_non_exhaustive()
    }
}

impl QuicLink {
    /// Begins a connection; nothing is sent yet.
    pub(in crate::io) fn dial(server: SocketAddr, dialer: &Dialer, clock: Clock) -> io::Result<Self> {
        let now = Instant::now();
        let port = Port::connect(server)?;
        let mut config = EndpointConfig::default();
        packets::take_large(&mut config);
        let mut endpoint = Endpoint::new(Arc::new(config), None, !port.may_fragment(), None);
        let begun = endpoint.connect(now, dialer.config.clone(), server, &dialer.name);
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let (handle, quic) = begun.map_err(invalid)?;
        Ok(Self {
            port,
            endpoint,
            handle,
            quic,
            way: dialer.way,
            clock,
            connect_until: now + CONNECT_TIMEOUT,
            channel_binding: None,
            stream: None,
            rest: Vec::new(),
            answers: Answers::default(),
            arena: BytesMut::new(),
            is_full: false,
            deadline_ns: None,
        })
    }

    pub(in crate::io) fn socket(&mut self) -> &mut mio::net::UdpSocket {
        self.port.socket()
    }

    pub(in crate::io) fn local_ip(&self) -> io::Result<IpAddr> {
        self.port.local_ip()
    }

    /// `None` until the handshake is done.
    pub(in crate::io) const fn channel_binding(&self) -> Option<&[u8; KEY_BYTES]> {
        self.channel_binding.as_ref()
    }

    /// When it wants to be flushed although nothing happened.
    pub(in crate::io) const fn deadline_ns(&self) -> Option<u64> {
        self.deadline_ns
    }

    pub(in crate::io) fn rtt_ns(&self) -> u64 {
        nanoseconds(self.quic.rtt())
    }

    /// Takes in what arrived; whether there may be more, and whether the server has ended its direction.
    ///
    /// # Errors
    /// A [`Trouble`] when the connection is over.
    pub(in crate::io) fn fill(
        &mut self,
        buffers: &mut Buffers,
        inbox: &mut Inbox,
    ) -> io::Result<(bool, Filled)> {
        let now = Instant::now();
        let mut has_more = true;
        for _ in 0..RECEIVES_PER_TURN_MAX {
            let Self { port, endpoint, quic, arena, handle, .. } = self;
            let received =
                port.receive(buffers, |arrival| take(endpoint, *handle, quic, arena, &arrival, now));
            has_more = received.map_err(|error| self.meaning_of(&error))?;
            if !has_more {
                break;
            }
        }
        self.look()?;
        let before = inbox.bytes().len();
        let is_over = match self.way {
            Way::Stream => self.read_stream(inbox),
            Way::Datagrams => self.read_datagrams(inbox)?,
            Way::StreamEach { request_bytes } => self.read_answers(request_bytes, inbox)?,
        };
        let has_bytes = inbox.bytes().len() > before;
        let filled = match (has_bytes, is_over) {
            (true, _) => Filled::Bytes,
            (false, true) => Filled::Closed,
            (false, false) => Filled::Nothing,
        };
        Ok((has_more || is_over, filled))
    }

    /// Hands on what fits of `outbox` from `written` on, and sends every packet that is due; whether all of it left, or is in
    /// the hands of QUIC where it cannot be lost.
    ///
    /// # Errors
    /// A [`Trouble`] when the connection is over.
    pub(in crate::io) fn flush(&mut self, outbox: &[u8], written: &mut usize) -> io::Result<bool> {
        let now = Instant::now();
        if self.quic.is_handshaking() && now >= self.connect_until {
            return Err(Trouble::Unreachable.into());
        }
        if self.quic.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.quic.handle_timeout(now);
            self.look()?;
        }
        if self.channel_binding.is_some() {
            match self.way {
                Way::Stream => self.write_stream(outbox, written)?,
                Way::Datagrams => self.write_datagrams(outbox, written)?,
                Way::StreamEach { request_bytes } => self.write_requests(request_bytes, outbox, written)?,
            }
        }
        let Self { port, quic, .. } = self;
        self.is_full = !port.send(|segments_max, buffer| poll(quic, now, segments_max, buffer));
        self.look()?;
        let deadline = match self.quic.is_handshaking() {
            true => self.quic.poll_timeout().map(|deadline| deadline.min(self.connect_until)),
            false => self.quic.poll_timeout(),
        };
        let until = |deadline: Instant| nanoseconds(deadline.saturating_duration_since(now));
        self.deadline_ns = deadline.map(|deadline| self.clock.now_ns() + until(deadline));
        let is_waiting = self.way == Way::Datagrams && !self.are_datagrams_sent();
        Ok(*written == outbox.len() && !self.is_full && !is_waiting)
    }

    /// Tells the server that it is over; nothing waits for an answer.
    pub(in crate::io) fn close(&mut self) {
        let now = Instant::now();
        self.quic.close(now, VarInt::from_u32(0), Bytes::new());
        let Self { port, quic, .. } = self;
        port.send(|segments_max, buffer| poll(quic, now, segments_max, buffer));
    }

    /// What happened in QUIC.
    fn look(&mut self) -> io::Result<()> {
        while let Some(event) = self.quic.poll_endpoint_events() {
            if let Some(answer) = self.endpoint.handle_event(self.handle, event) {
                self.quic.handle_event(answer);
            }
        }
        while let Some(event) = self.quic.poll() {
            match event {
                Event::Connected => self.begin()?,
                Event::ConnectionLost { reason } => return Err(self.meaning_of_loss(&reason).into()),
                Event::Stream(StreamEvent::Readable { id }) => self.answers.note(id),
                // The server reads no more (SPEC §17.2.4).
                Event::Stream(StreamEvent::Stopped { .. }) => {
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
                Event::Stream(_) | Event::HandshakeDataReady => {}
                Event::DatagramReceived | Event::DatagramsUnblocked => {}
            }
        }
        Ok(())
    }

    /// The handshake is done.
    fn begin(&mut self) -> io::Result<()> {
        let mut binding = [0; KEY_BYTES];
        let exported = self.quic.crypto_session().export_keying_material(&mut binding, EXPORTER, &[]);
        exported.map_err(|_| Trouble::Unreachable)?;
        self.channel_binding = Some(binding);
        if !matches!(self.way, Way::StreamEach { .. }) {
            let stream = self.quic.streams().open(Dir::Bi);
            self.stream = Some(stream.ok_or(Trouble::Unreachable)?);
        }
        Ok(())
    }

    /// What a failed socket means: while there is no connection, that nobody listens there.
    fn meaning_of(&self, error: &io::Error) -> io::Error {
        if self.channel_binding.is_none() { Trouble::Unreachable.into() } else { error.kind().into() }
    }

    fn meaning_of_loss(&self, reason: &ConnectionError) -> Lost {
        match reason {
            ConnectionError::TransportError(error) if CERTIFICATE_ALERTS.contains(&u64::from(error.code)) => {
                Lost::Trouble(Trouble::Certificate)
            }
            _ if self.channel_binding.is_none() => Lost::Trouble(Trouble::Unreachable),
            _ => Lost::Closed,
        }
    }
}

/// Why a connection was lost.
enum Lost {
    Trouble(Trouble),
    /// By the server, or by time.
    Closed,
}

impl From<Lost> for io::Error {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Trouble(trouble) => trouble.into(),
            Lost::Closed => io::ErrorKind::ConnectionReset.into(),
        }
    }
}

/// The next packets, no more than the kernel takes at once.
fn poll(quic: &mut Connection, now: Instant, segments_max: usize, buffer: &mut Vec<u8>) -> Option<Transmit> {
    let segments_max = segments_max.min(packets::per_transmission(quic.current_mtu()));
    quic.poll_transmit(now, segments_max, buffer)
}

/// Hands packets to the connection.
fn take(
    endpoint: &mut Endpoint,
    handle: ConnectionHandle,
    quic: &mut Connection,
    arena: &mut BytesMut,
    arrival: &Arrival<'_>,
    now: Instant,
) {
    let mut response = Vec::new();
    for packet in arrival.bytes.chunks(arrival.stride) {
        arena.extend_from_slice(packet);
        let Arrival { remote, local_ip, ecn, .. } = *arrival;
        // A client answers no packet of a connection it does not know: what the endpoint would say is dropped.
        if let Some(DatagramEvent::ConnectionEvent(of, event)) =
            endpoint.handle(now, remote, local_ip, ecn, arena.split(), &mut response)
            && of == handle
        {
            quic.handle_event(event);
        }
    }
}
