//! A shard with QUIC, without sockets: every packet is handed over by hand, in turns, at a time of its own.
#![allow(dead_code)] // each user of it uses its part

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use bytes::BytesMut;
use mvt_congestion::packets;
use mvt_proto::{Limits, Suite, session::ClientSession};
use mvt_server::{
    handshakes::HandshakePool,
    service::ServiceKind,
    shard::ConnectionId,
    transport::quic::{Arrival, Parameters, Parts, Quic, Router, certificate::Certificate},
};
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Endpoint, EndpointConfig, TimeSource,
    TransportConfig,
};

use crate::{
    rig::{ORIGIN_MS, Rig, secret},
    support::quic::client_config,
};

const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 7440);

/// A client of QUIC without a socket.
pub struct Client {
    pub address: SocketAddr,
    /// The name that the server gave its end, once it has said something.
    pub server_id: Vec<u8>,
    endpoint: Endpoint,
    handle: ConnectionHandle,
    pub connection: Connection,
}

impl Client {
    pub fn new(number: u16, config: &ClientConfig, now: Instant) -> Self {
        let mut kind = EndpointConfig::default();
        packets::take_large(&mut kind);
        let mut endpoint = Endpoint::new(Arc::new(kind), None, false, None);
        let (handle, connection) =
            endpoint.connect(now, config.clone(), SERVER.into(), "mvt").expect("started");
        let address = ([127, 0, 0, 2], number).into();
        Self { address, server_id: Vec::new(), endpoint, handle, connection }
    }

    /// What it sends now, a packet at a time.
    pub fn packets(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        let mut packet = Vec::new();
        while self.connection.poll_transmit(now, 1, &mut packet).is_some() {
            packets.push(std::mem::take(&mut packet));
        }
        packets
    }

    /// Takes note that it is `now`.
    pub fn pass(&mut self, now: Instant) {
        if self.connection.poll_timeout().is_some_and(|then| then <= now) {
            self.connection.handle_timeout(now);
        }
    }

    pub fn take(&mut self, packet: &[u8], now: Instant) {
        if packet[0] & 0x80 != 0 && self.server_id.is_empty() {
            let at = 6 + usize::from(packet[5]);
            self.server_id = packet[at + 1..][..usize::from(packet[at])].to_vec();
        }
        let mut response = Vec::new();
        let packet = BytesMut::from(packet);
        if let Some(DatagramEvent::ConnectionEvent(_, event)) =
            self.endpoint.handle(now, SERVER.into(), None, None, packet, &mut response)
        {
            self.connection.handle_event(event);
        }
        while let Some(event) = self.connection.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(self.handle, event) {
                self.connection.handle_event(event);
            }
        }
    }
}

/// The wall clock of a house: as long after the epoch as the house is old, ms.
#[derive(Debug, Default)]
struct Wall(AtomicU64);

impl TimeSource for Wall {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// A shard with QUIC, and a session that is used over TCP meanwhile.
pub struct House {
    pub rig: Rig,
    pub quic: Quic,
    tcp: ConnectionId,
    session: ClientSession,
    pub config: ClientConfig,
    pub now: Instant,
    built: Instant,
    wall: Arc<Wall>,
    pub answered: u64,
}

impl House {
    /// Whose packets stay as small as they begin.
    pub fn new() -> Self {
        Self::with(false)
    }

    /// That looks for larger paths, if it may.
    pub fn with(may_probe_path: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, key) = (folder.path().join("quic.crt"), folder.path().join("quic.key"));
        let certificate = Certificate::load_or_make(&file, &key).expect("made");
        let (idle, wall) = (Duration::from_secs(30), Arc::new(Wall::default()));
        let parameters = Parameters::new(certificate, &secret(9), idle, wall.clone()).expect("good");
        let mut rig = Rig::new(ServiceKind::Verdict, Limits::DEFAULT, 8, 1);
        let quic = Quic::new(Parts {
            parameters: Arc::new(parameters),
            router: Router::new(0, rig.mailboxes.clone()),
            counters: rig.counters.clone(),
            handshakes: Arc::new(HandshakePool::new(64, ORIGIN_MS).expect("randomness")),
            connections_max: 1000,
            may_probe_path,
        });
        let session = rig.sessions(1, Suite::Hs256, Limits::DEFAULT).remove(0);
        let tcp = rig.connect(1, ORIGIN_MS);
        let config = client_config(b"mvt1", TransportConfig::default());
        let now = Instant::now();
        Self { rig, quic, tcp, session, config, now, built: now, wall, answered: 0 }
    }

