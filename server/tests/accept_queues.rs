//! Accept queues: what a flood by one of them costs, and that others have theirs (CASES D-04).

#[path = "support/rig.rs"]
mod rig;
mod support;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::fd::OwnedFd,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use mvt_proto::{Limits, Suite};
use mvt_server::{
    driver::placing::{Glance, Placing},
    limits::{
        ACCEPTS_PER_INTERVAL_MAX, ACCEPTS_STRANGE_ALL_MAX, ACCEPTS_STRANGE_MAX, ACCEPTS_UNKNOWN_MAX,
        LOGINS_PER_CONNECTION_MAX, QUEUES_REDRAWN_MS, STRANGERS_FREE, STRANGERS_HALF_MS, SWEEP_INTERVAL_MS,
        UNKNOWN_ALL_MAX, UNKNOWN_MAX,
    },
    service::ServiceKind,
    shard::{Backlog, ConnectionId, SweepHand},
};
use mvt_sys::{
    port_steering::{QUEUE_COUNT, SET_APART, Source},
    socket::listen_tcp,
};
use rig::{ORIGIN_MS, Rig};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, recv, send, socket_with,
    },
};
use support::{PATIENCE, Server, Wire, counted, wait_for};

/// The one that is flooded.
const FLOODED: usize = 5;

fn rig() -> Rig {
    Rig::new(ServiceKind::Verdict, Limits::DEFAULT, 4, 1)
}

/// Begins the next interval.
fn sweep(rig: &mut Rig, now_ms: &mut u64) {
    *now_ms += SWEEP_INTERVAL_MS;
    rig.shard.sweep(&mut SweepHand::default(), *now_ms, |_| {});
}

fn open(rig: &mut Rig, queue: usize, now_ms: u64) -> ConnectionId {
    rig.shard.open_from(queue, ([127, 0, 0, 1], 9).into(), now_ms).expect("room")
}

/// Comes and goes for as long as the queue is taken from, at most so often; how often.
fn churn(rig: &mut Rig, queue: usize, now_ms: u64, most: u32) -> u32 {
    (0..most)
        .take_while(|_| {
            let is_wanted = rig.shard.wants_accept(queue);
            if is_wanted {
                let id = open(rig, queue, now_ms);
                rig.shard.close(id);
            }
            is_wanted
        })
        .count() as u32
}

#[test]
fn a_queue_of_strangers_is_taken_from_sparingly_and_the_others_freely() {
    let (mut rig, mut now_ms) = (rig(), ORIGIN_MS);
    sweep(&mut rig, &mut now_ms);
    assert_eq!(churn(&mut rig, FLOODED, now_ms, 1000), STRANGERS_FREE + 1, "until it is known");
    assert_eq!(rig.shard.next_backlog(FLOODED), Some(Backlog::Narrow));
    for _ in 0..100 {
        sweep(&mut rig, &mut now_ms);
        assert_eq!(churn(&mut rig, FLOODED, now_ms, 1000), ACCEPTS_STRANGE_MAX);
        assert_eq!(rig.shard.next_backlog(FLOODED), None, "said once");
        for queue in (0..QUEUE_COUNT).filter(|queue| *queue != FLOODED) {
            assert!(rig.shard.wants_accept(queue), "{queue}");
            assert_eq!(rig.shard.next_backlog(queue), None);
        }
    }
    assert!(rig.shard.has_strange_queue());
    // It ends, and is forgotten.
    for _ in 0..8 * STRANGERS_HALF_MS / SWEEP_INTERVAL_MS {
        sweep(&mut rig, &mut now_ms);
    }
    assert!(!rig.shard.has_strange_queue());
    assert_eq!(rig.shard.next_backlog(FLOODED), Some(Backlog::Wide));
    assert_eq!(churn(&mut rig, FLOODED, now_ms, STRANGERS_FREE), STRANGERS_FREE);
}

