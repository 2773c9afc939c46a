//! The server as a process on real sockets, on every backend this host has.

mod support;

use std::{net::Shutdown, time::Instant};

use mvt_proto::{Suite, keyfile::KeyFile, login::Identity};
use support::{Server, Wire, judge, random, seal};

/// Configurations every property must hold under.
const BACKENDS: [&str; 7] = [
    "io.backend = \"uring\"\nio.shards = 1\n",
    "io.backend = \"uring\"\nio.shards = 2\n",
    "io.backend = \"uring\"\nio.shards = 4\nio.spin_us = 50\n",
    "io.backend = \"monoio\"\nio.shards = 1\n",
    "io.backend = \"monoio\"\nio.shards = 2\n",
    "io.backend = \"epoll\"\nio.shards = 1\n",
    "io.backend = \"epoll\"\nio.shards = 4\n",
];

fn each_backend(test: impl Fn(&Server)) {
    for config in BACKENDS {
        let server = Server::start(config);
        eprintln!("{config:?} on {}", server.backend);
        test(&server);
    }
}

fn each_suite(test: impl Fn(Suite)) {
    Suite::ALL.iter().for_each(|(suite, _)| test(*suite));
}

#[test]
fn requests_are_verified_and_answers_verify() {
    each_backend(|server| {
        each_suite(|suite| {
            let (mut wire, mut session) = server.login(suite);
            for payload in [&b""[..], b"hello", &[7; 16_384]] {
                let (pending, _) = wire.request(&mut session, payload);
                assert_eq!(wire.answer(&mut session, &pending), Ok(0));
            }
        });
    });
}

#[test]
fn echo_brings_op_and_payload_back() {
    let server = Server::start("service.kind = \"echo\"");
    let (mut wire, mut session) = server.login(Suite::Gcm256);
    let (pending, _) = wire.request(&mut session, b"come back");
    let mut frame = wire.frame().expect("an answer");
    assert_eq!(judge(&mut session, &pending, &mut frame), Ok(5));
    assert_eq!(mvt_proto::suite::payload_of(&frame), b"come back");
}

#[test]
fn a_pipeline_of_thousands_is_answered_whole() {
    each_backend(|server| {
        let (mut wire, mut session) = server.login(Suite::Hs256);
        let (pending, frames): (Vec<_>, Vec<_>) =
            (0..5000).map(|_| seal(&mut session, b"twenty bytes of load")).unzip();
        let mut sender = wire.stream.try_clone().expect("cloned");
        let sending = std::thread::spawn(move || {
            std::io::Write::write_all(&mut sender, &frames.concat()).expect("sent");
        });
        for request in &pending {
            assert_eq!(wire.answer(&mut session, request), Ok(0));
        }
        sending.join().expect("sent");
    });
}

#[test]
fn a_frame_is_the_same_however_it_is_split() {
    each_backend(|server| {
        let (mut wire, mut session) = server.login(Suite::Gcm256);
        let (_, frame) = seal(&mut session, b"split me");
        for split in 1..frame.len() {
            let (pending, frame) = seal(&mut session, b"split me");
            wire.send(&frame[..split]);
            std::thread::yield_now();
            wire.send(&frame[split..]);
            assert_eq!(wire.answer(&mut session, &pending), Ok(0), "split at {split}");
        }
        let (pending, frame) = seal(&mut session, b"byte by byte");
        frame.iter().for_each(|byte| wire.send(&[*byte]));
        assert_eq!(wire.answer(&mut session, &pending), Ok(0));
    });
}

#[test]
fn a_replay_is_accepted_once_whatever_the_connection() {
    each_backend(|server| {
        each_suite(|suite| {
            let (mut wire, mut session) = server.login(suite);
            let (pending, frame) = seal(&mut session, b"once");
            wire.send(&[&frame[..], &frame].concat());
            assert_eq!(wire.answer(&mut session, &pending), Ok(0));
            assert_eq!(wire.answer(&mut session, &pending), Err("Replay".into()));
            // Other connections may land on other shards: the owner still judges.
            for _ in 0..8 {
                let mut other = server.connect();
                other.send(&frame);
                assert_eq!(other.answer(&mut session, &pending), Err("Replay".into()));
            }
        });
    });
}

