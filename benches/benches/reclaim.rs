//! The timing wheel: what it costs to move the keys of idle sessions on, and to erase those whose time is over.
//!
//! `cargo bench -p mvt-benches --bench reclaim [-- --sessions N]`. Sessions log in evenly over one slot (65.536 s) and then
//! stay idle; the clock moves on by the interval of a driver's tick. Prints the time a slot's work takes, its share of
//! one core, and the longest piece between two turns, in CPU time of the thread.

use std::hint::black_box;

use mvt_proto::{
    Limits, Suite,
    constants::SLOT_BITS,
    schedule::GenerationKeys,
    secret::Secret,
    session::{ClientSession, Granted, ServerSession},
};
use mvt_server::{
    limits::{RECLAIM_COUNT_MAX, SWEEP_INTERVAL_MS},
    owner::Owner,
    shard::sessions::Sessions,
};

const SLOT_MS: u64 = 1 << SLOT_BITS;
const START_MS: u64 = 1_800_000_000_000;
const LIMITS: Limits = Limits::DEFAULT;

fn keys(key_id: u64) -> GenerationKeys {
    GenerationKeys::derive(Secret::new([5; 32]), key_id, 0)
}

/// A session that was used once, so that it is not forgotten after ten seconds.
fn session(number: u64, now_ms: u64) -> ServerSession {
    let key_id = 1 << 48 | (number + 1).wrapping_mul(0xbf58_476d_1ce4_e5b9) & 0xff_ffff_ffff;
    let mut session = ServerSession::new(key_id, Suite::Hs256, LIMITS, keys(key_id), now_ms);
    let granted = Granted {
        key_id,
        suite: Suite::Hs256,
        limits: LIMITS,
        server_time_ms: now_ms,
        keys: keys(key_id),
        lost_key: mvt_proto::lost::LostKey::new([1; 16]),
    };
    let mut frame = Vec::new();
    ClientSession::new(granted, now_ms).seal_request(1, b"", now_ms, &mut frame).map(drop).expect("sealable");
    let header = mvt_proto::Header::parse(&frame, mvt_proto::Role::Server).expect("well formed");
    let fresh = session.check(&header, now_ms);
    let authentic = session.open(fresh, &mut frame).expect("authentic");
    assert!(session.commit(authentic, now_ms).is_ok(), "fresh");
    session
}

/// Time this thread has spent on a core: other work on the machine is not counted.
fn cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// The ticks of one slot; gives the time they took, that of the longest piece, and the number erased.
fn slot(sessions: &mut Sessions, now_ms: &mut u64) -> (u64, u64, u64) {
    let (mut total, mut longest, mut erased) = (0, 0, 0);
    let end_ms = *now_ms + SLOT_MS;
    while *now_ms < end_ms {
        *now_ms += SWEEP_INTERVAL_MS;
        loop {
            let start = cpu_ns();
            let swept = black_box(sessions.sweep(RECLAIM_COUNT_MAX, *now_ms));
            let piece = cpu_ns() - start;
            total += piece;
            longest = longest.max(piece);
            erased += swept.erased_count;
            if swept.is_done {
                break;
            }
        }
    }
    (total, longest, erased)
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let only: Option<u64> = arguments
        .iter()
        .position(|argument| argument == "--sessions")
        .map(|at| arguments[at + 1].parse().expect("a number"));
    for count in only.map_or_else(|| vec![100_000, 1_000_000, 5_000_000], |count| vec![count]) {
        let mut sessions = Sessions::new(count as usize, LIMITS.replay_window_bits).expect("mapped");
        let mut now_ms = START_MS;
        for number in 0..count {
            let at_ms = START_MS + number * SLOT_MS / count;
            if at_ms > now_ms {
                now_ms = at_ms;
                while !sessions.sweep(RECLAIM_COUNT_MAX, now_ms).is_done {}
            }
            assert!(sessions.insert(session(number, now_ms), Owner::NOBODY, now_ms), "key ids differ");
        }
        let (mut slots, mut longest) = (Vec::new(), 0);
        // The last whole slot before sessions end, and then the end of all of them.
        while now_ms + SLOT_MS < START_MS + u64::from(LIMITS.reject_after_ms) {
            let (total, piece, erased) = slot(&mut sessions, &mut now_ms);
            assert_eq!((erased, sessions.len() as u64), (0, count));
            slots.push(total);
            longest = longest.max(piece);
        }
        slots.sort_unstable();
        let median = slots[slots.len() / 2] as f64;
        let share = median / (SLOT_MS as f64 * 1e6) * 100.0;
        let mut erased = (0, 0);
        while !sessions.is_empty() {
            let (total, _, count) = slot(&mut sessions, &mut now_ms);
            erased = (erased.0 + total, erased.1 + count);
        }
        println!(
            "{count:>9} idle sessions: {:.0} ms a slot, {:.0} ns a session, {share:.2} % of a core; longest piece of \
             {RECLAIM_COUNT_MAX} sessions {:.0} µs; the end of all: {:.0} ns a session",
            median / 1e6,
            median / count as f64,
            longest as f64 / 1e3,
            erased.0 as f64 / erased.1 as f64,
        );
    }
}
