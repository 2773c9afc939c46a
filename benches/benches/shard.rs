//! The shard without sockets: what one frame costs from its bytes to the bytes of its answer.
//!
//! `cargo bench -p mvt-benches --bench shard` prints nanoseconds a frame: batches of one turn over many sessions, beside
//! the same cryptography done by `ring` one frame at a time. Rows are visited in turn; medians of the thread's
//! CPU time are shown, with the fastest round.

#[path = "../../server/tests/support/rig.rs"]
mod rig;

use std::hint::black_box;

use mvt_proto::{Limits, Suite, session::ClientSession};
use mvt_server::{service::ServiceKind, shard::ConnectionId};
use rig::{ORIGIN_MS, Rig};

const BATCHES: [usize; 4] = [1, 16, 256, 1024];
/// Frames timed at a time.
const ROUND_FRAMES: usize = 4096;
const ROUNDS: usize = 31;
/// 20 payload bytes: a frame of one cache line.
const PAYLOAD: [u8; 20] = *b"twenty payload bytes";
const CONNECTIONS: usize = 16;
const LIMITS: Limits = Limits { reject_after_requests: u32::MAX, ..Limits::DEFAULT };

/// Who sends, and how it wants to be answered.
#[derive(Clone, Copy, PartialEq)]
enum Pattern {
    /// Requests of all sessions in turn over each connection, answered one by one.
    Spread,
    /// One session a connection, answered one by one.
    Each,
    /// One session a connection, answered together (SPEC 7.4).
    Joint,
}

const PATTERNS: [(Pattern, &str); 3] = [
    (Pattern::Spread, "sessions in turn"),
    (Pattern::Each, "a session a connection"),
    (Pattern::Joint, "the same, answered together"),
];

/// A shard with sessions, and what to send to it.
struct Bench {
    pattern: Pattern,
    rig: Rig,
    clients: Vec<ClientSession>,
    connections: Vec<ConnectionId>,
    next_client: usize,
    spare: Vec<u8>,
}

impl Bench {
    fn new(suite: Suite, session_count: u64, service: ServiceKind, pattern: Pattern) -> Self {
        let mut rig = Rig::new(service, LIMITS, session_count as usize, 1);
        let session_count = session_count.max(CONNECTIONS as u64);
        let mut clients = rig.sessions(session_count, suite, LIMITS);
        if pattern == Pattern::Joint {
            clients.iter_mut().for_each(ClientSession::take_verdicts);
        }
        let connections = (0..CONNECTIONS).map(|port| rig.connect(port as u16, ORIGIN_MS)).collect();
        Self { pattern, rig, clients, connections, next_client: 0, spare: Vec::new() }
    }

    /// Streams of `frames` requests, cut into turns of `batch`, each turn spread over the connections in runs.
    fn streams(&mut self, frames: usize, batch: usize) -> Vec<Vec<Vec<u8>>> {
        (0..frames / batch)
            .map(|_| {
                let runs = CONNECTIONS.min(batch);
                (0..runs)
                    .map(|connection| {
                        let mut stream = Vec::new();
                        for _ in 0..batch / runs {
                            let number =
                                if self.pattern == Pattern::Spread { self.next_client } else { connection };
                            let client = &mut self.clients[number];
                            let _ = client
                                .seal_request(7, &PAYLOAD, ORIGIN_MS + 5, &mut stream)
                                .expect("sealable");
                            self.next_client = (self.next_client + 1) % self.clients.len();
                        }
                        stream
                    })
                    .collect()
            })
            .collect()
    }

    #[inline(never)]
    fn run(&mut self, turns: &[Vec<Vec<u8>>]) -> usize {
        let mut answered = 0;
        for turn in turns {
            for (id, stream) in self.connections.iter().zip(turn) {
                self.rig.shard.ingest(*id, stream, ORIGIN_MS + 10);
            }
            self.rig.shard.turn(ORIGIN_MS + 10);
            while let Some(id) = self.rig.shard.next_dirty() {
                self.rig.shard.take_output(id, &mut self.spare, ORIGIN_MS + 10);
                answered += black_box(&self.spare).len();
                self.spare.clear();
            }
        }
        answered
    }

    /// Nanoseconds a frame of one round.
    fn round(&mut self, batch: usize) -> f64 {
        let turns = self.streams(ROUND_FRAMES, batch);
        let verified = self.rig.counters.verified.get();
        let start = cpu_ns();
        black_box(self.run(&turns));
        let elapsed = (cpu_ns() - start) as f64;
        assert_eq!(self.rig.counters.verified.get() - verified, ROUND_FRAMES as u64, "all are verified");
        elapsed / ROUND_FRAMES as f64
    }
}