#[test]
fn two_connections_at_one_instant_give_one_accept() {
    let server = Server::start("io.shards = 2");
    let (_wire, mut session) = server.login(Suite::Hs256);
    for _ in 0..50 {
        let (pending, frame) = seal(&mut session, b"race");
        let mut wires = [server.connect(), server.connect()];
        std::thread::scope(|scope| {
            for wire in &mut wires {
                scope.spawn(|| wire.send(&frame));
            }
        });
        let mut answers = wires.map(|mut wire| wire.answer(&mut session, &pending));
        answers.sort();
        assert_eq!(answers, [Ok(0), Err("Replay".into())]);
    }
}

#[test]
fn a_session_serves_on_any_connection() {
    each_backend(|server| {
        let (wire, mut session) = server.login(Suite::Gcm256);
        drop(wire);
        for _ in 0..8 {
            let mut other = server.connect();
            let (pending, _) = other.request(&mut session, b"elsewhere");
            assert_eq!(other.answer(&mut session, &pending), Ok(0));
        }
    });
}

/// §9.4.
#[test]
fn unverified_requests_look_alike_and_end_the_connection_at_eight() {
    each_backend(|server| {
        let (mut wire, mut session) = server.login(Suite::Hs256);
        // A key nobody has, and a wrong tag: one LOST of 44 bytes each.
        let (unknown, mut frame) = seal(&mut session, b"");
        frame[11] ^= 1;
        wire.send(&frame);
        let answer = wire.frame().expect("a LOST");
        assert_eq!((answer.len(), answer[2]), (44, 0x1f));
        drop(unknown);
        let (pending, mut frame) = seal(&mut session, b"");
        *frame.last_mut().expect("a tag") ^= 1;
        for _ in 1..8 {
            wire.send(&frame);
            let mut answer = wire.frame().expect("a decoy");
            assert_eq!((answer.len(), answer[2]), (44, 0x1f));
            assert_eq!(
                judge(&mut session, &pending, &mut answer),
                Err("BadTag".into()),
                "a decoy is not believed"
            );
        }
        wire.expect_close();
        // The session itself is untouched.
        let mut other = server.connect();
        let (pending, _) = other.request(&mut session, b"");
        assert_eq!(other.answer(&mut session, &pending), Ok(0));
    });
}

#[test]
fn after_a_restart_the_client_is_told_that_its_key_is_lost() {
    let server = Server::start("");
    let (mut wire, mut session) = server.login(Suite::Gcm256);
    let (pending, captured) = wire.request(&mut session, b"before");
    assert_eq!(wire.answer(&mut session, &pending), Ok(0));
    // A key id of the same node that this process never made stands for one of the process before: same secrets.
    let server = server.restart();
    let mut wire = server.connect();
    wire.send(&captured);
    assert_eq!(wire.answer(&mut session, &pending), Err("Lost".into()), "no old frame is accepted");
    let (pending, _) = wire.request(&mut session, b"after");
    assert_eq!(wire.answer(&mut session, &pending), Err("Lost".into()));
    let mut session = server.login_on(&mut wire, Suite::Gcm256);
    let (pending, _) = wire.request(&mut session, b"again");
    assert_eq!(wire.answer(&mut session, &pending), Ok(0));
}

#[test]
fn malformed_bytes_close_the_connection_without_an_answer() {
    each_backend(|server| {
        for bytes in [
            &[0u8, 0][..],
            &[0, 1],
            &[0, 41],
            &[0x40, 0x2b],
            &[0xff, 0xff],
            &[0xff, 0xff, 0xff, 0xff],
            &[0, 42, 0x21, 0],
            &[0, 42, 0x10, 0],
            &[0, 42, 0x12, 0],
            &[0, 42, 0x16, 0],
            &[0, 42, 0x11, 0x80],
            &[0, 42, 0x18, 0x01],
        ] {
            let mut wire = server.connect();
            wire.send(bytes);
            wire.expect_close();
        }
    });
}

