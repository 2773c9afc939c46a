//! What arrives at, and goes wrong on, the UDP socket of QUIC: CASES Q-04, on every way a driver moves packets.

mod support;

use std::{
    net::{SocketAddr, UdpSocket},
    process::Command,
};

use mvt_proto::{Suite, session::ClientSession};
use quinn::Connection;
use quinn_udp::{Transmit, UdpSocketState};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use support::{
    PATIENCE, Server, counted,
    initial::initial,
    judge,
    quic::{Host, Stream, client_config, never_idle, tls_config},
    seal,
};

const WAYS: [&str; 3] = [
    "io.backend = \"uring\"\n",
    "io.backend = \"uring\"\nio.packets = \"readiness\"\n",
    "io.backend = \"epoll\"\n",
];

fn config(way: &str, address: &str, shards: usize) -> String {
    format!("listen.quic = \"{address}:0\"\nio.shards = {shards}\nservice.kind = \"echo\"\n{way}")
}

/// One request by stream, one by datagram.
fn ask(host: &Host, connection: &Connection, stream: &mut Stream<'_>, session: &mut ClientSession) {
    let (pending, frame) = seal(session, b"by stream");
    stream.send(&frame);
    assert_eq!(judge(session, &pending, &mut stream.frame().expect("an answer")), Ok(5));
    let (pending, frame) = seal(session, b"by datagram");
    connection.send_datagram(frame.into()).expect("sent");
    let mut answers = host.datagram(connection);
    assert_eq!(judge(session, &pending, &mut answers[0]), Ok(5));
}

/// Bytes that have come back to one who is no client.
fn received(socket: &UdpSocket) -> usize {
    socket.set_nonblocking(true).expect("set");
    let mut buffer = [0; 65536];
    std::iter::from_fn(|| socket.recv(&mut buffer).ok()).sum()
}

#[test]
fn empty_packets_and_odd_trains_stop_nobody() {
    for way in WAYS {
        let server = Server::start(&config(way, "127.0.0.1", 1));
        let (address, _) = server.quic.clone().expect("on");
        let host = Host::new();
        let (connection, mut stream, mut session) = host.login(&server, Suite::Hs256);
        let stranger = UdpSocket::bind("127.0.0.1:0").expect("bound");
        let state = UdpSocketState::new((&stranger).into()).expect("set up");
        let noise: Vec<u8> = (0..60_000u32).map(|at| 0x40 | (at % 63) as u8).collect();
        let mut sent = 0;
        for (length, segment) in [(0, 1), (1, 1), (7, 1), (64, 1), (1201, 1200), (999, 37), (60_000, 1399)] {
            for _ in 0..20 {
                stranger.send_to(&[], address).expect("sent");
                let train = Transmit {
                    destination: address,
                    ecn: None,
                    contents: &noise[..length],
                    segment_size: Some(segment),
                    src_ip: None,
                };
                state.try_send((&stranger).into(), &train).expect("sent");
                sent += length;
            }
            ask(&host, &connection, &mut stream, &mut session);
        }
        // Read in order by one shard: what was asked behind all of it was answered behind all of it.
        assert!(received(&stranger) <= sent, "{way}");
        let log = server.stop();
        assert_eq!(
            (counted(&log, "verified"), counted(&log, "quic_receive_failed")),
            (14, 0),
            "{way}: {log}"
        );
    }
}

/// Each shard gets a copy of such a packet: nobody answers, and nothing else suffers.
#[test]
fn a_packet_to_everybody_is_answered_by_nobody() {
    for way in WAYS {
        let server = Server::start(&config(way, "0.0.0.0", 2));
        let port = server.quic.as_ref().expect("on").0.port();
        let stranger = UdpSocket::bind("127.0.0.1:0").expect("bound");
        stranger.set_broadcast(true).expect("set");
        let first = |number: u8| initial([number; 8], &[0x0f, 0x00], tls_config(b"mvt1"));
        for number in 0..20 {
            let everybody = SocketAddr::from(([127, 255, 255, 255], port));
            stranger.send_to(&first(number), everybody).expect("sent");
        }
        // Canaries: sent to one, the same is answered; by each shard, since so many go to both of them, and behind the handshakes that
        // the others began, where the kernel has to refuse their answers.
        for number in 77..85 {
            let stranger = UdpSocket::bind("127.0.0.1:0").expect("bound");
            stranger.set_read_timeout(Some(PATIENCE)).expect("set");
            stranger.send_to(&first(number), SocketAddr::from(([127, 0, 0, 1], port))).expect("sent");
            let answered = loop {
                match stranger.recv(&mut [0; 65536]) {
                    // The process was stopped for a while.
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    answered => break answered.expect("an answer"),
                }
            };
            assert!(answered >= 1200, "{answered} {way}");
        }
        assert_eq!(received(&stranger), 0, "{way}");
        let log = server.stop();
        if way == WAYS[0] {
            assert_eq!(counted(&log, "quic_unusable"), 2 * 20, "{log}");
        }
    }
}

