//! QUIC against the server as a process: SPEC §17.2 over real sockets, on every backend.

mod support;

use mvt_proto::Suite;
use support::{
    Server, judge,
    quic::{Host, binding},
    seal,
};

const BACKENDS: [&str; 2] = ["uring", "epoll"];

fn server(backend: &str, shards: usize) -> Server {
    Server::start(&format!(
        "listen.quic = \"127.0.0.1:0\"\nio.backend = \"{backend}\"\nio.shards = {shards}\nservice.kind = \"echo\"\n"
    ))
}

/// SPEC §17.2.3, §17.2.4.
#[test]
fn requests_are_answered_on_their_stream() {
    for backend in BACKENDS {
        let server = server(backend, 1);
        let host = Host::new();
        let (_connection, mut stream, mut session) = host.login(&server, Suite::Hs256);
        for _ in 0..3 {
            let (pending, frames): (Vec<_>, Vec<_>) =
                (0..500).map(|_| seal(&mut session, b"by stream")).unzip();
            stream.send(&frames.concat());
            for pending in &pending {
                let mut frame = stream.frame().expect("an answer");
                assert_eq!(judge(&mut session, pending, &mut frame), Ok(5), "{backend}");
            }
        }
    }
}

/// SPEC §17.2.5, §17.2.6.
#[test]
fn requests_of_a_datagram_are_answered_in_datagrams() {
    for backend in BACKENDS {
        let server = server(backend, 1);
        let host = Host::new();
        let (connection, _stream, mut session) = host.login(&server, Suite::Hs256);
        for count in [1, 2, 16, 20] {
            let (pending, frames): (Vec<_>, Vec<_>) =
                (0..count).map(|_| seal(&mut session, b"some bytes")).unzip();
            connection.send_datagram(frames.concat().into()).expect("sent");
            let mut answered = 0;
            while answered < count {
                for mut frame in host.datagram(&connection) {
                    assert_eq!(judge(&mut session, &pending[answered], &mut frame), Ok(5), "{backend}");
                    answered += 1;
                }
            }
        }
    }
}

/// SPEC §10, §17.2.3: whoever relays a HELLO onto a connection of his own gets nothing.
#[test]
fn a_hello_relayed_from_one_connection_to_another_is_refused() {
    let server = server("uring", 1);
    let host = Host::new();
    let (victim, relay) = (host.connect(&server), host.connect(&server));
    assert_ne!(binding(&victim), binding(&relay));
    let (_, hello) = server.hello_bound(&server.client_keys(), Suite::Hs256, None, &binding(&victim));
    let mut stream = host.open(&relay);
    stream.send(&hello);
    assert_eq!(stream.frame(), None, "closed without a word");
    // The canary: the same bytes where they belong are let in.
    let mut stream = host.open(&victim);
    stream.send(&hello);
    assert_eq!(stream.frame().expect("a HELLO_R")[2], 0x19);
    // Unbound, as on TCP, is another connection too.
    let (_, hello) = server.hello(&server.client_keys(), Suite::Hs256);
    let third = host.connect(&server);
    let mut stream = host.open(&third);
    stream.send(&hello);
    assert_eq!(stream.frame(), None);
    assert!(server.stop().contains("noise=2"));
}