/// A flood from everywhere: all together have a bound, and each has its turn.
#[test]
fn all_queues_of_strangers_together_are_taken_from_sparingly_and_each_has_its_turn() {
    let (mut rig, mut now_ms) = (rig(), ORIGIN_MS);
    sweep(&mut rig, &mut now_ms);
    for queue in 0..QUEUE_COUNT {
        churn(&mut rig, queue, now_ms, 1000);
    }
    let mut taken = [0; QUEUE_COUNT];
    const INTERVALS: usize = 100;
    for _ in 0..INTERVALS {
        sweep(&mut rig, &mut now_ms);
        let mut of_all = 0;
        for (queue, taken) in taken.iter_mut().enumerate() {
            let count = churn(&mut rig, queue, now_ms, 1000);
            *taken += count;
            of_all += count;
        }
        assert_eq!(of_all, ACCEPTS_STRANGE_ALL_MAX);
    }
    let each = INTERVALS as u32 * ACCEPTS_STRANGE_ALL_MAX / QUEUE_COUNT as u32;
    assert!(taken.iter().all(|taken| taken.abs_diff(each) <= 1), "{taken:?}");
}

/// Ten thousand clients of one address that come back with the keys they have, as after a restart of what is between.
#[test]
fn a_herd_of_honest_clients_of_one_address_is_taken_in_freely() {
    let (mut rig, now_ms) = (rig(), ORIGIN_MS);
    let mut session = rig.sessions(1, Suite::Hs256, Limits::DEFAULT).pop().expect("one");
    for count in 0..10_000 {
        assert!(rig.shard.wants_accept(FLOODED), "{count}");
        let id = open(&mut rig, FLOODED, now_ms);
        let mut frame = Vec::new();
        session.seal_request(1, b"", now_ms, &mut frame).expect("sealable");
        rig.shard.ingest(id, &frame, now_ms);
        rig.shard.turn(now_ms);
        if count % 3 == 0 {
            rig.shard.close(id);
        }
    }
    assert_eq!(rig.counters.accepts_paused.get(), 0);
    assert!(!rig.shard.has_strange_queue());
}

/// Nor is it held against an address that some of those behind it never log in, as long as more do.
#[test]
fn a_queue_with_more_guests_than_strangers_is_taken_from_freely() {
    let (mut rig, now_ms) = (rig(), ORIGIN_MS);
    let mut session = rig.sessions(1, Suite::Hs256, Limits::DEFAULT).pop().expect("one");
    for count in 0..1_000 {
        let [guest, stranger] = [open(&mut rig, FLOODED, now_ms), open(&mut rig, FLOODED, now_ms)];
        let mut frame = Vec::new();
        session.seal_request(1, b"", now_ms, &mut frame).expect("sealable");
        rig.shard.ingest(guest, &frame, now_ms);
        rig.shard.turn(now_ms);
        assert!(rig.shard.wants_accept(FLOODED), "{count}");
        rig.shard.close(stranger);
    }
}

/// While logins wait all are taken in at a pace, but for one of each queue by which nobody came.
#[test]
fn while_logins_wait_connections_are_taken_in_at_a_pace() {
    let (mut rig, mut now_ms) = (rig(), ORIGIN_MS);
    let hello = *rig.hello();
    for _ in 0..2 * ACCEPTS_PER_INTERVAL_MAX {
        open(&mut rig, FLOODED, now_ms);
        assert!(rig.shard.wants_accept(FLOODED), "nobody logs in");
    }
    sweep(&mut rig, &mut now_ms);
    // More than half of the queue of sixteen.
    for _ in 0..3 {
        let id = open(&mut rig, FLOODED, now_ms);
        for _ in 0..LOGINS_PER_CONNECTION_MAX {
            rig.shard.ingest(id, &hello, now_ms);
        }
        rig.shard.turn(now_ms);
    }
    for count in 4..=ACCEPTS_PER_INTERVAL_MAX {
        open(&mut rig, FLOODED, now_ms);
        assert_eq!(rig.shard.wants_accept(FLOODED), count < ACCEPTS_PER_INTERVAL_MAX, "{count}");
    }
    for queue in (0..QUEUE_COUNT).filter(|queue| *queue != FLOODED) {
        assert!(rig.shard.wants_accept(queue), "one of each");
        open(&mut rig, queue, now_ms);
        assert!(!rig.shard.wants_accept(queue), "and no more");
    }
    sweep(&mut rig, &mut now_ms);
    assert!(rig.shard.wants_accept(FLOODED), "the next interval");
}