    /// Packets that arrive joined.
    pub fn receive(&mut self, remote: SocketAddr, bytes: &[u8], stride: usize) {
        self.wall.0.store((self.now - self.built).as_millis() as u64, Ordering::Relaxed);
        self.quic.receive(Arrival { remote, local_ip: None, ecn: None, bytes, stride }, self.now);
    }

    /// Hands packets to and fro between the shard and one client until neither has anything to send.
    pub fn settle(&mut self, client: &mut Client) {
        let mut arrivals = Vec::new();
        for quiet in 0..1000 {
            let sent = self.turn(&arrivals);
            let address = client.address;
            for (_, packet) in sent.iter().filter(|(to, _)| *to == address) {
                client.take(packet, self.now);
            }
            let packets = client.packets(self.now).into_iter();
            arrivals = packets.map(|packet| (client.address, packet)).collect();
            if arrivals.is_empty() && sent.is_empty() && !self.quic.has_work() && quiet > 2 {
                return;
            }
        }
        panic!("it comes to an end");
    }

    /// A client that is connected.
    pub fn connected(&mut self, number: u16, transport: TransportConfig) -> Client {
        let mut client = Client::new(number, &client_config(b"mvt1", transport), self.now);
        self.settle(&mut client);
        assert!(!client.connection.is_handshaking() && !client.connection.is_closed(), "connected");
        client
    }

    /// One turn: these packets and one request arrive; gives the packets to send.
    pub fn turn(&mut self, arrivals: &[(SocketAddr, Vec<u8>)]) -> Vec<(SocketAddr, Vec<u8>)> {
        for (remote, packet) in arrivals {
            self.receive(*remote, packet, packet.len());
        }
        let Self { rig, quic, .. } = self;
        let mut frame = Vec::new();
        self.session.seal_request(1, b"established", ORIGIN_MS, &mut frame).expect("sealable");
        quic.ingest(&mut rig.shard, self.now, ORIGIN_MS);
        rig.shard.ingest(self.tcp, &frame, ORIGIN_MS);
        rig.shard.turn(ORIGIN_MS);
        quic.hang_up(&mut rig.shard, ORIGIN_MS);
        while let Some(id) = rig.shard.next_dirty() {
            quic.note_dirty(id);
        }
        quic.settle(&mut rig.shard, ORIGIN_MS);
        self.answered += u64::from(!rig.output(self.tcp, ORIGIN_MS).0.is_empty());
        let mut sent = Vec::new();
        let mut packet = Vec::new();
        while let Some(transmit) = quic.poll_transmit(self.now, 1, &mut packet) {
            sent.push((transmit.destination, packet[..transmit.size].to_vec()));
        }
        sent
    }

    /// Clients, and what they send first.
    pub fn burst(&self, count: usize) -> (Vec<Client>, Vec<(SocketAddr, Vec<u8>)>) {
        let mut clients: Vec<_> =
            (0..count).map(|number| Client::new(number as u16 + 1, &self.config, self.now)).collect();
        let first = clients.iter_mut().flat_map(|client| {
            let address = client.address;
            client.packets(self.now).into_iter().map(move |packet| (address, packet))
        });
        let first = first.collect();
        (clients, first)
    }

    pub fn counted(&self, name: &str) -> u64 {
        let mut rows = self.rig.counters.events();
        rows.find(|(row, _)| *row == name).map_or(0, |(_, count)| count)
    }
}