#[test]
fn frames_before_a_malformed_one_are_answered_first() {
    each_backend(|server| {
        let (mut wire, mut session) = server.login(Suite::Gcm256);
        let (pending, frame) = seal(&mut session, b"good");
        wire.send(&[&frame[..], &[0, 0]].concat());
        assert_eq!(wire.answer(&mut session, &pending), Ok(0));
        wire.expect_close();
    });
}

#[test]
fn a_frame_cut_off_by_the_end_of_a_connection_has_no_effect() {
    each_backend(|server| {
        let (mut wire, mut session) = server.login(Suite::Hs256);
        let (first, frame) = seal(&mut session, b"whole");
        let (second, cut) = seal(&mut session, b"cut");
        wire.send(&[&frame[..], &cut[..cut.len() - 1]].concat());
        wire.stream.shutdown(Shutdown::Write).expect("half closed");
        assert_eq!(wire.answer(&mut session, &first), Ok(0));
        wire.expect_close();
        let mut other = server.connect();
        other.send(&cut);
        assert_eq!(other.answer(&mut session, &second), Ok(0), "its counter was not used");
    });
}

/// SPEC §17.1.4 holds for a login too, which threads of its own work on.
#[test]
fn a_login_is_answered_after_the_client_ended_its_direction() {
    each_backend(|server| {
        let mut wire = server.connect();
        wire.send(&server.hello(&server.client_keys(), Suite::Hs256).1);
        wire.stream.shutdown(Shutdown::Write).expect("half closed");
        let frame = wire.frame().expect("a HELLO_R");
        assert_eq!(frame[2], 0x19);
        wire.expect_close();
    });
}

#[test]
fn every_refused_login_is_a_closed_connection() {
    each_backend(|server| {
        let stranger = KeyFile { identity: Identity::new(random()), reset_secret: None };
        let (_, unknown) = server.hello(&stranger, Suite::Gcm256);
        let (_, honest) = server.hello(&server.client_keys(), Suite::Gcm256);
        let mut bad_mac1 = honest;
        bad_mac1[511] ^= 1;
        let mut bad_noise = honest;
        bad_noise[100] ^= 1;
        let mac1 = mvt_proto::login::Mac1::new(&server.public_key);
        let tag = mac1.tag(&bad_noise[..496]);
        bad_noise[496..].copy_from_slice(&tag);
        for hello in [unknown, bad_mac1, bad_noise] {
            let mut wire = server.connect();
            wire.send(&hello);
            wire.expect_close();
        }
        // A replayed HELLO makes a session whose key only the client could know, and harms none.
        let (mut wire, mut session) = server.login(Suite::Gcm256);
        let mut replayer = server.connect();
        replayer.send(&honest);
        assert!(replayer.frame().is_some_and(|frame| frame.len() <= honest.len()));
        let (pending, _) = wire.request(&mut session, b"still here");
        assert_eq!(wire.answer(&mut session, &pending), Ok(0));
    });
}

#[test]
fn a_client_is_held_to_the_suites_of_its_line() {
    let server = Server::start("");
    let key = mvt_proto::keyfile::key_to_text(server.client_keys().identity.public());
    std::fs::write(server.path("clients.mvt"), format!("tester {key} suites=hs256\n")).expect("written");
    let config = "listen.tcp = \"127.0.0.1:0\"\nstore.engine = \"file\"\n";
    std::fs::write(server.path("mvt.toml"), config).expect("written");
    let server = server.restart();
    let mut wire = server.connect();
    wire.send(&server.hello(&server.client_keys(), Suite::Gcm256).1);
    wire.expect_close();
    let (_, session) = server.login(Suite::Hs256);
    assert_eq!(session.suite(), Suite::Hs256);
}

