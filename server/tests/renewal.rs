//! Renewal end to end: real sockets, every backend, sessions on and off the shard they arrive at, no request that fails
//! (SPEC §11).

mod support;

use std::time::{Duration, Instant};

use mvt_proto::{
    Header, Kind, Role, Suite,
    session::{Answer, ClientSession, Outstanding, Told},
};
use support::{Server, Wire, counted, random};

/// A soft limit that a few requests reach; the drain of two seconds is what bounds how often a session renews.
const LIMITS: &str = "limits.renew_after_requests = 20\n";
const SESSIONS: usize = 120;
const BATCH: usize = 7;
/// However slow the machine: it is the work done that ends a run.
const PATIENCE: Duration = Duration::from_secs(120);

struct Party {
    session: ClientSession,
    outstanding: Outstanding<()>,
}

/// Connections, and sessions that are used on another connection than the one they logged in on.
struct Crowd {
    wires: Vec<Wire>,
    parties: Vec<Party>,
    verified: u64,
    tickets: u64,
}

fn now_ms() -> u64 {
    mvt_sys::clock::boottime_ms()
}

impl Crowd {
    fn gather(server: &Server, wires: usize, sessions: usize) -> Self {
        let mut wires: Vec<_> = (0..wires).map(|_| server.connect()).collect();
        let parties = (0..sessions)
            .map(|number| {
                let suite = Suite::ALL[number % 2].0;
                let at = number % wires.len();
                let session = server.login_on(&mut wires[at], suite);
                Party { session, outstanding: Outstanding::default() }
            })
            .collect();
        Self { wires, parties, verified: 0, tickets: 0 }
    }

    /// A batch of requests for each session of a connection, then all their answers.
    fn round(&mut self) {
        let count = self.wires.len();
        for number in 0..count {
            let mut out = Vec::new();
            let mut waiting = 0;
            // The connection next to the one of the login: often another shard's.
            for party in self.parties.iter_mut().skip((number + 1) % count).step_by(count) {
                for _ in 0..BATCH {
                    let sealed = party.session.seal_request(3, b"twenty bytes of load", now_ms(), &mut out);
                    party.outstanding.push(&sealed.expect("far from every hard limit"), ());
                }
                waiting += BATCH;
            }
            self.wires[number].send(&out);
            while waiting > 0 {
                waiting -= self.take(number);
            }
        }
    }

    /// One frame; how many requests it answers.
    fn take(&mut self, number: usize) -> usize {
        let mut frame = self.wires[number].any_frame().expect("the connection stays");
        let header = Header::parse(&frame, Role::Client).expect("well formed");
        let by_key_id = |party: &&mut Party| party.session.key_id() == header.key_id;
        let Party { session, outstanding } =
            self.parties.iter_mut().find(by_key_id).expect("a session of ours");
        if header.kind == Kind::Ctl {
            let mut share = Vec::new();
            let told = session.control(&header, &mut frame, random(), now_ms(), &mut share);
            self.tickets += u64::from(matches!(told, Ok(Told::Ticket(_))));
            assert!(matches!(told, Ok(Told::Renewed | Told::Nothing | Told::Ticket(_))), "{told:?}");
            self.wires[number].send(&share);
            return 0;
        }
        let (pending, ()) = outstanding.get(header.generation, header.counter).expect("it waits");
        let answer = session.open_answer(pending, &header, &mut frame, now_ms());
        assert!(matches!(answer, Ok(Answer::Response { status: 0, .. })), "{answer:?}");
        outstanding.remove(header.generation, header.counter);
        self.verified += 1;
        1
    }

    fn renewals(&self) -> u64 {
        self.parties.iter().map(|party| u64::from(party.session.generation())).sum()
    }

    /// Rounds until every session was renewed so often.
    fn renew(&mut self, times: u16) {
        let begun = Instant::now();
        while self.parties.iter().any(|party| party.session.generation() < times) {
            assert!(begun.elapsed() < PATIENCE, "{} renewals", self.renewals());
            self.round();
        }
        // Once more, so that the last one is committed.
        self.round();
    }
}

fn run(config: &str, sessions: usize, times: u16) {
    let server = Server::start(&format!("{config}{LIMITS}"));
    let mut crowd = Crowd::gather(&server, 4, sessions);
    crowd.renew(times);
    let renewals = crowd.renewals();
    assert!(renewals >= sessions as u64 * u64::from(times));
    let tickets = crowd.tickets;
    drop(crowd);
    let log = server.stop();
    // A session of which nothing was taken after its last OFFER has not committed yet.
    let committed = counted(&log, "renewals");
    assert!(committed <= renewals && committed + sessions as u64 >= renewals, "{committed} of {renewals}");
    assert!(counted(&log, "offers") >= committed);
    assert_eq!(counted(&log, "sessions_opened"), sessions as u64, "no session was replaced");
    assert_eq!(counted(&log, "tickets"), tickets);
    for refused in ["no_slot", "bad_tag", "unknown_key", "replay", "ended", "control", "limit", "stale"] {
        assert_eq!(counted(&log, refused), 0, "{refused}");
    }
    let shares = counted(&log, "shares");
    let exchanges = if times >= 8 { sessions as u64 } else { 0 };
    assert!(shares >= exchanges, "{shares} shares");
    eprintln!("{config:?}: {renewals} renewals, {shares} with a Diffie-Hellman, none failed");
}

#[test]
fn a_thousand_renewals_go_unseen_on_one_shard() {
    run("io.backend = \"uring\"\nio.shards = 1\n", SESSIONS, 9);
}

#[test]
fn a_thousand_renewals_go_unseen_across_four_shards() {
    run("io.backend = \"uring\"\nio.shards = 4\n", SESSIONS, 9);
}

#[test]
fn renewals_go_unseen_on_every_backend() {
    for config in [
        "io.backend = \"uring\"\nio.shards = 2\n",
        "io.backend = \"monoio\"\nio.shards = 2\n",
        "io.backend = \"epoll\"\nio.shards = 1\n",
        "io.backend = \"epoll\"\nio.shards = 4\n",
    ] {
        run(config, 40, 2);
    }
}

/// `cargo nextest run --release -p mvt-server --test renewal --run-ignored only`: a million renewals; minutes.
#[test]
#[ignore = "takes minutes"]
fn a_million_renewals_go_unseen() {
    let server = Server::start(&format!(
        "io.backend = \"uring\"\nio.shards = 1\n{LIMITS}limits.idle_ms = 600000\nlogin.queue = 1024\n"
    ));
    let mut crowd = Crowd::gather(&server, 8, 20_000);
    crowd.renew(50);
    assert!(crowd.renewals() >= 1_000_000);
    eprintln!("{} renewals, {} requests verified, none failed", crowd.renewals(), crowd.verified);
}
