//! What may arrive at a QUIC port from anybody: CASES Q-*, on the server as a process.

mod support;

use std::{net::UdpSocket, time::Duration};

use mvt_proto::Suite;
use quinn::{ConnectionError, TransportConfig};
use support::{
    Server, counted,
    initial::{initial, protected},
    judge,
    quic::{Host, client_config, tls_config},
    relay::{Relay, Rules},
    seal,
};

const CONFIG: &str = "listen.quic = \"127.0.0.1:0\"\nio.shards = 1\n";

fn still_serves(server: &Server) {
    let host = Host::new();
    let (_connection, mut stream, mut session) = host.login(server, Suite::Hs256);
    let (pending, frame) = seal(&mut session, b"");
    stream.send(&frame);
    assert_eq!(judge(&mut session, &pending, &mut stream.frame().expect("an answer")), Ok(0));
}

/// One who sends packets and counts what comes back.
struct Stranger {
    socket: UdpSocket,
    sent_bytes: usize,
    received: Vec<Vec<u8>>,
}

impl Stranger {
    fn new(server: &Server) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
        socket.connect(server.quic.as_ref().expect("on").0).expect("connected");
        socket.set_nonblocking(true).expect("set");
        Self { socket, sent_bytes: 0, received: Vec::new() }
    }

    fn send(&mut self, packet: &[u8]) {
        // Refused by a full buffer, perhaps: as if it were lost.
        self.sent_bytes += self.socket.send(packet).unwrap_or(0);
    }

    fn listen(&mut self) -> usize {
        let mut buffer = [0; 65536];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            self.received.push(buffer[..length].to_vec());
        }
        self.received.iter().map(Vec::len).sum()
    }
}

