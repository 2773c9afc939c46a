//! More than the server can do: what it does is still worth as much, and what it keeps is bounded (CASES D-01, D-05, F-13).
//!
//! Work is counted, not timed: executed requests for each second of the server's own CPU time, by turns with and without
//! the burden, so that what else runs on the machine meets both.

#[path = "support/load.rs"]
mod load;
mod support;

use std::{
    io::{ErrorKind, Write},
    thread,
    time::{Duration, Instant},
};

use load::{Source, closed_loop, open_loop};
use mvt_proto::{Suite, session::ClientSession};
use mvt_server::limits::{OUTPUT_BYTES_HIGH, STALL_MS};
use mvt_sys::socket::RECEIVE_BYTES;
use rustix::process::Signal;
use support::{PATIENCE, Server, Wire, counted, seal};

const BACKENDS: [&str; 2] =
    ["io.backend = \"uring\"\nio.shards = 1\n", "io.backend = \"epoll\"\nio.shards = 1\n"];
const SOURCES: usize = 8;
/// Frames of each source in a run at its peak.
const FRAMES: usize = 2_500;
const IN_FLIGHT: usize = 256;

fn sources(server: &Server) -> Vec<Source> {
    (0..SOURCES).map(|_| Source::new(server)).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// D-01. Nothing is refused, and a request costs no more CPU than at the peak: 95 % of its goodput at twice the load. What is
/// asserted leaves room for the noise of a machine that others use.
#[test]
fn goodput_does_not_fall_when_more_is_offered_than_can_be_done() {
    for config in BACKENDS {
        let server = Server::start(config);
        let mut sources = sources(&server);
        closed_loop(&server, &mut sources, FRAMES, IN_FLIGHT);
        for (times, rounds) in [(2, 5), (5, 1), (10, 1)] {
            let mut ratios = Vec::new();
            for _ in 0..4 * rounds {
                let peak = closed_loop(&server, &mut sources, FRAMES, IN_FLIGHT);
                // As many times the frames in the time the peak took.
                let over = open_loop(&server, &mut sources, times * FRAMES, peak.elapsed);
                assert_eq!(over.tally.executed, times * FRAMES * SOURCES, "{over:?}");
                assert_eq!(over.tally.refused, 0, "nothing was verified in vain");
                // Where this thread had no core for a while it was none.
                let is_overload = over.behind_max > 2 * IN_FLIGHT * SOURCES;
                ratios.extend(is_overload.then_some(over.goodput / peak.goodput));
                if ratios.len() == rounds {
                    break;
                }
            }
            assert!(!ratios.is_empty(), "the generator got ahead at least once");
            let ratio = median(ratios);
            eprintln!("{} at {times}x: goodput {:.0} % of the peak's", server.backend, 100.0 * ratio);
            // One sample each beyond 2x: those are looked at, not measured.
            let least = if times == 2 { 0.8 } else { 0.6 };
            assert!(ratio > least, "{ratio} at {times}x on {}", server.backend);
        }
    }
}

/// D-01: what waits before the server is bounded for each connection, so that it is judged before it is stale.
#[test]
fn what_waits_to_be_read_is_bounded() {
    for config in BACKENDS {
        let server = Server::start(config);
        let (wire, mut session) = server.login(Suite::Hs256);
        let own_bytes = 64 * 1024;
        rustix::net::sockopt::set_socket_send_buffer_size(&wire.stream, own_bytes).expect("set");
        wire.stream.set_nonblocking(true).expect("set");
        let (_, frame) = seal(&mut session, &[7; 980]);
        server.signal(Signal::STOP);
        let (mut taken, mut last) = (0, Instant::now());
        while last.elapsed() < Duration::from_millis(500) {
            match (&wire.stream).write(&frame) {
                Ok(count) => (taken, last) = (taken + count, Instant::now()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    thread::sleep(Duration::from_millis(1))
                }
                Err(error) => panic!("{error}"),
            }
        }
        server.signal(Signal::CONT);
        // The kernel doubles both sizes, and lets a little more through.
        assert!(taken <= 3 * (RECEIVE_BYTES + own_bytes), "{taken} bytes wait");
        assert!(taken > RECEIVE_BYTES / 4, "{taken} bytes: the canary");
    }
}

/// A frame that never gets whole: one byte after another.
struct Slow {
    wire: Wire,
    frame: Vec<u8>,
    sent: usize,
}

impl Slow {
    /// Sends the next byte; false when the server has closed.
    fn dribble(&mut self) -> bool {
        let sent = self.wire.stream.write_all(&self.frame[self.sent..=self.sent]);
        self.sent += 1;
        sent.is_ok()
    }
}

fn slow(server: &Server, is_known: bool, number: usize) -> Slow {
    let mut wire = server.connect();
    // Some stop in the header, some in the payload.
    let frame = if is_known {
        let mut session = server.login_on(&mut wire, Suite::Hs256);
        let (pending, _) = wire.request(&mut session, b"");
        assert_eq!(wire.answer(&mut session, &pending), Ok(0));
        seal(&mut session, &[0; 500]).1
    } else {
        server.hello(&server.client_keys(), Suite::Hs256).1.to_vec()
    };
    let start = [1, 3, 20, 300][number % 4];
    wire.send(&frame[..start]);
    Slow { wire, frame, sent: start }
}

/// D-05: the deadline is a frame's, not a byte's, and holding many of them costs the others nothing.
#[test]
fn slow_senders_are_cut_off_by_the_frame_and_cost_the_others_nothing() {
    const SLOW: usize = 600;
    mvt_sys::host::raise_open_files();
    for config in BACKENDS {
        let server = Server::start(config);
        let mut sources = sources(&server);
        closed_loop(&server, &mut sources, FRAMES, IN_FLIGHT);
        let mut alone: Vec<f64> =
            (0..4).map(|_| closed_loop(&server, &mut sources, FRAMES, IN_FLIGHT).goodput).collect();
        let memory_before = server.resident_bytes();
        let begun = Instant::now();
        let mut slow: Vec<Slow> = (0..SLOW).map(|number| slow(&server, number % 6 == 0, number)).collect();
        let held = server.resident_bytes().saturating_sub(memory_before);
        let all_begun = Instant::now();
        let mut beside = Vec::new();
        while begun.elapsed() < Duration::from_millis(STALL_MS - 2_000) {
            let all_open = slow.iter_mut().all(Slow::dribble);
            let is_early = begun.elapsed() < Duration::from_millis(STALL_MS - 500);
            assert!(all_open || !is_early, "before the deadline nobody is cut off");
            beside.push(closed_loop(&server, &mut sources, FRAMES, IN_FLIGHT).goodput);
            thread::sleep(Duration::from_millis(800));
        }
        assert!(held < SLOW * 32 * 1024, "{held} bytes for {SLOW} slow senders");
        // Bytes go on coming, and do not help.
        let mut open = SLOW;
        while open > 0 {
            assert!(all_begun.elapsed() < Duration::from_millis(STALL_MS) + PATIENCE, "{open} are left");
            open = slow.iter_mut().map(|slow| usize::from(slow.dribble())).sum();
            thread::sleep(Duration::from_millis(200));
        }
        alone.extend((0..4).map(|_| closed_loop(&server, &mut sources, FRAMES, IN_FLIGHT).goodput));
        // Where they took all of that time to connect there was nothing beside them.
        let ratio = if beside.is_empty() { 1.0 } else { median(beside) / median(alone) };
        eprintln!("{}: goodput beside {SLOW} slow senders {:.0} %", server.backend, 100.0 * ratio);
        assert!(ratio > 0.75, "{ratio} on {}", server.backend);
        drop(sources);
        assert!(counted(&server.stop(), "deadline_closed") >= SLOW as u64);
    }
}

/// A client that sends for ever and never reads.
struct Deaf {
    wire: Wire,
    session: ClientSession,
    frame: Vec<u8>,
    sent: usize,
}

impl Deaf {
    fn new(server: &Server) -> Self {
        let (wire, session) = server.login(Suite::Hs256);
        wire.stream.set_nonblocking(true).expect("set");
        Self { wire, session, frame: Vec::new(), sent: 0 }
    }

    /// Sends as much as the socket takes; false when the server has closed.
    fn pour(&mut self) -> bool {
        loop {
            if self.sent == self.frame.len() {
                (self.frame, self.sent) = (seal(&mut self.session, &[9; 8_000]).1, 0);
            }
            match self.wire.stream.write(&self.frame[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }
}

/// F-13: reading from a client that does not read stops, then it is cut off; the others do not notice.
#[test]
fn clients_that_never_read_are_not_read_and_then_cut_off() {
    const DEAF: usize = 20;
    for config in BACKENDS {
        let server = Server::start(&format!("{config}service.kind = \"echo\"\n"));
        let (mut other_wire, mut other) = server.login(Suite::Hs256);
        // Used at once: a session that nobody uses is forgotten, and many logins follow.
        let (pending, _) = other_wire.request(&mut other, b"before them");
        assert_eq!(other_wire.answer(&mut other, &pending), Ok(5));
        let mut deaf: Vec<Deaf> = (0..DEAF).map(|_| Deaf::new(&server)).collect();
        let memory_before = server.resident_bytes();
        let begun = Instant::now();
        let mut is_cut_off = [false; DEAF];
        let mut memory_max = 0;
        while is_cut_off.contains(&false) {
            assert!(
                begun.elapsed() < Duration::from_millis(2 * STALL_MS) + PATIENCE,
                "all are cut off in time"
            );
            for (deaf, is_cut_off) in deaf.iter_mut().zip(&mut is_cut_off) {
                *is_cut_off = *is_cut_off || !deaf.pour();
            }
            let (pending, _) = other_wire.request(&mut other, b"beside them");
            assert_eq!(other_wire.answer(&mut other, &pending), Ok(5));
            memory_max = memory_max.max(server.resident_bytes());
            thread::sleep(Duration::from_millis(20));
        }
        let grown = memory_max.saturating_sub(memory_before);
        // The watermark and what one turn may add to it, in memory that grows by doubling, and as much again under way.
        assert!(grown < DEAF * 8 * OUTPUT_BYTES_HIGH + (16 << 20), "{grown} bytes for {DEAF} clients");
        let log = server.stop();
        assert!(counted(&log, "reads_paused") >= DEAF as u64, "{log}");
        assert!(counted(&log, "deadline_closed") >= DEAF as u64, "{log}");
    }
}
