//! One whom a QUIC server does not know, with a socket and packets made by hand.

use std::{net::UdpSocket, time::Duration};

use super::{Server, initial::initial, quic::tls_config};

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

    /// Goes on from the same address with another server.
    pub fn turn_to(&mut self, server: &Server) {
        self.socket.connect(server.quic.as_ref().expect("on").0).expect("connected");
        self.received.clear();
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

/// Opens so many handshakes, and never goes on with them, that others must prove their address: ten of these were asked to.
/// Each `round` has connection ids of its own.
pub fn load(server: &Server, round: u64) -> Vec<Stranger> {
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
