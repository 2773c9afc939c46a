//! QUIC against the server as a process: SPEC §17.2 over real sockets, on every backend.

mod support;

use std::{
    future::poll_fn,
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use mvt_proto::{
    Header, Role, Suite,
    session::{ClientSession, Pending},
};
use quinn::ConnectionError;
use support::{
    Server, counted, judge,
    quic::{Host, Stream, binding, client_config, never_idle},
    seal,
};

/// The second moves packets beside its ring.
const BACKENDS: [&str; 3] = ["uring", "uring/readiness", "epoll"];

fn server(backend: &str, shards: usize) -> Server {
    let (backend, packets) = backend.split_once('/').unwrap_or((backend, "auto"));
    Server::start(&format!(
        "listen.quic = \"127.0.0.1:0\"\nio.backend = \"{backend}\"\nio.packets = \"{packets}\"\n\
         io.shards = {shards}\nservice.kind = \"echo\"\n"
    ))
}

/// One request and its answer. Also where a connection is to wait for long: one that nobody used is closed (SPEC §10.3.2).
fn ask(stream: &mut Stream<'_>, session: &mut ClientSession) {
    let (pending, frame) = seal(session, b"used");
    stream.send(&frame);
    assert_eq!(judge(session, &pending, &mut stream.frame().expect("an answer")), Ok(5));
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
    let (victim, mut used, mut session) = host.login(&server, Suite::Hs256);
    ask(&mut used, &mut session);
    let relay = host.connect(&server);
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

fn burst(session: &mut ClientSession, count: usize) -> (Vec<Pending>, Vec<Vec<u8>>) {
    (0..count).map(|_| seal(session, b"some bytes")).unzip()
}

/// SPEC §8, §17: one window, whatever a frame comes by.
#[test]
fn a_frame_by_tcp_and_by_quic_is_accepted_once() {
    for (backend, shards) in [("uring", 1), ("uring", 2), ("epoll", 4)] {
        let server = server(backend, shards);
        let host = Host::new();
        let (mut wire, mut session) = server.login(Suite::Hs256);
        let connection = host.connect(&server);
        let mut stream = host.open(&connection);
        let (pending, frames) = burst(&mut session, 60);
        // Each frame goes three ways at once, in another order each time.
        for (number, frame) in frames.iter().enumerate() {
            for way in 0..3 {
                match (way + number) % 3 {
                    0 => wire.send(frame),
                    1 => stream.send(frame),
                    _ => connection.send_datagram(frame.clone().into()).expect("sent"),
                }
            }
        }
        let mut answers = Vec::new();
        for _ in &frames {
            answers.push(wire.frame().expect("an answer"));
            answers.push(stream.frame().expect("an answer"));
        }
        while answers.len() < 3 * frames.len() {
            answers.extend(host.datagram(&connection));
        }
        for pending in &pending {
            let counter_of = |frame: &[u8]| Header::parse(frame, Role::Client).expect("well formed").counter;
            let mine = answers.iter_mut().filter(|frame| counter_of(frame) == pending.counter());
            let mut verdicts: Vec<_> = mine.map(|frame| judge(&mut session, pending, frame)).collect();
            verdicts.sort();
            let replay = Err("Replay".to_owned());
            assert_eq!(verdicts, [Ok(5), replay.clone(), replay], "{backend} x {shards}");
        }
        assert_eq!(counted(&server.stop(), "verified"), 60);
    }
}

/// Ends one of two streams behind 200 requests; how long it took from the last answer until the connection had ended.
fn end_behind_requests(server: &Server, host: &Host) -> Duration {
    let (connection, mut stream, mut session) = host.login(server, Suite::Hs256);
    let mut second = host.open(&connection);
    let (pending, frames) = burst(&mut session, 200);
    second.send(&frames.concat());
    second.send.finish().expect("finished");
    for pending in &pending {
        let mut frame = second.frame().expect("an answer");
        assert_eq!(judge(&mut session, pending, &mut frame), Ok(5));
    }
    let started = Instant::now();
    assert_eq!(second.frame(), None);
    assert_eq!(stream.frame(), None, "the other stream ends with it");
    host.wait(connection.closed());
    started.elapsed()
}

/// SPEC §17.2.4: what was received is answered, then the connection ends.
#[test]
fn the_end_of_a_stream_ends_the_connection_after_its_answers() {
    for backend in BACKENDS {
        let server = server(backend, 1);
        let host = Host::new();
        // Long before any deadline: where one is what ends it, it is what ends each of them.
        let mut took = (0..10).map(|_| end_behind_requests(&server, &host));
        assert!(took.any(|took| took < Duration::from_millis(900)), "{backend}");
        // And so does a reset.
        let (connection, mut stream, _) = host.login(&server, Suite::Hs256);
        stream.send.reset(7u8.into()).expect("reset");
        host.wait(connection.closed());
    }
}

/// SPEC §17.2.4: four at most, none of the other kind, and an ended one is not replaced.
#[test]
fn streams_are_bounded() {
    let server = server("uring", 1);
    let host = Host::new();
    let (connection, mut stream, mut session) = host.login(&server, Suite::Hs256);
    let _streams: Vec<_> = (0..3).map(|_| host.open(&connection)).collect();
    let (mut fifth, mut one_way) = (pin!(connection.open_bi()), pin!(connection.open_uni()));
    // Asked for before the requests, and the server did not let them with any of its answers.
    for _ in 0..4 {
        let are_let = host.wait(poll_fn(|context| {
            Poll::Ready((fifth.as_mut().poll(context).is_ready(), one_way.as_mut().poll(context).is_ready()))
        }));
        assert_eq!(are_let, (false, false), "no fifth stream, and none of one direction");
        ask(&mut stream, &mut session);
    }
}

/// SPEC §3.2.5, §17.2.5.
#[test]
fn a_datagram_that_is_not_whole_frames_ends_the_connection_after_those_that_are() {
    let server = server("uring", 1);
    let host = Host::new();
    for tail in [&[0u8][..], &[0, 62, 0x11, 0, 1], &[0, 0]] {
        let (connection, stream, mut session) = host.login(&server, Suite::Hs256);
        let (pending, frames) = burst(&mut session, 2);
        connection.send_datagram([&frames.concat(), tail].concat().into()).expect("sent");
        let mut answers = Vec::new();
        while answers.len() < 2 {
            answers.extend(host.datagram(&connection));
        }
        for (pending, answer) in pending.iter().zip(&mut answers) {
            assert_eq!(judge(&mut session, pending, answer), Ok(5));
        }
        drop(stream);
        host.wait(connection.closed());
    }
    assert_eq!(counted(&server.stop(), "length"), 3);
}

/// SPEC §9.4 counts over all lanes together (§17).
#[test]
fn eight_bad_tags_over_streams_and_datagrams_end_the_connection() {
    let server = server("uring", 1);
    let host = Host::new();
    let (connection, mut stream, mut session) = host.login(&server, Suite::Hs256);
    let mut second = host.open(&connection);
    for number in 0..8 {
        let (_, mut frame) = seal(&mut session, b"");
        frame[30] ^= 1;
        match number % 3 {
            0 => {
                stream.send(&frame);
                assert!(stream.frame().is_some_and(|answer| answer.len() == 44));
            }
            1 => {
                second.send(&frame);
                assert!(second.frame().is_some_and(|answer| answer.len() == 44));
            }
            _ => {
                connection.send_datagram(frame.into()).expect("sent");
                assert_eq!(host.datagram(&connection)[0].len(), 44);
            }
        }
    }
    host.wait(connection.closed());
    assert_eq!(counted(&server.stop(), "unverified_closed"), 1);
}

/// SPEC §17.2.1, §17.2.2.
#[test]
fn another_protocol_is_refused_and_there_is_no_early_data() {
    let server = server("uring", 1);
    let host = Host::new();
    let (address, _) = server.quic.clone().expect("on");
    let other = host.try_connect(address, client_config(b"h3", never_idle()));
    assert!(matches!(other, Err(ConnectionError::ConnectionClosed(_))), "{other:?}");
    let config = client_config(b"mvt1", never_idle());
    let connection = host.try_connect(address, config.clone()).expect("connected");
    // A session ticket, if there were one, would come before this answer.
    let mut stream = host.open(&connection);
    let mut session = host.login_on(&server, &connection, &mut stream, Suite::Hs256);
    ask(&mut stream, &mut session);
    connection.close(0u8.into(), b"");
    assert!(host.has_no_early_data(address, config));
}

/// SPEC §17.2.8: packets reach the shard that has the connection, from wherever they come.
#[test]
fn every_number_of_shards_serves_clients_that_move() {
    for (backend, shards) in [("uring", 1), ("uring", 2), ("uring", 4), ("epoll", 3)] {
        let server = server(backend, shards);
        let hosts: Vec<_> = (0..12).map(|_| Host::new()).collect();
        let mut clients = Vec::new();
        for host in &hosts {
            let (connection, mut stream, mut session) = host.login(&server, Suite::Hs256);
            ask(&mut stream, &mut session);
            clients.push((host, connection, stream, session));
        }
        for _ in 0..4 {
            for (host, connection, stream, session) in &mut clients {
                host.move_to_another_address();
                let (pending, frames) = burst(session, 20);
                stream.send(&frames[..10].concat());
                connection.send_datagram(frames[10..].concat().into()).expect("sent");
                for pending in &pending[..10] {
                    let mut frame = stream.frame().expect("an answer");
                    assert_eq!(judge(session, pending, &mut frame), Ok(5), "{backend} x {shards}");
                }
                let mut answers = Vec::new();
                while answers.len() < 10 {
                    answers.extend(host.datagram(connection));
                }
                for (pending, answer) in pending[10..].iter().zip(&mut answers) {
                    assert_eq!(judge(session, pending, answer), Ok(5), "{backend} x {shards}");
                }
            }
        }
        let log = server.stop();
        assert_eq!(counted(&log, "verified"), 12 * (1 + 4 * 20), "{log}");
        // Steered by the kernel: what it could not steer was forwarded, and that is little.
        assert!(counted(&log, "quic_forwarded") < 100, "{log}");
        assert_eq!(counted(&log, "quic_forward_dropped"), 0, "{log}");
    }
}
