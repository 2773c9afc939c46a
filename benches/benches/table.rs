//! The session table: what it costs to find a session and reach its state and the word of its window, one request at a
//! time and with the prefetch passes of a turn, at 10^5, 10^6 and 10^7 sessions.
//!
//! `cargo bench -p mvt-benches --bench table [-- --sessions N]`. Ten million sessions take 3.3 GB.

use std::hint::black_box;

use mvt_proto::{
    Flags, Header, Kind, Limits, Suite,
    replay::{window_words, word_of},
    schedule::GenerationKeys,
    secret::Secret,
    session::{BATCH_REQUESTS_MAX, ServerSession},
};
use mvt_server::{
    owner::Owner,
    shard::sessions::{PREFETCH_GROUP, Sessions},
};

const COUNTS: [usize; 3] = [100_000, 1_000_000, 10_000_000];
const LOOKUPS: usize = 1 << 17;
const ROUNDS: usize = 11;
const NOW_MS: u64 = 1_800_000_000_000;

/// A generator good enough to defeat the prefetcher of the hardware.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Different for every number below 2^40, and as scattered as random ones.
fn key_id(number: u64) -> u64 {
    const MASK: u64 = (1 << 40) - 1;
    let mut mixed = (number + 1).wrapping_mul(0xbf58_476d_1ce4_e5b9) & MASK;
    mixed ^= mixed >> 20;
    mixed = mixed.wrapping_mul(0x94d0_49bb_1331_11eb) & MASK;
    mixed ^= mixed >> 20;
    mixed | 1 << 48
}

fn header(key_id: u64, counter: u64) -> Header {
    Header {
        kind: Kind::Req,
        flags: Flags(0),
        key_id,
        generation: 0,
        op: 0,
        counter,
        timestamp: NOW_MS,
        payload_bytes: 20,
    }
}

fn reach(sessions: &mut Sessions, header: &Header) -> u64 {
    let Some(place) = sessions.find(header.key_id) else { return 0 };
    let (state, window) = sessions.parts_mut(place);
    let _ = black_box(state.check(header, NOW_MS));
    window[word_of(header.counter, window.len())]
}

fn one_by_one(sessions: &mut Sessions, headers: &[Header]) -> u64 {
    headers.iter().map(|header| reach(sessions, header)).sum()
}

/// As a turn does it.
fn in_passes(sessions: &mut Sessions, headers: &[Header]) -> u64 {
    let mut sum = 0;
    for batch in headers.chunks(BATCH_REQUESTS_MAX) {
        batch.iter().for_each(|header| sessions.prefetch_index(header.key_id));
        for group in batch.chunks(PREFETCH_GROUP) {
            group.iter().for_each(|header| sessions.prefetch_session(header.key_id, header.counter));
            sum += one_by_one(sessions, group);
        }
    }
    sum
}

fn timed(run: impl FnOnce() -> u64) -> f64 {
    let start = cpu_ns();
    black_box(run());
    (cpu_ns() - start) as f64 / LOOKUPS as f64
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

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok()).unwrap_or(0) * 1024
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let only: Option<usize> = arguments
        .iter()
        .position(|argument| argument == "--sessions")
        .map(|at| arguments[at + 1].parse().expect("a number"));
    let counts = only.map_or_else(|| COUNTS.to_vec(), |count| vec![count]);
    for count in counts {
        let before = resident_bytes();
        let mut sessions = Sessions::new(count, Limits::DEFAULT.replay_window_bits).expect("mapped");
        let start = cpu_ns();
        for number in 0..count as u64 {
            let keys = GenerationKeys::derive(Secret::new([number as u8; 32]), key_id(number), 0);
            let session = ServerSession::new(key_id(number), Suite::Hs256, Limits::DEFAULT, keys, NOW_MS);
            assert!(sessions.insert(session, Owner::NOBODY, NOW_MS), "key ids differ");
        }
        let made = (cpu_ns() - start) as f64 / count as f64;
        let resident = (resident_bytes() - before) as f64 / count as f64;
        let fastest = |samples: &[f64]| samples.iter().copied().fold(f64::INFINITY, f64::min);
        let (mut alone, mut passes) = (Vec::new(), Vec::new());
        let mut seed = 0x9e37_79b9_7f4a_7c15;
        for _ in 0..ROUNDS {
            for (samples, run) in [
                (&mut alone, one_by_one as fn(&mut Sessions, &[Header]) -> u64),
                (&mut passes, in_passes as _),
            ] {
                let headers: Vec<Header> = (0..LOOKUPS)
                    .map(|_| header(key_id(random(&mut seed) % count as u64), random(&mut seed) % 1024))
                    .collect();
                samples.push(timed(|| run(&mut sessions, &headers)));
            }
        }
        println!(
            "{count:>10} sessions: one by one {:.1} ({:.1}) ns, in passes {:.1} ({:.1}) ns a lookup; {resident:.0} bytes a session \
             resident (window {} bytes), {made:.0} ns to make and insert one",
            median(alone.clone()),
            fastest(&alone),
            median(passes.clone()),
            fastest(&passes),
            window_words(Limits::DEFAULT.replay_window_bits) * 8,
        );
    }
}
