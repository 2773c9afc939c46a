//! One whom a QUIC server does not know, with a socket and packets made by hand.

use std::{
    net::UdpSocket,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use super::{PATIENCE, Server, initial::initial, quic::tls_config};

/// One who sends packets and counts what comes back.
pub struct Stranger {
    socket: UdpSocket,
    pub sent_bytes: usize,
    pub received: Vec<Vec<u8>>,
}

impl Stranger {
    pub fn new(server: &Server) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
        socket.connect(server.quic.as_ref().expect("on").0).expect("connected");
        socket.set_nonblocking(true).expect("set");
        Self { socket, sent_bytes: 0, received: Vec::new() }
    }

    pub fn send(&mut self, packet: &[u8]) {
        // Refused by a full buffer, perhaps: as if it were lost.
        self.sent_bytes += self.socket.send(packet).unwrap_or(0);
    }

    pub fn listen(&mut self) -> usize {
        let mut buffer = [0; 65536];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            self.received.push(buffer[..length].to_vec());
        }
        self.received.iter().map(Vec::len).sum()
    }
}

/// initial_source_connection_id, empty as our packet's.
pub fn good_parameters() -> Vec<u8> {
    vec![0x0f, 0x00]
}

/// Long header, type 3.
pub fn is_retry(packet: &[u8]) -> bool {
    packet[0] & 0xf0 == 0xf0
}

/// Bytes of the integrity tag behind the token of a Retry.
const RETRY_TAG_BYTES: usize = 16;

/// The id and the token of a Retry to a packet without a source id.
pub fn token_of(retry: &[u8]) -> (Vec<u8>, Vec<u8>) {
    assert_eq!(retry[5], 0, "to nobody's id");
    let (id_length, rest) = (usize::from(retry[6]), &retry[7..retry.len() - RETRY_TAG_BYTES]);
    (rest[..id_length].to_vec(), rest[id_length..].to_vec())
}

/// Whether this is a client's first packet, with the token of a Retry (RFC 9000 §17.2.2).
pub fn bears_token(packet: &[u8]) -> bool {
    let length_at = |at: usize| at + 1 + usize::from(packet[at]);
    // Behind both ids.
    packet[0] & 0xf0 == 0xc0 && packet[length_at(length_at(5))] != 0
}

/// Strangers whose packets are made before the first of them is sent.
const STRANGERS: u64 = 100;
/// Of these at a time it is waited what the server says, so that none is lost.
const AT_ONCE: usize = 8;

/// Opens so many handshakes, and never goes on with them, that others must prove their address: ten of these were asked to.
pub fn load(server: &Server) -> Vec<Stranger> {
    // Connection ids of before are those of the handshakes of before.
    static ROUNDS: AtomicU64 = AtomicU64::new(0);
    let round = ROUNDS.fetch_add(1, Ordering::Relaxed);
    let began = Instant::now();
    let mut strangers: Vec<Stranger> = Vec::new();
    let first = |number: u64| {
        initial((number | round << 32 | 5 << 60).to_be_bytes(), &good_parameters(), tls_config(b"mvt1"))
    };
    while began.elapsed() < PATIENCE {
        // A handshake is forgotten after some time, and to make a packet may take long.
        let start = strangers.len() as u64;
        let packets: Vec<_> = (start..start + STRANGERS).map(first).collect();
        for packets in packets.chunks(AT_ONCE) {
            let heard_before = strangers.len();
            for packet in packets {
                strangers.push(Stranger::new(server));
                strangers.last_mut().expect("pushed").send(packet);
            }
            let sent = Instant::now();
            while sent.elapsed() < Duration::from_secs(1)
                && strangers[heard_before..].iter_mut().any(|stranger| stranger.listen() == 0)
            {
                std::thread::sleep(Duration::from_millis(1));
            }
            if strangers.iter().filter(|stranger| stranger.received.iter().any(|p| is_retry(p))).count() >= 10
            {
                return strangers;
            }
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
