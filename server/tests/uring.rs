//! What can go wrong with completions: the properties of CASES U-*, on the server as a process.

mod support;

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use mvt_proto::{
    Suite,
    session::{ClientSession, Pending},
};
use rustix::process::Signal;
use support::{Server, Wire, counted, seal, stopwatch::Stopwatch, wait_for};

const URING: &str = "io.backend = \"uring\"\nio.shards = 1\n";

/// A small generator, so that a failure is told by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

fn burst(session: &mut ClientSession, count: usize) -> (Vec<Pending>, Vec<u8>) {
    let (pending, frames): (Vec<_>, Vec<_>) = (0..count).map(|_| seal(session, b"some load")).unzip();
    (pending, frames.concat())
}

fn answers_all(wire: &mut Wire, session: &mut ClientSession, pending: &[Pending]) {
    for request in pending {
        assert_eq!(wire.answer(session, request), Ok(0));
    }
}

fn still_serves(server: &Server) {
    let (mut wire, mut session) = server.login(Suite::Hs256);
    let (pending, _) = wire.request(&mut session, b"still there");
    assert_eq!(wire.answer(&mut session, &pending), Ok(0));
}

#[test]
fn a_close_with_a_receive_in_flight_is_heard_at_once() {
    let server = Server::start(URING);
    let mut waits: Vec<Duration> = (0..40)
        .map(|_| {
            let mut wire = server.connect();
            // The receive is armed by now: only its cancellation, or our own shutdown, tells the peer.
            thread::sleep(Duration::from_millis(2));
            let started = Stopwatch::start(server.process_id());
            wire.send(&[0, 0]);
            wire.expect_close();
            started.elapsed()
        })
        .collect();
    waits.sort();
    assert!(waits[20] <= Duration::from_millis(10), "the median is {:?}", waits[20]);
    assert!(waits[39] < Duration::from_millis(500), "the longest is {:?}", waits[39]);
}

/// SPEC §17.1.3, §17.1.4.
#[test]
fn a_peer_that_closes_first_is_answered_with_a_close_at_once() {
    let server = Server::start(URING);
    for _ in 0..20 {
        let (mut wire, mut session) = server.login(Suite::Hs256);
        let (pending, frames) = burst(&mut session, 100);
        wire.send(&frames);
        wire.stream.shutdown(std::net::Shutdown::Write).expect("half closed");
        let started = Stopwatch::start(server.process_id());
        answers_all(&mut wire, &mut session, &pending);
        wire.expect_close();
        assert!(started.elapsed() < Duration::from_millis(900), "before any deadline");
    }
}

#[test]
fn more_than_the_buffers_hold_is_lost_for_nobody() {
    let server = Server::start(URING);
    let mut clients: Vec<_> = (0..64)
        .map(|_| {
            let (mut wire, mut session) = server.login(Suite::Hs256);
            // Used at once: what nobody uses for ten seconds ends.
            let (pending, _) = wire.request(&mut session, b"");
            assert_eq!(wire.answer(&mut session, &pending), Ok(0));
            (wire, session)
        })
        .collect();
    for _ in 0..3 {
        // 64 connections with 30 KiB each, all readable at one instant: four times what the buffers hold.
        server.signal(Signal::STOP);
        let pending: Vec<_> = clients
            .iter_mut()
            .map(|(wire, session)| {
                let (pending, frames) = burst(session, 600);
                wire.send(&frames);
                pending
            })
            .collect();
        server.signal(Signal::CONT);
        for ((wire, session), pending) in clients.iter_mut().zip(&pending) {
            answers_all(wire, session, pending);
        }
    }
    assert!(counted(&server.stop(), "buffers_exhausted") > 0, "the buffers ran out, and it was counted");
}

#[test]
fn ten_thousand_short_connections_leak_nothing() {
    // A descriptor kept by each would use up 256 places soon.
    let server = Server::start(&format!("{URING}limits.connections_max = 256\n"));
    still_serves(&server);
    let (_first, mut session) = server.login(Suite::Hs256);
    let before = server.open_files();
    for round in 0..5_000 {
        // As many that are honest: strangers alone would have to wait.
        let mut guest = server.connect();
        let (pending, _) = guest.request(&mut session, b"");
        assert_eq!(guest.answer(&mut session, &pending), Ok(0));
        drop(guest);
        let mut stream = TcpStream::connect(server.address).expect("connected");
        match round % 4 {
            0 => {}
            1 => stream.write_all(&[0, 42, 0x11]).expect("sent"),
            2 => stream.shutdown(std::net::Shutdown::Write).expect("half closed"),
            // Refused by the server, which closes first.
            _ => {
                stream.write_all(&[0, 0]).expect("sent");
                let _ = stream.read(&mut [0; 8]);
            }
        }
        if round % 500 == 499 {
            drop(stream);
            thread::sleep(Duration::from_millis(200));
            still_serves(&server);
        }
    }
    // It may have a file open for a moment.
    wait_for("closed", || server.open_files() <= before);
    let log = server.stop();
    assert_eq!(counted(&log, "connections_opened"), counted(&log, "connections_closed"), "{log}");
}

/// One client that closes so many connections at any moment, with answers under way.
fn churn(server: &Server, seed: u64, count: usize) {
    let mut random = Random(seed);
    for _ in 0..count {
        let (mut wire, mut session) = server.login(Suite::Hs256);
        let count = 1 + random.below(300);
        let (pending, frames) = burst(&mut session, count);
        wire.send(&frames);
        answers_all(&mut wire, &mut session, &pending[..random.below(count)]);
        if random.below(3) == 0 {
            let _ = wire.stream.shutdown(std::net::Shutdown::Write);
        }
        drop(wire);
    }
}

