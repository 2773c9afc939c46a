//! More than the server can do: what it does is still worth as much, and what it keeps is bounded (CASES D-01, D-05, F-13).
//!
//! Work is counted, not timed: executed requests for each second of the server's own CPU time, by turns with and without
//! the burden, so that what else runs on the machine meets both. Deadlines are waited for once, by a server of each backend.

#[path = "support/load.rs"]
mod load;
mod support;

use std::{
    io::{ErrorKind, Write},
    thread,
    time::{Duration, Instant},
};

use load::{Source, closed_loop, overload};
use mvt_proto::{Suite, session::ClientSession};
use mvt_server::limits::{OUTPUT_BYTES_HIGH, READ_BYTES, STALL_MS};
use mvt_sys::socket::RECEIVE_BYTES;
use rustix::{
    net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size},
    process::Signal,
};
use support::{PATIENCE, Server, Wire, counted, seal};

const BACKENDS: [&str; 2] =
    ["io.backend = \"uring\"\nio.shards = 1\n", "io.backend = \"epoll\"\nio.shards = 1\n"];
const SOURCES: usize = 8;
/// Frames of each source in a run at its peak.
const FRAMES: usize = 1_000;
/// The same in a run beyond it.
const FRAMES_OVER: usize = 3_000;
/// The same beside slow senders, whose bytes come once a run: many, since what each byte's own read costs is not looked for.
const FRAMES_BESIDE: usize = 4_000;
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
        let mut peak = closed_loop(&server, &mut sources, FRAMES, IN_FLIGHT).goodput;
        for (times, rounds) in [(2, 5), (5, 3), (10, 3)] {
            let ratio = |_| {
                let over = overload(&server, &mut sources, FRAMES_OVER, IN_FLIGHT, times);
                assert_eq!(over.tally.executed, FRAMES_OVER * SOURCES, "{over:?}");
                assert_eq!(over.tally.refused, 0, "nothing was verified in vain");
                assert!(over.behind_max > 2 * IN_FLIGHT * SOURCES, "{over:?}");
                // Against the peaks before and after it: the machine may have become slower.
                let before = peak;
                peak = closed_loop(&server, &mut sources, FRAMES, IN_FLIGHT).goodput;
                2.0 * over.goodput / (before + peak)
            };
            let ratio = median((0..rounds).map(ratio).collect());
            eprintln!("{} at {times}x: goodput {:.0} % of the peak's", server.backend, 100.0 * ratio);
            // Fewer samples beyond 2x: those are looked at, not measured.
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
        set_socket_send_buffer_size(&wire.stream, own_bytes).expect("set");
        wire.stream.set_nonblocking(true).expect("set");
        let (_, frame) = seal(&mut session, &[7; 980]);
        server.signal(Signal::STOP);
        // Vain attempts in a row, not time: that also passes where this thread has no core.
        let (mut taken, mut vain) = (0, 0);
        while vain < 400 {
            match (&wire.stream).write(&frame) {
                Ok(count) => (taken, vain) = (taken + count, 0),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    vain += 1;
                    thread::sleep(Duration::from_millis(1));
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

/// D-01: however much of one connection waits, a turn takes what is read of it at once, and then others have theirs; so what it adds to
/// what its watermark has seen is bounded too.
#[test]
fn what_waits_of_one_connection_is_read_in_more_than_one_turn() {
    const FRAMES: usize = 200;
    const { assert!(FRAMES * 1_000 > 3 * READ_BYTES) };
    for config in BACKENDS {
        let server = Server::start(&format!("{config}service.kind = \"echo\"\n"));
        let (mut wire, mut session) = server.login(Suite::Hs256);
        let (pending, _) = wire.request(&mut session, b"");
        assert_eq!(wire.answer(&mut session, &pending), Ok(5));
        server.signal(Signal::STOP);
        let mut all = Vec::new();
        for _ in 0..FRAMES {
            let (pending, frame) = seal(&mut session, &[7; 1_000]);
            wire.send(&frame);
            all.push(pending);
        }
        server.signal(Signal::CONT);
        for pending in &all {
            assert_eq!(wire.answer(&mut session, pending), Ok(5));
        }
        let is_epoll = server.backend.contains("epoll");
        let turns = counted(&server.stop(), "turns");
        // The login, the first request, and what waited, by epoll less than two reads at a time.
        let reads = if is_epoll { FRAMES * 1_000 / (2 * READ_BYTES) + 1 } else { 1 };
        assert!(turns >= 2 + reads as u64, "{turns} turns for {config}");
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

/// A server and who loads it.
struct Loaded {
    server: Server,
    sources: Vec<Source>,
}

impl Loaded {
    fn new(config: &str) -> Self {
        let server = Server::start(config);
        let sources = sources(&server);
        let mut this = Self { server, sources };
        this.goodput();
        this
    }

    fn goodput(&mut self) -> f64 {
        closed_loop(&self.server, &mut self.sources, FRAMES_BESIDE, IN_FLIGHT).goodput
    }
}

/// A server with slow senders, and what it does beside them as a part of what one without any does at the same time.
struct Held {
    loaded: Loaded,
    control: Loaded,
    ratios: Vec<f64>,
    slow: Vec<Slow>,
    begun: Instant,
}

impl Held {
    const SLOW: usize = 600;

    /// With nobody slow yet.
    fn new(config: &str) -> Self {
        let (loaded, control) = (Loaded::new(config), Loaded::new(config));
        Self { loaded, control, ratios: Vec::new(), slow: Vec::new(), begun: Instant::now() }
    }

    fn begin(&mut self) {
        let server = &self.loaded.server;
        let memory_before = server.resident_bytes();
        self.begun = Instant::now();
        self.slow = (0..Self::SLOW).map(|number| slow(server, number % 6 == 0, number)).collect();
        let held = server.resident_bytes().saturating_sub(memory_before);
        assert!(held < Self::SLOW * 32 * 1024, "{held} bytes for {} slow senders", Self::SLOW);
    }

    /// Whether there may be somebody to look at before the deadline of the first.
    fn is_early(&self) -> bool {
        self.begun.elapsed() < Duration::from_millis(STALL_MS - 2_000)
    }

    fn measure(&mut self) {
        let all_open = self.slow.iter_mut().all(Slow::dribble);
        let is_before = self.begun.elapsed() < Duration::from_millis(STALL_MS - 500);
        assert!(all_open || !is_before, "before the deadline nobody is cut off");
        let before = self.control.goodput();
        let beside = self.loaded.goodput();
        let after = self.control.goodput();
        self.ratios.push(2.0 * beside / (before + after));
    }

    /// Bytes go on coming; how many are still heard.
    fn dribble(&mut self) -> usize {
        self.slow.iter_mut().map(|slow| usize::from(slow.dribble())).sum()
    }

    fn end(self) {
        let Loaded { server, sources } = self.loaded;
        // Where they took all of that time to connect there was nothing beside them.
        let ratio = if self.ratios.is_empty() { 1.0 } else { median(self.ratios) };
        eprintln!("{}: goodput beside {} slow senders {:.0} %", server.backend, Self::SLOW, 100.0 * ratio);
        assert!(ratio > 0.8, "{ratio} on {}", server.backend);
        drop(sources);
        assert!(counted(&server.stop(), "deadline_closed") >= Self::SLOW as u64);
    }
}

/// D-05: the deadline is a frame's, not a byte's, and holding many of them costs the others nothing.
#[test]
fn slow_senders_are_cut_off_by_the_frame_and_cost_the_others_nothing() {
    mvt_sys::host::raise_open_files();
    // One is measured while the other has nothing to do but to hold its own.
    let mut all = BACKENDS.map(Held::new);
    all.iter_mut().for_each(Held::begin);
    let all_begun = Instant::now();
    while all.iter().any(Held::is_early) {
        all.iter_mut().filter(|held| held.is_early()).for_each(Held::measure);
        thread::sleep(Duration::from_millis(400));
    }
    // Bytes go on coming, and do not help.
    let mut open = usize::MAX;
    while open > 0 {
        assert!(all_begun.elapsed() < Duration::from_millis(STALL_MS) + PATIENCE, "{open} are left");
        open = all.iter_mut().map(Held::dribble).sum();
        thread::sleep(Duration::from_millis(200));
    }
    all.into_iter().for_each(Held::end);
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
        let (mut wire, mut session) = server.login(Suite::Hs256);
        // Used at once: what nobody uses for ten seconds ends, and many logins follow.
        let (pending, _) = wire.request(&mut session, b"");
        assert_eq!(wire.answer(&mut session, &pending), Ok(5));
        // So that what fills up is the server's: megabytes of ours would take a slow machine its time.
        set_socket_send_buffer_size(&wire.stream, 64 * 1024).expect("set");
        set_socket_recv_buffer_size(&wire.stream, 64 * 1024).expect("set");
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

/// A server with clients that never read, and one that does.
struct Besieged {
    server: Server,
    wire: Wire,
    session: ClientSession,
    /// `None` when it was cut off.
    deaf: Vec<Option<Deaf>>,
    memory_before: usize,
    memory_max: usize,
}

impl Besieged {
    const DEAF: usize = 20;

    fn new(config: &str) -> Self {
        let server = Server::start(&format!("{config}service.kind = \"echo\"\n"));
        let (mut wire, mut session) = server.login(Suite::Hs256);
        let (pending, _) = wire.request(&mut session, b"before them");
        assert_eq!(wire.answer(&mut session, &pending), Ok(5));
        let deaf = (0..Self::DEAF).map(|_| Some(Deaf::new(&server))).collect();
        let memory_before = server.resident_bytes();
        Self { server, wire, session, deaf, memory_before, memory_max: 0 }
    }

    /// Sends on and on; how many are not cut off yet.
    fn pour(&mut self) -> usize {
        for deaf in &mut self.deaf {
            deaf.take_if(|deaf| !deaf.pour());
        }
        let (pending, _) = self.wire.request(&mut self.session, b"beside them");
        assert_eq!(self.wire.answer(&mut self.session, &pending), Ok(5));
        self.memory_max = self.memory_max.max(self.server.resident_bytes());
        self.deaf.iter().flatten().count()
    }

    fn end(self) {
        let grown = self.memory_max.saturating_sub(self.memory_before);
        // The watermark and what one turn may add to it, in memory that grows by doubling, and what the allocator keeps of that.
        let most = Self::DEAF * 8 * OUTPUT_BYTES_HIGH + (16 << 20);
        eprintln!(
            "{}: {} KiB for each client that never reads",
            self.server.backend,
            grown / Self::DEAF / 1024
        );
        assert!(grown < most, "{grown} bytes for {} clients", Self::DEAF);
        let log = self.server.stop();
        assert!(counted(&log, "reads_paused") >= Self::DEAF as u64, "{log}");
        assert!(counted(&log, "deadline_closed") >= Self::DEAF as u64, "{log}");
    }
}

/// F-13: reading from a client that does not read stops, then it is cut off; the others do not notice.
#[test]
fn clients_that_never_read_are_not_read_and_then_cut_off() {
    let mut all = BACKENDS.map(Besieged::new);
    let begun = Instant::now();
    let mut left = usize::MAX;
    while left > 0 {
        assert!(begun.elapsed() < Duration::from_millis(2 * STALL_MS) + PATIENCE, "{left} are not cut off");
        left = all.iter_mut().map(Besieged::pour).sum();
        thread::sleep(Duration::from_millis(20));
    }
    all.into_iter().for_each(Besieged::end);
}