/// The request key, the check and the answer's tag by `ring`, one frame at a time, with cached slot keys.
struct Ring {
    slot_keys: Vec<ring::hmac::Key>,
}

impl Ring {
    fn new(count: usize) -> Self {
        let key = |number: usize| ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &number.to_be_bytes());
        Self { slot_keys: (0..count).map(key).collect() }
    }

    fn hs256(&self) -> f64 {
        let (message, input) = ([7u8; 48], [3u8; 9]);
        let start = cpu_ns();
        for number in 0..ROUND_FRAMES {
            let derived = ring::hmac::sign(&self.slot_keys[number % self.slot_keys.len()], black_box(&input));
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, derived.as_ref());
            let tag = ring::hmac::sign(&key, black_box(&message));
            let mut answer = ring::hmac::Context::with_key(&key);
            answer.update(black_box(&message[..28]));
            answer.update(&tag.as_ref()[..16]);
            black_box(answer.sign());
        }
        (cpu_ns() - start) as f64 / ROUND_FRAMES as f64
    }

    fn gcm256(&self) -> f64 {
        use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
        let (mut payload, input) = ([7u8; 20], [3u8; 9]);
        let start = cpu_ns();
        for number in 0..ROUND_FRAMES {
            let derived = ring::hmac::sign(&self.slot_keys[number % self.slot_keys.len()], black_box(&input));
            let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, derived.as_ref()).expect("32 bytes"));
            let nonce = || Nonce::assume_unique_for_key([9; 12]);
            // Opening costs what sealing costs.
            let tag =
                key.seal_in_place_separate_tag(nonce(), Aad::from([1u8; 28]), &mut payload).expect("sealed");
            let _ = black_box(tag);
            let none: &mut [u8] = &mut [];
            let tag = key.seal_in_place_separate_tag(nonce(), Aad::from([1u8; 44]), none).expect("sealed");
            let _ = black_box(tag);
        }
        (cpu_ns() - start) as f64 / ROUND_FRAMES as f64
    }
}

/// Time this thread has spent on a core: other work on the machine is not counted.
fn cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value_of = |name: &str| {
        arguments
            .iter()
            .position(|argument| argument == name)
            .map(|at| arguments[at + 1].parse().expect("a number"))
    };
    let rounds: usize = value_of("--rounds").unwrap_or(ROUNDS);
    let sessions: usize = value_of("--sessions").unwrap_or(1000);
    let only_batch: Option<usize> = value_of("--batch");
    let only_suite = value_of("--suite");
    for (suite, name) in Suite::ALL {
        if only_suite.is_some_and(|only| only != suite as usize) {
            continue;
        }
        let mut benches =
            PATTERNS.map(|(pattern, _)| Bench::new(suite, sessions as u64, ServiceKind::Verdict, pattern));
        let ring = Ring::new(sessions);
        let batches: Vec<usize> =
            BATCHES.into_iter().filter(|batch| only_batch.is_none_or(|only| only == *batch)).collect();
        let row_count = batches.len() * PATTERNS.len();
        let mut samples = vec![Vec::new(); row_count + 1];
        for _ in 0..rounds {
            for (at, batch) in batches.iter().enumerate() {
                for (pattern, bench) in benches.iter_mut().enumerate() {
                    samples[at * PATTERNS.len() + pattern].push(bench.round(*batch));
                }
            }
            samples[row_count].push(match suite {
                Suite::Hs256 => ring.hs256(),
                Suite::Gcm256 => ring.gcm256(),
            });
        }
        let fastest = |samples: &[f64]| samples.iter().copied().fold(f64::INFINITY, f64::min);
        let mut rows: Vec<(f64, f64)> =
            samples.into_iter().map(|samples| (fastest(&samples), median(samples))).collect();
        let (ring_fastest, ring) = rows.pop().expect("one more");
        println!(
            "{name}, {sessions} sessions: ring, the cryptography alone: {ring:.0} ({ring_fastest:.0}) ns a frame"
        );
        for (batch, rows) in batches.iter().zip(rows.chunks(PATTERNS.len())) {
            for ((_, pattern), (fastest, median)) in PATTERNS.iter().zip(rows) {
                let of_ring = ring / median;
                println!(
                    "  batch {batch:5}: {median:7.1} ({fastest:7.1}) ns a frame, {of_ring:.2}x of ring, {pattern}"
                );
            }
        }
    }
}