fn number(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

#[test]
fn noise_is_answered_with_less_than_it_was_and_harms_nobody() {
    let server = Server::start(CONFIG);
    let mut seed = u64::from(std::process::id()) << 20 | 1;
    let first_seed = seed;
    let honest = initial([9; 8], &[], tls_config(b"mvt1"));
    let mut stranger = Stranger::new(&server);
    for round in 0..4000 {
        let length = (number(&mut seed) % 1500) as usize;
        let mut packet = match round % 4 {
            0 => (0..length).map(|_| number(&mut seed) as u8).collect(),
            1 => honest[..length.min(honest.len())].to_vec(),
            2 => vec![],
            _ => honest.clone(),
        };
        for _ in 0..number(&mut seed) % 4 {
            let at = number(&mut seed) as usize % packet.len().max(1);
            packet.get_mut(at).into_iter().for_each(|byte| *byte ^= number(&mut seed) as u8);
        }
        stranger.send(&packet);
        if round % 50 == 0 {
            std::thread::sleep(Duration::from_millis(2));
            stranger.listen();
        }
    }
    std::thread::sleep(Duration::from_millis(100));
    let received = stranger.listen();
    assert!(received <= stranger.sent_bytes, "{received} for {}: seed {first_seed}", stranger.sent_bytes);
    still_serves(&server);
}

/// RFC 9000 §8: not more than three times what an unproved address sent, however long it stays silent.
#[test]
fn an_unproved_address_gets_at_most_three_times_its_bytes() {
    let server = Server::start(CONFIG);
    let mut stranger = Stranger::new(&server);
    stranger.send(&initial([7; 8], &good_parameters(), tls_config(b"mvt1")));
    std::thread::sleep(Duration::from_secs(3));
    let received = stranger.listen();
    assert!(received >= 1200, "the canary: the packet was a good one, and {received} bytes came back");
    assert!(received <= 3 * stranger.sent_bytes, "{received} for {}", stranger.sent_bytes);
}

/// initial_source_connection_id, empty as our packet's.
fn good_parameters() -> Vec<u8> {
    vec![0x0f, 0x00]
}

#[test]
fn malformed_transport_parameters_end_the_handshake() {
    let server = Server::start(CONFIG);
    let cases: [&[u8]; 9] = [
        // Lengths beyond the end; half a number; none at all.
        &[0x0f, 0x05],
        &[0x0f, 0x00, 0x04],
        &[0x0f, 0x00, 0xc0],
        &[],
        // Twice the same.
        &[0x0f, 0x00, 0x04, 0x01, 0x10, 0x04, 0x01, 0x10],
        // ack_delay_exponent 63; max_udp_payload_size 5; active_connection_id_limit 0; a server's parameter.
        &[0x0f, 0x00, 0x0a, 0x01, 0x3f],
        &[0x0f, 0x00, 0x03, 0x01, 0x05],
        &[0x0f, 0x00, 0x0e, 0x01, 0x00],
        &[0x0f, 0x00, 0x02, 0x10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
    ];
    for (at, parameters) in cases.into_iter().enumerate() {
        let mut stranger = Stranger::new(&server);
        stranger.send(&initial([at as u8 + 1; 8], parameters, tls_config(b"mvt1")));
        std::thread::sleep(Duration::from_millis(60));
        let received = stranger.listen();
        assert!(received <= stranger.sent_bytes, "case {at}: {received} bytes");
    }
    // Absurd but allowed: windows and stream counts as large as numbers are.
    let mut absurd = good_parameters();
    for id in [0x04, 0x05, 0x06, 0x07] {
        absurd.extend_from_slice(&[id, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    }
    let mut stranger = Stranger::new(&server);
    stranger.send(&initial([77; 8], &absurd, tls_config(b"mvt1")));
    std::thread::sleep(Duration::from_millis(60));
    assert!(stranger.listen() <= 3 * stranger.sent_bytes);
    // Frames that do not belong there.
    for frame in [0x08u8, 0x1c, 0x30, 0x40, 0x02, 0x18] {
        let mut stranger = Stranger::new(&server);
        stranger.send(&protected([frame; 8], vec![frame; 40]));
        std::thread::sleep(Duration::from_millis(20));
        assert!(stranger.listen() <= stranger.sent_bytes, "frame {frame:#x}");
    }
    still_serves(&server);
    let log = server.stop();
    assert_eq!(counted(&log, "logins"), 1, "{log}");
}

/// Long header, type 3.
fn is_retry(packet: &[u8]) -> bool {
    packet[0] & 0xf0 == 0xf0
}

/// Opens so many handshakes, and never goes on with them, that others must prove their address: ten of these were asked to.
/// Each `round` has connection ids of its own.
fn load(server: &Server, round: u64) -> Vec<Stranger> {
    let mut strangers: Vec<Stranger> = Vec::new();
    for number in 0..400u64 {
        let mut stranger = Stranger::new(server);
        stranger.send(&initial(
            (number | round << 32 | 5 << 60).to_be_bytes(),
            &good_parameters(),
            tls_config(b"mvt1"),
        ));
        strangers.push(stranger);
        std::thread::sleep(Duration::from_millis(5));
        for stranger in &mut strangers {
            stranger.listen();
        }
        if strangers.iter().filter(|stranger| stranger.received.iter().any(|p| is_retry(p))).count() >= 10 {
            return strangers;
        }
    }
    let of =
        |kind: fn(&[u8]) -> bool| strangers.iter().filter(|s| s.received.iter().any(|p| kind(p))).count();
    let log = std::fs::read_to_string(server.path("log")).unwrap_or_default();
    panic!(
        "round {round}: asked to prove an address: {}, answered at all: {}: {log}",
        of(is_retry),
        of(|_| true)
    );
}

#[test]
fn under_load_clients_prove_their_address_first() {
    let server = Server::start(CONFIG);
    let strangers = load(&server, 0);
    // Smaller than what asked for it.
    for stranger in
        strangers.iter().filter(|stranger| stranger.received.iter().any(|packet| is_retry(packet)))
    {
        assert!(stranger.received.iter().all(|packet| packet.len() < 200));
    }
    // Whoever can prove it is served meanwhile.
    still_serves(&server);
    assert!(counted(&server.stop(), "quic_retries") >= 10);
}

/// CASES Q-02.
#[test]
fn a_retry_token_is_of_one_address() {
    let server = Server::start(CONFIG);
    let _strangers = load(&server, 0);
    let (address, _) = server.quic.clone().expect("on");
    let host = Host::new();
    let config = client_config(b"mvt1", TransportConfig::default());
    let honest = Relay::to(address, Rules::default(), 1);
    assert!(
        host.try_connect(honest.address, config.clone()).is_ok(),
        "the canary: it is good where it was given"
    );
    // On a slow machine the strangers of before may be forgotten by now.
    let _more = load(&server, 1);
    let moved = Relay::to(address, Rules { moves_at_answer: true, ..Rules::default() }, 1);
    match host.try_connect(moved.address, config) {
        Err(ConnectionError::ConnectionClosed(close)) => {
            assert!(format!("{close:?}").contains("INVALID_TOKEN"), "{close:?}")
        }
        other => panic!("{other:?}"),
    }
}

/// Half-open handshakes are bounded in number and time: the flood passes, and is forgotten.
#[test]
fn a_flood_of_first_packets_is_forgotten() {
    let server = Server::start(CONFIG);
    let before = server.resident_bytes();
    for round in 0..40u64 {
        for number in 0..50u64 {
            let mut stranger = Stranger::new(&server);
            stranger.send(&initial(
                (round << 8 | number | 1 << 63).to_be_bytes(),
                &good_parameters(),
                tls_config(b"mvt1"),
            ));
        }
    }
    std::thread::sleep(Duration::from_millis(300));
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "2,000 strangers cost {grown} bytes");
    still_serves(&server);
}
