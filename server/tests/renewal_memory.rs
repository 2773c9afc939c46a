//! What renewals leave behind in memory: nothing. Every allocation of a shard is counted, in virtual time, so that the sum is exact
//! (K-07; `renewal.rs` looks at the process as a whole).

#[path = "support/rig.rs"]
mod rig;

use allocation_counter::AllocationInfo;
use mvt_proto::{
    Header, Kind, Limits, Role, Suite,
    session::{Answer, ClientSession, Outstanding},
};
use mvt_server::{
    service::ServiceKind,
    shard::{ConnectionId, SweepHand},
};
use rig::{ORIGIN_MS, Rig, secret};

/// A soft limit that every round reaches.
const LIMITS: Limits = Limits { renew_after_requests: 2, ..Limits::DEFAULT };
const SESSIONS: u64 = 32;
const CONNECTIONS: usize = 4;
/// Requests of a session in a round.
const BATCH: usize = 4;
const ROUND_MS: u64 = 5;

struct Party {
    session: ClientSession,
    outstanding: Outstanding<()>,
}

/// A shard and its clients. Only what the shard does is counted.
struct World {
    rig: Rig,
    connections: Vec<ConnectionId>,
    parties: Vec<Party>,
    hand: SweepHand,
    now_ms: u64,
    /// Allocated and not given back since the start, by the shard.
    live: AllocationInfo,
    verified: u64,
    seed: u64,
}

impl World {
    fn new() -> Self {
        let mut rig = Rig::new(ServiceKind::Echo, LIMITS, SESSIONS as usize, 1);
        let parties = (0..SESSIONS)
            .map(|number| {
                let suite = Suite::ALL[number as usize % 2].0;
                let (client, server) = rig::halves(0, number, suite, LIMITS);
                rig.admit(server);
                Party { session: client, outstanding: Outstanding::default() }
            })
            .collect();
        let connections = (0..CONNECTIONS as u16).map(|port| rig.connect(port, ORIGIN_MS)).collect();
        let (live, hand) = (AllocationInfo::default(), SweepHand::default());
        Self { rig, connections, parties, hand, now_ms: ORIGIN_MS, live, verified: 0, seed: 1 << 32 }
    }

    /// Lets the shard do something, and counts what it keeps of it.
    fn count<T>(&mut self, act: impl FnOnce(&mut Rig) -> T) -> T {
        let mut made = None;
        self.live += allocation_counter::measure(|| made = Some(act(&mut self.rig)));
        made.expect("it ran")
    }

    fn generations(&self) -> u64 {
        self.parties.iter().map(|party| u64::from(party.session.generation())).sum()
    }

    /// A batch of requests of every session, their answers, and what the shard does in time.
    fn round(&mut self) {
        self.now_ms += ROUND_MS;
        let now_ms = self.now_ms;
        // What the pool of login threads does: a pair is made outside of the shard and ends in it.
        self.count(|rig| rig.fill_stock());
        // Some key agreements come in time, others do not (SPEC §11.2.7).
        if now_ms.is_multiple_of(3 * ROUND_MS) {
            self.agree();
        }
        for at in 0..self.connections.len() {
            let mut bytes = Vec::new();
            for party in self.parties.iter_mut().skip(at).step_by(CONNECTIONS) {
                for _ in 0..BATCH {
                    let sealed = party.session.seal_request(3, b"twenty bytes of load", now_ms, &mut bytes);
                    party.outstanding.push(&sealed.expect("far from every hard limit"), ());
                }
            }
            self.exchange(at, bytes);
        }
        if now_ms.is_multiple_of(50) {
            self.tick();
        }
    }

    /// The pool computes what waits, and the shard hears of it.
    fn agree(&mut self) {
        let now_ms = self.now_ms;
        self.count(|rig| {
            rig.handshakes.work_off_agreements(&rig.mailboxes);
            rig.shard.read_mail(now_ms);
        });
    }

