//! What handshakes of QUIC may take of a shard's turns: counted, without sockets and without a clock.

#[path = "support/rig.rs"]
mod rig;

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use mvt_proto::{Limits, Suite, session::ClientSession};
use mvt_server::{
    handshakes::HandshakePool,
    limits::{HANDSHAKES_PER_TURN_MAX, HANDSHAKES_UNPROVED_MAX},
    service::ServiceKind,
    shard::ConnectionId,
    transport::quic::{Arrival, Parameters, Parts, Quic, Router, certificate::Certificate},
};
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Endpoint, EndpointConfig,
    crypto::rustls::QuicClientConfig,
};
use rig::{ORIGIN_MS, Rig, secret};
use rustls::pki_types::{CertificateDer, pem::PemObject};

const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 7440);

/// A client of QUIC without a socket.
struct Client {
    address: SocketAddr,
    endpoint: Endpoint,
    handle: ConnectionHandle,
    connection: Connection,
}

impl Client {
    fn new(number: u16, config: &ClientConfig, now: Instant) -> Self {
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, false, None);
        let (handle, connection) =
            endpoint.connect(now, config.clone(), SERVER.into(), "mvt").expect("started");
        Self { address: ([127, 0, 0, 2], number).into(), endpoint, handle, connection }
    }

    /// What it sends now, a packet at a time.
    fn packets(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        let mut packet = Vec::new();
        while self.connection.poll_transmit(now, 1, &mut packet).is_some() {
            packets.push(std::mem::take(&mut packet));
        }
        packets
    }

    fn take(&mut self, packet: &[u8], now: Instant) {
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

/// A shard with QUIC, and a session that is used over TCP meanwhile.
struct House {
    rig: Rig,
    quic: Quic,
    tcp: ConnectionId,
    session: ClientSession,
    config: ClientConfig,
    now: Instant,
    answered: u64,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, key) = (folder.path().join("quic.crt"), folder.path().join("quic.key"));
        let certificate = Certificate::load_or_make(&file, &key).expect("made");
        let parameters = Parameters::new(certificate, &secret(9), Duration::from_secs(30)).expect("good");
        let mut rig = Rig::new(ServiceKind::Verdict, Limits::DEFAULT, 8, 1);
        let quic = Quic::new(Parts {
            parameters: Arc::new(parameters),
            router: Router::new(0, rig.mailboxes.clone()),
            counters: rig.counters.clone(),
            handshakes: Arc::new(HandshakePool::new(64, ORIGIN_MS).expect("randomness")),
            connections_max: 1000,
            may_probe_path: false,
        });
        let session = rig.sessions(1, Suite::Hs256, Limits::DEFAULT).remove(0);
        let tcp = rig.connect(1, ORIGIN_MS);
        let config = client_config(&file);
        Self { rig, quic, tcp, session, config, now: Instant::now(), answered: 0 }
    }

    /// One turn: these packets and one request arrive; gives the packets to send.
    fn turn(&mut self, arrivals: &[(SocketAddr, Vec<u8>)]) -> Vec<(SocketAddr, Vec<u8>)> {
        let Self { rig, quic, .. } = self;
        for (remote, packet) in arrivals {
            let (remote, stride) = (*remote, packet.len());
            quic.receive(Arrival { remote, local_ip: None, ecn: None, bytes: packet, stride }, self.now);
        }
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
    fn burst(&self, count: usize) -> (Vec<Client>, Vec<(SocketAddr, Vec<u8>)>) {
        let mut clients: Vec<_> =
            (0..count).map(|number| Client::new(number as u16 + 1, &self.config, self.now)).collect();
        let first = clients.iter_mut().flat_map(|client| {
            let address = client.address;
            client.packets(self.now).into_iter().map(move |packet| (address, packet))
        });
        let first = first.collect();
        (clients, first)
    }

    fn counted(&self, name: &str) -> u64 {
        let mut rows = self.rig.counters.events();
        rows.find(|(row, _)| *row == name).map_or(0, |(_, count)| count)
    }
}

