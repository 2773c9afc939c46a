//! A QUIC client and a shard's QUIC without sockets between them: every packet is handed over by hand, at a time of its own.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use mvt_server::{
    handshakes::HandshakePool,
    transport::quic::{Arrival, Parameters, Parts, Quic, Router, certificate::Certificate},
};
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event,
    StreamId, TransportConfig, crypto::rustls::QuicClientConfig,
};

use crate::{
    rig::{ORIGIN_MS, Rig, secret},
    support::quic::tls_config,
};

/// As the driver sends.
const SEGMENTS: usize = 32;

/// What the server spent.
#[derive(Debug, Default, Clone, Copy)]
pub struct Spent {
    /// Packets it got and sent.
    pub packets: u64,
    pub allocations: u64,
    pub bytes: u64,
    pub turns: u64,
}

impl std::fmt::Display for Spent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { packets, allocations, bytes, turns } = self;
        let each = *allocations as f64 / *packets as f64;
        write!(
            f,
            "{allocations} allocations of {bytes} bytes in all for {packets} packets in {turns} turns: {each:.3} each"
        )
    }
}

pub struct Pair {
    server: Quic,
    endpoint: Endpoint,
    handle: ConnectionHandle,
    client: Connection,
    stream: Option<StreamId>,
    now: Instant,
    addresses: [SocketAddr; 2],
    /// Written to by the server, as by a driver.
    buffer: Vec<u8>,
    pub spent: Spent,
}

impl Pair {
    /// Connected, with one stream open.
    pub fn connect(rig: &mut Rig) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let certificate = Certificate::load_or_make(&at("quic.crt"), &at("quic.key")).expect("made");
        let idle = Duration::from_secs(600);
        let clock = Arc::new(quinn_proto::StdSystemTime);
        let parameters = Parameters::new(certificate, &secret(9), idle, clock).expect("good parameters");
        let server = Quic::new(Parts {
            parameters: Arc::new(parameters),
            router: Router::new(0, rig.mailboxes.clone()),
            counters: rig.counters.clone(),
            handshakes: Arc::new(HandshakePool::new(8, ORIGIN_MS).expect("randomness")),
            connections_max: 10,
            may_probe_path: true,
        });
        let tls = QuicClientConfig::try_from(tls_config(b"mvt1")).expect("a suite");
        let mut config = ClientConfig::new(Arc::new(tls));
        config.transport_config(Arc::new(TransportConfig::default()));
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, true, None);
        let now = Instant::now();
        let addresses = [([127, 0, 0, 1], 1111).into(), ([127, 0, 0, 1], 2222).into()];
        let (handle, client) = endpoint.connect(now, config, addresses[1], "mvt").expect("started");
        let mut pair = Self {
            server,
            endpoint,
            handle,
            client,
            stream: None,
            now,
            addresses,
            buffer: Vec::new(),
            spent: Spent::default(),
        };
        pair.settle(rig);
        assert!(!pair.client.is_handshaking(), "connected");
        pair.stream = pair.client.streams().open(Dir::Bi);
        pair
    }

    pub fn send_datagram(&mut self, frames: Vec<u8>) {
        self.client.datagrams().send(frames.into(), false).expect("room");
    }

    pub fn write_stream(&mut self, bytes: &[u8]) {
        let stream = self.stream.expect("open");
        let written = self.client.send_stream(stream).write(bytes).expect("room");
        assert_eq!(written, bytes.len(), "the window is larger");
    }

    /// Hands packets to and fro until nobody has anything to send; the clock goes on by a millisecond each time.
    pub fn settle(&mut self, rig: &mut Rig) {
        for quiet in 0.. {
            self.now += Duration::from_millis(1);
            let sent = self.client_sends();
            let answers = self.turn(rig, &sent);
            self.client_receives(&answers);
            // Long enough for a delayed acknowledgement.
            if sent.is_empty() && answers.is_empty() && quiet > 60 {
                return;
            }
            assert!(quiet < 10_000, "it comes to an end");
        }
    }

    fn client_sends(&mut self) -> Vec<(Vec<u8>, usize)> {
        let mut sent = Vec::new();
        if self.client.poll_timeout().is_some_and(|then| then <= self.now) {
            self.client.handle_timeout(self.now);
        }
        loop {
            let mut buffer = Vec::new();
            let Some(transmit) = self.client.poll_transmit(self.now, 10, &mut buffer) else { return sent };
            sent.push((buffer, transmit.segment_size.unwrap_or(transmit.size)));
        }
    }

    /// A turn of the driver: what it allocates is counted.
    fn turn(&mut self, rig: &mut Rig, trains: &[(Vec<u8>, usize)]) -> Vec<Vec<u8>> {
        let mut answers = Vec::new();
        let now = self.now;
        let counted = allocation_counter::measure(|| {
            for (bytes, stride) in trains {
                let arrival = Arrival {
                    remote: self.addresses[0],
                    local_ip: Some(self.addresses[1].ip()),
                    ecn: None,
                    bytes,
                    stride: *stride,
                };
                self.server.receive(arrival, now);
            }
            self.server.ingest(&mut rig.shard, now, ORIGIN_MS + 10);
            rig.shard.turn(ORIGIN_MS + 10);
            self.server.hang_up(&mut rig.shard, ORIGIN_MS + 10);
            while let Some(id) = rig.shard.next_dirty() {
                self.server.note_dirty(id);
            }
            self.server.settle(&mut rig.shard, ORIGIN_MS + 10);
        });
        self.spent.allocations += counted.count_total;
        self.spent.bytes += counted.bytes_total;
        loop {
            let mut sent = None;
            let counted = allocation_counter::measure(|| {
                sent = self.server.poll_transmit(now, SEGMENTS, &mut self.buffer);
            });
            self.spent.allocations += counted.count_total;
            self.spent.bytes += counted.bytes_total;
            let Some(transmit) = sent else { break };
            let stride = transmit.segment_size.unwrap_or(transmit.size);
            answers.extend(self.buffer.chunks(stride).map(<[u8]>::to_vec));
        }
        let received: usize = trains.iter().map(|(bytes, stride)| bytes.len().div_ceil(*stride)).sum();
        self.spent.packets += (received + answers.len()) as u64;
        self.spent.turns += 1;
        answers
    }

    fn client_receives(&mut self, packets: &[Vec<u8>]) {
        for packet in packets {
            let [_, server] = self.addresses;
            let bytes = BytesMut::from(&packet[..]);
            let event = self.endpoint.handle(self.now, server, None, None, bytes, &mut Vec::new());
            if let Some(DatagramEvent::ConnectionEvent(_, event)) = event {
                self.client.handle_event(event);
            }
        }
        while let Some(event) = self.client.poll_endpoint_events() {
            if let Some(answer) = self.endpoint.handle_event(self.handle, event) {
                self.client.handle_event(answer);
            }
        }
        while let Some(event) = self.client.poll() {
            assert!(!matches!(event, Event::ConnectionLost { .. }), "{event:?}");
        }
        while self.client.datagrams().recv().is_some() {}
        if let Some(stream) = self.stream {
            let mut receive = self.client.recv_stream(stream);
            if let Ok(mut chunks) = receive.read(true) {
                while let Ok(Some(_)) = chunks.next(usize::MAX) {}
                let _ = chunks.finalize();
            }
        }
    }
}