#[test]
fn no_completion_is_credited_to_a_place_used_again() {
    const CLOSED: usize = 100;
    for config in [URING, "io.backend = \"uring\"\nio.shards = 2\nio.spin_us = 20\n"] {
        let server = Server::start(config);
        let seed = u64::from(std::process::id()) << 16 | 1;
        thread::scope(|scope| {
            let churning: Vec<_> = (0..4)
                .map(|index| {
                    let server = &server;
                    scope.spawn(move || churn(server, seed + index, CLOSED))
                })
                .collect();
            let (mut wire, mut session) = server.login(Suite::Hs256);
            // As long as one of them goes on, however long that takes.
            while !churning.iter().all(|churning| churning.is_finished()) {
                // Every answer is verified under the key of this session: bytes of another connection would not be.
                let (pending, frames) = burst(&mut session, 50);
                wire.send(&frames);
                answers_all(&mut wire, &mut session, &pending);
            }
            for churning in churning {
                assert!(churning.join().is_ok(), "every answer verifies; seed {seed}");
            }
        });
    }
}

#[test]
fn a_shutdown_under_load_ends() {
    for config in [URING, "io.backend = \"uring\"\nio.shards = 2\n"] {
        let server = Server::start(config);
        let mut flooders: Vec<_> = (0..8).map(|_| server.login(Suite::Hs256)).collect();
        let is_over = AtomicBool::new(false);
        let address = server.address;
        thread::scope(|scope| {
            for (index, (wire, session)) in flooders.iter_mut().enumerate() {
                let is_over = &is_over;
                scope.spawn(move || {
                    wire.stream.set_nonblocking(true).expect("set");
                    while !is_over.load(Ordering::Relaxed) {
                        let (_, frames) = burst(session, 100);
                        let sent = wire.stream.write_all(&frames);
                        // Half of them never read.
                        if index % 2 == 0 {
                            let _ = wire.stream.read(&mut [0; 65536]);
                        }
                        if sent.is_err_and(|error| error.kind() != ErrorKind::WouldBlock) {
                            return;
                        }
                        let _ = TcpStream::connect(address);
                    }
                });
            }
            thread::sleep(Duration::from_millis(500));
            let started = Stopwatch::start(server.process_id());
            server.signal(Signal::TERM);
            while server.is_running() && started.elapsed() < Duration::from_secs(6) {
                thread::sleep(Duration::from_millis(5));
            }
            is_over.store(true, Ordering::Relaxed);
            assert!(!server.is_running(), "it goes on and on");
            let log = server.stop();
            assert!(log.contains("stopped"), "{log}");
        });
    }
}

#[test]
fn few_open_files_bound_the_connections_and_harm_nobody() {
    let server = Server::start_with_open_files(URING, 48);
    let mut clients: Vec<_> = (0..40)
        .map(|_| {
            let (mut wire, mut session) = server.login(Suite::Hs256);
            // Used at once: what nobody uses for ten seconds ends.
            let (pending, _) = wire.request(&mut session, b"");
            assert_eq!(wire.answer(&mut session, &pending), Ok(0));
            (wire, session)
        })
        .collect();
    // More than there is room for: some of these are closed at once.
    let others: Vec<TcpStream> =
        (0..100).map(|_| TcpStream::connect(server.address).expect("in the backlog")).collect();
    thread::sleep(Duration::from_millis(300));
    for (wire, session) in &mut clients {
        let (pending, _) = wire.request(session, b"");
        assert_eq!(wire.answer(session, &pending), Ok(0));
    }
    drop(others);
    // Until it has seen that those are gone, it has no room for another one, which it closes then.
    wait_for("let in", || {
        let mut wire = server.connect();
        let (initiator, hello) = server.hello(&server.client_keys(), Suite::Hs256);
        let Ok(()) = wire.stream.write_all(&hello) else { return false };
        let Some(frame) = wire.frame() else { return false };
        let mut session = initiator.finish(&frame, mvt_sys::clock::boottime_ms()).expect("honest");
        let (pending, _) = wire.request(&mut session, b"");
        wire.answer(&mut session, &pending) == Ok(0)
    });
    drop(clients);
    assert!(counted(&server.stop(), "accept_failed") > 0, "what was turned away was counted");
}

/// As long as nothing is closed it fails each time: at 33 accept queues that would be hundreds of lines a second.
#[test]
fn that_there_are_too_few_open_files_is_said_once() {
    for backend in ["uring", "epoll"] {
        let server = Server::start_with_open_files(&format!("io.backend = \"{backend}\"\nio.shards = 1"), 60);
        let _others: Vec<TcpStream> =
            (0..100).map(|_| TcpStream::connect(server.address).expect("in the backlog")).collect();
        thread::sleep(Duration::from_millis(500));
        let log = server.stop();
        assert!(counted(&log, "accept_failed") > 5, "{log}");
        let said = log.lines().filter(|line| line.contains("accept failed")).collect::<Vec<_>>();
        let of_admin = said.iter().filter(|line| line.contains("admin socket")).count();
        assert!(of_admin <= 1 && said.len() - of_admin == 1, "{said:#?}");
    }
}

#[test]
fn a_reader_that_comes_back_gets_every_answer() {
    let server = Server::start(URING);
    let (wire, mut session) = server.login(Suite::Hs256);
    let mut sender = wire.stream.try_clone().expect("cloned");
    let mut wire = wire;
    let (pending, frames) = burst(&mut session, 60_000);
    thread::scope(|scope| {
        scope.spawn(move || sender.write_all(&frames).expect("sent"));
        // Long enough for every buffer on the way to fill up.
        thread::sleep(Duration::from_secs(2));
        answers_all(&mut wire, &mut session, &pending);
    });
}