    /// Hands `bytes` to the shard, and what it answers to the clients, until nobody says anything.
    fn exchange(&mut self, at: usize, mut bytes: Vec<u8>) {
        let (id, now_ms) = (self.connections[at], self.now_ms);
        while !bytes.is_empty() {
            let answers = self.count(|rig| {
                rig.shard.ingest(id, &bytes, now_ms);
                rig.shard.turn(now_ms);
                while rig.shard.next_dirty().is_some() {}
                rig.output(id, now_ms).0
            });
            bytes.clear();
            let mut rest = &answers[..];
            while let [high, low, ..] = rest {
                let length = 2 + usize::from(u16::from_be_bytes([*high, *low]));
                self.take(at, &rest[..length], &mut bytes);
                rest = &rest[length..];
            }
            self.count(|rig| rig.shard.sent(id, answers));
        }
    }

    fn take(&mut self, at: usize, frame: &[u8], out: &mut Vec<u8>) {
        let (now_ms, mut frame) = (self.now_ms, frame.to_vec());
        let header = Header::parse(&frame, Role::Client).expect("well formed");
        let of_connection = self.parties.iter_mut().skip(at).step_by(CONNECTIONS);
        let mut party = of_connection.filter(|party| party.session.key_id() == header.key_id);
        let Party { session, outstanding } = party.next().expect("one of ours");
        if header.kind == Kind::Ctl {
            self.seed += 1;
            session.control(&header, &mut frame, secret(self.seed), now_ms, out).expect("an honest CTL");
            return;
        }
        let (pending, ()) = outstanding.get(header.generation, header.counter).expect("it waits");
        let answer = session.open_answer(pending, &header, &mut frame, now_ms);
        assert!(matches!(answer, Ok(Answer::Response { .. })), "{answer:?}");
        outstanding.remove(header.generation, header.counter);
        self.verified += 1;
    }

    fn tick(&mut self) {
        let now_ms = self.now_ms;
        let mut hand = std::mem::take(&mut self.hand);
        self.count(|rig| {
            while rig.shard.reclaim(now_ms) {}
            rig.shard.sweep(&mut hand, now_ms, |_| ());
        });
        self.hand = hand;
    }

    /// Renews until there were `renewals` of them, and until no drain is under way; the bytes and the allocations that are live then.
    fn renew(&mut self, renewals: u64) -> (i64, i64) {
        while self.generations() < renewals {
            self.round();
        }
        // The longest drain, in ticks; no hard limit.
        for _ in 0..31_000 / 50 {
            self.now_ms += 50;
            self.tick();
        }
        self.count(|rig| rig.fill_stock());
        self.agree();
        (self.live.bytes_current, self.live.count_current)
    }
}

/// Sessions that renew in every round: after `first` renewals as many bytes are live as after `all`, exactly.
fn stays_flat(first: u64, all: u64) {
    let mut world = World::new();
    let before = world.renew(first);
    let after = world.renew(all);
    let count = |name: &str| {
        let found = world.rig.counters.events().find(|(row, _)| *row == name);
        found.map_or(0, |(_, count)| count)
    };
    let (renewals, shares) = (count("renewals"), count("shares"));
    assert!(renewals >= all - SESSIONS && shares >= all / 8 - 2 * SESSIONS, "{renewals} {shares}");
    let [pooled, inline] = ["agreements_pooled", "agreements_inline"].map(count);
    assert!(pooled >= shares / 8 && inline >= shares / 8, "{pooled} by the pool, {inline} by the shard");
    assert_eq!(count("verified"), world.verified, "every request was answered");
    assert_eq!(world.rig.shard.session_count() as u64, SESSIONS, "no session was replaced");
    assert!(world.live.bytes_total > all * 500, "renewals are made of memory: the counter is alive");
    assert_eq!(after, before, "bytes, allocations after {all} renewals, and after {first}");
    eprintln!(
        "{renewals} renewals, {shares} with a Diffie-Hellman, {} cut short, {} bytes allocated: {} bytes in {} allocations are \
         live at the end, as after {first} renewals",
        count("drains_cut"),
        world.live.bytes_total,
        after.0,
        after.1
    );
}

#[test]
fn ten_times_as_many_renewals_leave_as_many_bytes() {
    stays_flat(400, 4_000);
}

#[test]
#[ignore = "takes a minute or more"]
fn a_million_renewals_leave_as_many_bytes_as_a_tenth_of_them() {
    stays_flat(100_000, 1_000_000);
}