#[test]
fn a_client_that_does_not_read_is_paused_and_harms_nobody() {
    use std::io::{ErrorKind, Write};
    each_backend(|server| {
        let (wire, mut session) = server.login(Suite::Hs256);
        wire.stream.set_nonblocking(true).expect("set");
        // So that what fills up is the server's: megabytes of ours would take a slow machine its time.
        rustix::net::sockopt::set_socket_recv_buffer_size(&wire.stream, 64 * 1024).expect("set");
        rustix::net::sockopt::set_socket_send_buffer_size(&wire.stream, 64 * 1024).expect("set");
        let (_, frame) = seal(&mut session, b"");
        let (mut other, mut session) = server.login(Suite::Hs256);
        // More answers than every buffer on the way holds: the server must stop reading, so our sends block.
        let flood = frame.repeat(1000);
        let mut sent = 0;
        loop {
            // From where the last one ended, be it within a frame.
            while let Ok(length) = (&wire.stream).write(&flood[sent % frame.len()..]) {
                sent += length;
                assert!(sent < 512 << 20, "it takes all of it");
            }
            // It has had its turn by then, and still takes nothing.
            let (pending, _) = other.request(&mut session, b"");
            assert_eq!(other.answer(&mut session, &pending), Ok(0));
            match (&wire.stream).write(&flood[sent % frame.len()..]) {
                Ok(length) => sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("{error} after {sent} bytes"),
            }
        }
    });
}

#[test]
fn a_half_open_login_is_ended_by_its_deadline() {
    let server = Server::start("io.shards = 1");
    // Before the server's own time begins.
    let started = Instant::now();
    let mut silent = server.connect();
    let mut slow: Wire = server.connect();
    slow.send(&[0, 42, 0x11]);
    silent.expect_close();
    slow.expect_close();
    assert!(started.elapsed().as_secs() >= 9, "not before its time");
    let log = server.stop();
    assert!(log.contains("deadline_closed=2"), "{log}");
}

#[test]
fn a_stopped_server_answers_first_and_counts_what_it_did() {
    let server = Server::start("io.shards = 1");
    let (mut wire, mut session) = server.login(Suite::Gcm256);
    for _ in 0..3 {
        let (pending, frame) = wire.request(&mut session, b"");
        assert_eq!(wire.answer(&mut session, &pending), Ok(0));
        wire.send(&frame);
        assert_eq!(wire.answer(&mut session, &pending), Err("Replay".into()));
    }
    let log = server.stop();
    for expected in ["verified=3", "replay=3", "logins=1"] {
        assert!(log.contains(expected), "{expected} in {log}");
    }
}

/// §14.2, §14.4: work for logins is bounded; beyond it clients bring a cookie or wait, and get in.
#[test]
fn a_flood_of_logins_is_told_to_wait_and_harms_no_session() {
    let server = Server::start("io.shards = 1\nlogin.threads = 1\nlogin.queue = 8\n");
    let (mut wire, mut session) = server.login(Suite::Hs256);
    let mac1 = mvt_proto::login::Mac1::new(&server.public_key);
    let keys = server.client_keys();
    let mut floods: Vec<_> = (0..60).map(|_| (server.connect(), server.hello(&keys, Suite::Hs256))).collect();
    // All at one instant, so that the thread of the pool cannot keep up with them as they come.
    server.signal(rustix::process::Signal::STOP);
    for (flood, (_, hello)) in &mut floods {
        flood.send(hello);
    }
    server.signal(rustix::process::Signal::CONT);
    let (pending, _) = wire.request(&mut session, b"meanwhile");
    assert_eq!(wire.answer(&mut session, &pending), Ok(0));
    let (mut granted, mut told) = (0, 0);
    for (flood, (_, hello)) in &mut floods {
        let answer = flood.frame().expect("a HELLO_R or a RETRY");
        assert!(answer.len() <= hello.len());
        match answer[2] {
            0x19 => granted += 1,
            0x1a => {
                let tag = mvt_proto::suite::tag_of(hello);
                let retry =
                    mvt_proto::frame::retry::Retry::parse(&answer, 7, &tag, &mac1).expect("authentic");
                told += 1;
                if let mvt_proto::frame::retry::Retry::Cookie(cookie) = retry {
                    let (_, again) = server.hello_with(&keys, Suite::Hs256, Some(&cookie));
                    flood.send(&again);
                    let answer = flood.frame().expect("an answer to the cookie");
                    assert!([0x19, 0x1a].contains(&answer[2]));
                }
            }
            kind => panic!("kind {kind:#x}"),
        }
    }
    assert!(granted > 0 && told > 0, "{granted} granted, {told} told to wait or to bring a cookie");
}