/// Trusts the one certificate there is.
fn client_config(file: &std::path::Path) -> ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file).expect("a certificate")).expect("a root");
    let mut tls =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
    tls.alpn_protocols = vec![b"mvt1".to_vec()];
    ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).expect("a suite")))
}

/// However many clients begin at once, a turn begins few handshakes, and what is established is answered in every one of them.
#[test]
fn a_burst_of_handshakes_takes_a_bounded_part_of_each_turn() {
    let mut house = House::new();
    let (mut clients, mut arrivals) = house.burst(HANDSHAKES_UNPROVED_MAX);
    let mut begun = BTreeSet::new();
    let mut turns = 0;
    let mut last = Vec::new();
    while begun.len() < clients.len() {
        let sent = house.turn(&std::mem::take(&mut arrivals));
        turns += 1;
        assert!(turns <= clients.len(), "every turn begins one at least");
        assert_eq!(house.answered, turns as u64, "the request of every turn is answered in it");
        let before = begun.len();
        begun.extend(sent.iter().map(|(address, _)| *address));
        assert!(begun.len() - before <= HANDSHAKES_PER_TURN_MAX, "{} in turn {turns}", begun.len() - before);
        assert_eq!(house.quic.has_work(), begun.len() < clients.len(), "the driver comes back at once");
        last.extend(sent);
    }
    assert_eq!(turns, clients.len().div_ceil(HANDSHAKES_PER_TURN_MAX));
    // All of them are let in, also when they go on at the same instant.
    for _ in 0..4 {
        for (address, packet) in std::mem::take(&mut last) {
            let client = clients.iter_mut().find(|client| client.address == address).expect("one of ours");
            client.take(&packet, house.now);
        }
        let arrivals: Vec<_> = clients
            .iter_mut()
            .flat_map(|client| client.packets(house.now).into_iter().map(|packet| (client.address, packet)))
            .collect();
        last = house.turn(&arrivals);
    }
    assert_eq!(house.counted("quic_opened"), clients.len() as u64);
    assert_eq!((house.counted("quic_retries"), house.counted("quic_dropped")), (0, 0));
}

/// Prints what the parts of a handshake cost the shard's thread; for a release build:
/// `cargo nextest run --release -p mvt-server --run-ignored only --no-capture what_a_handshake_costs`.
#[test]
#[ignore = "a measurement"]
fn what_a_handshake_costs() {
    let mut spent = [Duration::ZERO; 4];
    let mut count = 0u32;
    let timed = |spent: &mut Duration, began: Instant| *spent += began.elapsed();
    for _ in 0..200 {
        let mut house = House::new();
        let (mut clients, arrivals) = house.burst(1);
        let [(remote, packet)] = &arrivals[..] else { panic!("one packet") };
        let arrival =
            Arrival { remote: *remote, local_ip: None, ecn: None, bytes: packet, stride: packet.len() };
        let began = Instant::now();
        house.quic.receive(arrival, house.now);
        timed(&mut spent[0], began);
        let began = Instant::now();
        let mut sent = house.turn(&[]);
        timed(&mut spent[1], began);
        for flight in 0..2 {
            for (_, packet) in sent.drain(..) {
                clients[0].take(&packet, house.now);
            }
            let address = clients[0].address;
            let arrivals: Vec<_> =
                clients[0].packets(house.now).into_iter().map(|packet| (address, packet)).collect();
            let began = Instant::now();
            sent = house.turn(&arrivals);
            timed(&mut spent[2 + flight], began);
        }
        assert_eq!(house.counted("quic_opened"), 1);
        count += 1;
    }
    let names = ["first packet taken", "handshake begun", "client's second flight", "its third"];
    for (name, spent) in names.into_iter().zip(spent) {
        println!("{name}: {:.1} µs", spent.as_secs_f64() * 1e6 / f64::from(count));
    }
}