/// Nor are many of all queues.
#[test]
fn queues_of_many_that_say_nothing_are_taken_from_at_a_pace() {
    let (mut rig, mut now_ms) = (rig(), ORIGIN_MS);
    let open_all = |rig: &mut Rig, now_ms| {
        let before = rig.shard.connection_count();
        while (0..QUEUE_COUNT).fold(false, |any, queue| {
            let is_wanted = rig.shard.wants_accept(queue);
            if is_wanted {
                open(rig, queue, now_ms);
            }
            any | is_wanted
        }) {}
        (rig.shard.connection_count() - before) as u32
    };
    assert_eq!(open_all(&mut rig, now_ms), UNKNOWN_ALL_MAX + 1);
    assert_eq!(
        rig.shard.next_backlog(FLOODED),
        Some(Backlog::Middle),
        "what waits is not in the way for long"
    );
    for _ in 0..10 {
        sweep(&mut rig, &mut now_ms);
        // One of each, which is more than the bound of all.
        assert_eq!(open_all(&mut rig, now_ms), QUEUE_COUNT as u32);
        assert!(QUEUE_COUNT as u32 > ACCEPTS_UNKNOWN_MAX);
        sweep(&mut rig, &mut now_ms);
        let mut of_one = 0;
        while rig.shard.wants_accept(FLOODED) {
            open(&mut rig, FLOODED, now_ms);
            of_one += 1;
        }
        assert_eq!(of_one, ACCEPTS_UNKNOWN_MAX);
    }
}

/// Who floods is named, and what was held against its queue is forgiven when it has another.
#[test]
fn an_address_that_floods_is_named() {
    let (mut rig, now_ms) = (rig(), ORIGIN_MS);
    assert_eq!(rig.shard.suspects().count(), 0);
    churn(&mut rig, FLOODED, now_ms, 1000);
    let flooder = Source::address(Ipv4Addr::LOCALHOST.into());
    assert_eq!(rig.shard.suspects().collect::<Vec<_>>(), [(FLOODED, Some(flooder))]);
    rig.shard.forgive(FLOODED);
    assert_eq!(rig.shard.suspects().count(), 0);
    assert!(rig.shard.wants_accept(FLOODED));
}

/// Who says nothing is not known to be a stranger before it ends.
#[test]
fn a_queue_of_many_that_say_nothing_is_taken_from_at_a_pace() {
    let (mut rig, mut now_ms) = (rig(), ORIGIN_MS);
    while rig.shard.wants_accept(FLOODED) {
        open(&mut rig, FLOODED, now_ms);
    }
    assert_eq!(rig.shard.connection_count() as u32, UNKNOWN_MAX + 1 + 1, "and the rig's own");
    for _ in 0..5 {
        sweep(&mut rig, &mut now_ms);
        let before = rig.shard.connection_count();
        while rig.shard.wants_accept(FLOODED) {
            open(&mut rig, FLOODED, now_ms);
        }
        assert_eq!((rig.shard.connection_count() - before) as u32, ACCEPTS_PER_INTERVAL_MAX);
    }
}

/// What ends after addresses were given other queues is held against the queue its address has now.
#[test]
fn strangers_are_held_against_the_queue_their_address_has() {
    let (mut rig, mut now_ms) = (rig(), ORIGIN_MS);
    let strangers: Vec<ConnectionId> = (0..100).map(|_| open(&mut rig, FLOODED, now_ms)).collect();
    churn(&mut rig, FLOODED, now_ms, 1000);
    assert!(rig.shard.has_strange_queue());
    rig.shard.move_queues(|address| if address == Ipv4Addr::LOCALHOST { FLOODED + 1 } else { FLOODED });
    assert!(!rig.shard.has_strange_queue(), "what was known was of others");
    strangers.into_iter().for_each(|id| rig.shard.close(id));
    sweep(&mut rig, &mut now_ms);
    assert!(rig.shard.wants_accept(FLOODED));
    assert_eq!(churn(&mut rig, FLOODED + 1, now_ms, 1000), ACCEPTS_STRANGE_MAX);
}

/// Listeners that nobody accepts from but the test.
struct Doors {
    listeners: Vec<TcpListener>,
    placing: Placing,
}

impl Doors {
    fn new() -> Self {
        let listeners = listen_tcp(([127, 0, 0, 1], 0).into(), QUEUE_COUNT).expect("listening");
        let placing = Placing::new(&listeners, 1).expect("randomness");
        Self { listeners, placing }
    }