/// ECONNREFUSED: what is sent to one who has gone comes back as an error.
#[test]
fn a_client_that_has_gone_disturbs_nobody() {
    for way in WAYS {
        let server = Server::start(&config(way, "127.0.0.1", 1));
        let (address, _) = server.quic.clone().expect("on");
        let host = Host::new();
        let (connection, mut stream, mut session) = host.login(&server, Suite::Hs256);
        for number in 0..30u8 {
            let gone = UdpSocket::bind("127.0.0.1:0").expect("bound");
            gone.send_to(&initial([number; 8], &[0x0f, 0x00], tls_config(b"mvt1")), address).expect("sent");
            drop(gone);
            ask(&host, &connection, &mut stream, &mut session);
        }
        assert_eq!(counted(&server.stop(), "verified"), 60, "{way}");
    }
}

/// A network namespace whose loopback takes packets of so many bytes at most; gone when dropped.
struct Narrow(String);

impl Narrow {
    fn make(number: usize, bytes_max: usize) -> Option<Self> {
        let this = Self(format!("mvt-narrow-{}-{bytes_max}-{number}", std::process::id()));
        (ip(&format!("netns add {}", this.0)) && this.set(bytes_max)).then_some(this)
    }

    fn set(&self, bytes_max: usize) -> bool {
        ip(&format!("-n {} link set lo mtu {bytes_max} up", self.0))
    }

    fn enter(&self) {
        let namespace = std::fs::File::open(format!("/run/netns/{}", self.0)).expect("made");
        let kind = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), kind).expect("entered");
    }
}

impl Drop for Narrow {
    fn drop(&mut self) {
        ip(&format!("netns del {}", self.0));
    }
}

fn ip(line: &str) -> bool {
    Command::new("ip").args(line.split(' ')).output().is_ok_and(|output| output.status.success())
}

/// EMSGSIZE: probes for larger packets than the path takes are refused by the socket, counted, and nothing else is.
#[test]
fn a_path_of_small_packets_serves() {
    for (number, way) in WAYS.into_iter().enumerate() {
        let Some(narrow) = Narrow::make(number, 1300) else {
            return println!("skipped: this needs the right to make a network namespace, and ip");
        };
        let server = Server::start_under(&config(way, "127.0.0.1", 1), &["ip", "netns", "exec", &narrow.0]);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                narrow.enter();
                let host = Host::new();
                let (connection, mut stream, mut session) = host.login(&server, Suite::Hs256);
                for _ in 0..30 {
                    ask(&host, &connection, &mut stream, &mut session);
                }
            });
        });
        let log = server.stop();
        assert_eq!((counted(&log, "verified"), counted(&log, "quic_unsent")), (60, 0), "{way}: {log}");
        assert!(counted(&log, "quic_too_large") > 0, "the canary: {way}: {log}");
    }
}

/// EMSGSIZE, or EINVAL on an older kernel, for packets to be cut apart: the network takes smaller ones than before, all of a sudden.
/// QUIC finds out; that the kernel cuts packets apart does not change.
#[test]
fn a_path_that_becomes_smaller_serves_on() {
    for (number, way) in WAYS.into_iter().enumerate() {
        let Some(narrow) = Narrow::make(number, 9000) else {
            return println!("skipped: this needs the right to make a network namespace, and ip");
        };
        let server = Server::start_under(&config(way, "127.0.0.1", 1), &["ip", "netns", "exec", &narrow.0]);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                narrow.enter();
                let host = Host::new();
                // Its own packets are of a size that is taken before and after.
                let mut small = never_idle();
                small.mtu_discovery_config(None);
                let (address, _) = server.quic.clone().expect("on");
                let connection = host.try_connect(address, client_config(b"mvt1", small)).expect("connected");
                let mut stream = host.open(&connection);
                let mut session = host.login_on(&server, &connection, &mut stream, Suite::Hs256);
                for round in 0..12 {
                    if round == 6 {
                        assert!(narrow.set(1300));
                    }
                    // Answers of many packets.
                    let (pending, frames): (Vec<_>, Vec<_>) =
                        (0..100).map(|_| seal(&mut session, &[7; 100])).unzip();
                    stream.send(&frames.concat());
                    for pending in &pending {
                        let mut answer = stream.frame().expect("an answer");
                        assert_eq!(judge(&mut session, pending, &mut answer), Ok(5));
                    }
                }
            });
        });
        let log = server.stop();
        assert_eq!(counted(&log, "verified"), 1200, "{way}: {log}");
        assert!(!log.contains("cut packets apart"), "{way}: {log}");
        if number == 0 {
            assert!(counted(&log, "quic_too_large") > 0, "the canary: {log}");
            assert_eq!(counted(&log, "quic_unsent"), 0, "{log}");
        }
    }
}