    /// By which queue a connection from `source` comes.
    fn queue_of(&self, source: Ipv4Addr) -> usize {
        let wire = Wire::connect_from(source, self.listeners[0].local_addr().expect("bound"));
        let peer = wire.stream.local_addr().expect("bound");
        let came = |listener: &TcpListener| listener.accept().is_ok_and(|(_, from)| from == peer);
        // The client's end is done with the handshake before ours, where the kernel has more to do than it does at once.
        let mut queue = None;
        wait_for("come", || {
            queue = self.listeners.iter().position(came);
            queue.is_some()
        });
        queue.expect("waited for")
    }
}

/// So many strangers of `source` come and go by `queue`.
fn flood(rig: &mut Rig, queue: usize, source: Ipv4Addr, now_ms: u64) {
    let id = rig.shard.open_from(queue, (source, 9).into(), now_ms).expect("room");
    rig.shard.close(id);
}

/// Who floods a queue has another one at once, its neighbours keep theirs, and when it is over it comes back.
#[test]
fn an_address_that_floods_is_set_apart_for_as_long_as_it_does() {
    let (mut rig, mut now_ms, doors, mut glance) = (rig(), ORIGIN_MS, Doors::new(), Glance::default());
    let [flooder, neighbour] = [Ipv4Addr::new(127, 5, 0, 1), Ipv4Addr::new(127, 5, 0, 2)];
    let before = [doors.queue_of(flooder), doors.queue_of(neighbour)];
    for _ in 0..=STRANGERS_FREE {
        flood(&mut rig, before[0], flooder, now_ms);
    }
    doors.placing.look_at(&mut rig.shard, &mut glance, now_ms);
    assert_eq!([doors.queue_of(flooder), doors.queue_of(neighbour)], [SET_APART, before[1]]);
    assert!(!rig.shard.has_strange_queue(), "its queue is forgiven");
    // It goes on there, and stays.
    for _ in 0..2 * QUEUES_REDRAWN_MS / SWEEP_INTERVAL_MS {
        sweep(&mut rig, &mut now_ms);
        flood(&mut rig, SET_APART, flooder, now_ms);
        doors.placing.look_at(&mut rig.shard, &mut glance, now_ms);
    }
    assert_eq!([doors.queue_of(flooder), doors.queue_of(neighbour)], [SET_APART, before[1]]);
    for _ in 0..=2 * QUEUES_REDRAWN_MS / SWEEP_INTERVAL_MS {
        sweep(&mut rig, &mut now_ms);
        doors.placing.look_at(&mut rig.shard, &mut glance, now_ms);
    }
    assert_eq!([doors.queue_of(flooder), doors.queue_of(neighbour)], before);
}

/// Where nobody can be named, addresses are given other queues while the flood lasts.
#[test]
fn addresses_have_other_queues_when_a_flood_goes_on() {
    let (mut rig, mut now_ms, doors, mut glance) = (rig(), ORIGIN_MS, Doors::new(), Glance::default());
    let queues = || (0..64).map(|last| doors.queue_of(Ipv4Addr::new(127, 6, last, last))).collect::<Vec<_>>();
    let before = queues();
    for (number, elapsed_ms, is_same) in [(0, 0, true), (1, QUEUES_REDRAWN_MS - 1, true), (2, 1, false)] {
        now_ms += elapsed_ms;
        (0..200).for_each(|last| flood(&mut rig, FLOODED, Ipv4Addr::new(127, last, number, 1), now_ms));
        doors.placing.look_at(&mut rig.shard, &mut glance, now_ms);
        assert_eq!(queues() == before, is_same, "{number}");
    }
    assert!(!rig.shard.has_strange_queue(), "what was known was of others");
}

/// Connections of one address, each with a HELLO whose mac1 is wrong as far as it takes one at once.
struct Flood(Vec<OwnedFd>);

impl Flood {
    fn new(source: Ipv4Addr, target: SocketAddr, hello: &[u8], count: usize) -> Self {
        let connect = || {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).expect("a socket");
            bind(&socket, &SocketAddr::from((source, 0))).expect("an address of this host");
            // It is not waited for.
            let _ = connect(&socket, &target);
            let _ = send(&socket, hello, SendFlags::NOSIGNAL);
            socket
        };
        Self((0..count).map(|_| connect()).collect())
    }

    /// How many the server has not ended yet, and may not have seen.
    fn waiting(&self) -> usize {
        let waits =
            |socket: &&OwnedFd| recv(socket, &mut [0; 8][..], RecvFlags::empty()) == Err(Errno::AGAIN);
        self.0.iter().filter(waits).count()
    }
}

/// Over real sockets: a flood of one address waits in a queue of its own, and clients of other addresses are let in before it.
#[test]
fn clients_of_other_addresses_do_not_wait_behind_a_flood() {
    /// More than what a shard takes in of a queue before it has judged any of it, however slow it is.
    const COUNT: usize = 4_000;
    mvt_sys::host::raise_open_files();
    for backend in ["uring", "epoll"] {
        for shards in [1, 2] {
            let server = Server::start(&format!("io.backend = \"{backend}\"\nio.shards = {shards}\n"));
            let mut forged = server.hello(&server.client_keys(), Suite::Hs256).1;
            forged[511] ^= 1;
            let flood = Flood::new(Ipv4Addr::new(127, 66, 0, 1), server.address, &forged, COUNT);
            let mut before_flood = 0;
            for number in 0..16 {
                let source = Ipv4Addr::new(127, 70 + number, number, 9);
                let mut wire = Wire::connect_from(source, server.address);
                server.login_on(&mut wire, Suite::Hs256);
                before_flood += u32::from(flood.waiting() > 0);
            }
            drop(flood);
            let log = server.stop();
            assert!(counted(&log, "accepts_paused") > 0, "{log}");
            assert_eq!(counted(&log, "logins"), 16, "{log}");
            // One of them may share the queue of the flood, or two.
            assert!(before_flood >= 12, "{before_flood} of 16 by {backend}, {shards} shards: {log}");
        }
    }
}

/// How many connections the kernel is to hold for each listener of `address`; `None` without `ss`.
fn backlogs(address: SocketAddr) -> Option<Vec<u32>> {
    let filter = format!("sport = :{}", address.port());
    let output = Command::new("ss").args(["-Hltn", &filter]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse().ok()).collect())
}

/// When a flood is over the kernel holds as many as before, whether anybody comes or not.
#[test]
fn the_kernel_holds_few_for_as_long_as_a_queue_is_flooded() {
    let narrow = Backlog::Narrow.count() as u32;
    for backend in ["uring", "epoll"] {
        let server = Server::start(&format!("io.backend = \"{backend}\"\nio.shards = 1\n"));
        let Some(before) = backlogs(server.address) else { return eprintln!("SKIPPED: 1 test needs ss") };
        assert!(before.len() == QUEUE_COUNT && before.iter().all(|count| *count > narrow), "{before:?}");
        let mut forged = server.hello(&server.client_keys(), Suite::Hs256).1;
        forged[511] ^= 1;
        let source = Ipv4Addr::new(127, 66, 0, 1);
        let wait = |what: &str, count: usize, is_so: &dyn Fn(&[u32]) -> bool| {
            let deadline = Instant::now() + PATIENCE;
            while !is_so(&backlogs(server.address).expect("as before")) {
                assert!(Instant::now() < deadline, "{what} by {backend}");
                // So slowly that the next is waited for whenever one comes, also behind the last.
                let _flood = Flood::new(source, server.address, &forged, count);
                thread::sleep(Duration::from_millis(20));
            }
        };
        wait("it is flooded", 1, &|counts| counts.contains(&narrow));
        wait("the flood is over", 0, &|counts| counts == before);
    }
}

/// What waits in the kernel when the server stops is not taken in, to be cut off when it ends.
#[test]
fn a_server_that_stops_in_a_flood_takes_nobody_in() {
    for backend in ["uring", "epoll"] {
        let server = Server::start(&format!("io.backend = \"{backend}\"\nio.shards = 1\n"));
        // They say nothing, so that the server does not end them by itself.
        let _flood = Flood::new(Ipv4Addr::new(127, 66, 0, 1), server.address, &[], 4_000);
        let log = server.stop();
        assert!(counted(&log, "accepts_paused") > 0, "{log}");
        assert_eq!(counted(&log, "connections_opened"), counted(&log, "connections_closed"), "{log}");
    }
}
