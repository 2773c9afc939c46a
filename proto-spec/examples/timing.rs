//! Does the time of a verification depend on where a tag is wrong, on whether it is, or on whether there is a session of that key? Welch's t-test over interleaved runs
//! (CASES P-02, P-04), on every lanes path this CPU has.
//!
//! To be run by `cargo x harden timing`. |t| below 4.5 says that nothing was found in so many runs; a machine with other work on it needs more of
//! them and hides small differences. As dudect does it: the classes are mixed at random, and the test is made of all times and of those
//! below several percentiles, so that interruptions do not drown what there is. Each try is a process of its own: where things lie in memory
//! costs a nanosecond here or there, of two micros, and is drawn anew with each. What is there is there every time.
#![allow(clippy::disallowed_methods)] // The core is given its times; here they are what is measured.

use std::{
    env,
    hint::black_box,
    ops::Range,
    process::{Command, ExitCode},
    time::Instant,
};

use mvt_lanes::{Engine, Path};
use mvt_proto::{
    Header, Limits, Role, Suite,
    lost::LostKeys,
    schedule::GenerationKeys,
    secret::Secret,
    session::{Batch, ClientSession, Fresh, Granted, ServerSession, SessionState},
};

const KEY_ID: u64 = 0x0001_0203_0405_0607;
const NOW_MS: u64 = 1_700_000_000_000;
const RUNS: usize = 50_000;
/// Frames in each batch: alone, and as many as the widest lanes.
const COUNTS: [usize; 2] = [1, 16];
/// |t| from which on a difference is one.
const T_MAX: f64 = 4.5;
/// Taken branches between what tells the classes apart and what is timed: more than the predictor of a CPU remembers. Else its guesses are of the class:
/// |t| above 7 for one in ten where nothing differed.
const BRANCHES: usize = 4096;
/// A comparison above it is made again this often: what is there is there every time, what other work on the machine did, or where
/// things lay, is not.
const TRIES: usize = 8;
/// Turns of an empty loop for each frame, some ten nanoseconds: what the test has to see every time.
const DELAY: usize = 32;

fn keys() -> GenerationKeys {
    GenerationKeys::derive(Secret::new([1; 32]), KEY_ID, 0)
}

/// Frames behind each other with honest tags, and where each ends.
struct Frames {
    suite: Suite,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

fn frames(suite: Suite, count: usize, payload: &[u8]) -> Frames {
    let granted = Granted {
        key_id: KEY_ID,
        suite,
        limits: Limits::DEFAULT,
        server_time_ms: NOW_MS,
        keys: keys(),
        lost_key: LostKeys::new(&Secret::new([2; 32]), 0).lost_key(KEY_ID),
    };
    let mut client = ClientSession::new(granted, NOW_MS);
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    for _ in 0..count {
        client.seal_request(1, payload, NOW_MS + 1, &mut bytes).expect("sealable");
        ends.push(bytes.len());
    }
    Frames { suite, bytes, ends }
}

/// What the two classes differ in.
#[derive(Clone, Copy)]
enum Differ {
    /// The byte of the tags that is wrong; `None` is none.
    Tag([Option<usize>; 2]),
    /// Whether there is a session of the key that the frames name; their tags are wrong.
    Session,
    /// Nothing but time.
    Delay,
}

/// What is done in one run.
struct Class {
    is_there: bool,
    /// The byte of the tags that is wrong.
    wrong: Option<usize>,
    delay: usize,
}

impl Differ {
    const fn of(self, class: usize) -> Class {
        let (is_there, wrong, delay) = match self {
            Self::Tag(wrong) => (true, wrong[class], 0),
            Self::Session => (class == 0, Some(3), 0),
            Self::Delay => (true, Some(3), class * DELAY),
        };
        Class { is_there, wrong, delay }
    }
}

/// Times of [`Batch::push`] and [`Batch::open`] in ns, by class; the timestamps of the frames are `ahead_ms` ahead.
fn measure(engine: Engine, frames: &Frames, ahead_ms: u64, differ: Differ, seed: u64) -> [Vec<f64>; 2] {
    let Frames { suite, bytes: honest, ends } = frames;
    let session =
        |key_id, suite| ServerSession::new(key_id, suite, Limits::DEFAULT, keys(), NOW_MS).into_parts().0;
    let mut sessions = [session(0, Suite::Hs256), session(KEY_ID, *suite)];
    let mut there_at = 1;
    let mut batch = Batch::new(engine);
    let mut bytes = honest.clone();
    let mut times = [Vec::new(), Vec::new()];
    let mut random = seed | 1;
    for _ in 0..RUNS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let class = (random >> 32) as usize & 1;
        let Class { is_there, wrong, delay } = differ.of(class);
        // Neither has a place of its own.
        if there_at != (random >> 33) as usize & 1 {
            sessions.swap(0, 1);
            there_at = 1 - there_at;
        }
        bytes.copy_from_slice(honest);
        let session = if is_there { there_at } else { 1 - there_at };
        let mut frames = Vec::with_capacity(ends.len());
        let mut start = 0;
        for end in ends {
            // Whatever class comes, the same is done: a byte of each tag is combined with one that may be 0.
            bytes[end - 16 + wrong.unwrap_or(7)] ^= u8::from(wrong.is_some());
            let mut header = Header::parse(&bytes[start..*end], Role::Server).expect("well formed");
            header.timestamp += ahead_ms;
            // Both are made, and one chosen without a branch: the code that ran last is the same.
            let none = sessions[1 - there_at].check_unknown(&header, NOW_MS, NOW_MS + 1);
            let there = sessions[there_at].check(&header, NOW_MS + 1);
            let fresh = [Some(none), Some(there)][usize::from(is_there)].take().expect("both are made");
            frames.push((fresh, start..*end));
            start = *end;
        }
        times[class].push(timed(&mut batch, &sessions[session], frames, &mut bytes, delay));
        for number in 0..ends.len() {
            assert_eq!(batch.take(number).is_ok(), is_there && wrong.is_none());
        }
        batch.seal(&mut []);
    }
    times
}

#[inline(never)]
fn spend(turns: usize) {
    (0..turns).for_each(|turn| {
        black_box(turn);
    });
}

/// The same code for both classes.
#[inline(never)]
fn timed(
    batch: &mut Batch,
    session: &SessionState,
    frames: Vec<(Fresh, Range<usize>)>,
    bytes: &mut [u8],
    delay: usize,
) -> f64 {
    spend(BRANCHES);
    let frame_count = frames.len();
    let started = Instant::now();
    for (fresh, span) in frames {
        batch.push(session, fresh, span);
    }
    batch.open(bytes, |_| session);
    spend(delay * frame_count);
    started.elapsed().as_nanos() as f64
}

/// Welch's t of two samples.
fn t_of([left, right]: [&[f64]; 2]) -> f64 {
    let moments = |sample: &[f64]| {
        let count = sample.len() as f64;
        let mean = sample.iter().sum::<f64>() / count;
        let squares = sample.iter().map(|time| (time - mean).powi(2)).sum::<f64>();
        (mean, squares / (count - 1.0) / count)
    };
    let ((left, left_error), (right, right_error)) = (moments(left), moments(right));
    (left - right) / (left_error + right_error).sqrt()
}

/// The largest |t| over all times, and over those below percentiles of both together.
fn largest_t(times: &[Vec<f64>; 2]) -> f64 {
    let mut all: Vec<f64> = times.iter().flatten().copied().collect();
    all.sort_by(f64::total_cmp);
    let bounds = [50, 75, 90, 95, 99, 100].map(|percent| all[(all.len() - 1) * percent / 100]);
    let t_below = |bound: f64| {
        let below = times
            .each_ref()
            .map(|times| times.iter().copied().filter(|time| *time <= bound).collect::<Vec<_>>());
        t_of([&below[0], &below[1]]).abs()
    };
    // Half of the times may be one value, which has no variance.
    bounds.into_iter().map(t_below).filter(|t| t.is_finite()).fold(0.0, f64::max)
}

/// What is compared: its name, how far ahead of the server's clock the frames are, ms, and in what the classes differ.
const COMPARISONS: [(&str, u64, Differ); 6] = [
    ("byte 0 or byte 15 wrong", 0, Differ::Tag([Some(0), Some(15)])),
    ("honest or wrong", 0, Differ::Tag([None, Some(15)])),
    ("a session or none", 0, Differ::Session),
    ("a session or none, next slot", 1 << 16, Differ::Session),
    ("nothing differs", 0, Differ::Tag([Some(3), Some(3)])),
    ("canary: some ten nanoseconds a frame", 0, Differ::Delay),
];
const SUITES: [Suite; 2] = [Suite::Hs256, Suite::Gcm256];

/// One of the comparisons: of [`Path::ALL`], [`SUITES`], [`COUNTS`] and [`COMPARISONS`].
type Cell = [usize; 4];

/// |t| of a cell, in this process.
fn t_of_cell([path, suite, count, comparison]: Cell, seed: usize) -> f64 {
    let engine = Engine::forced(Path::ALL[path]).expect("a path of this CPU");
    let (_, ahead_ms, differ) = COMPARISONS[comparison];
    let frames = frames(SUITES[suite], COUNTS[count], &[7; 20]);
    largest_t(&measure(engine, &frames, ahead_ms, differ, seed as u64 * 0x9e37_79b9))
}

/// The same, in a process of its own.
fn t_elsewhere(cell: Cell, seed: usize) -> f64 {
    let numbers = cell.into_iter().chain([seed]).map(|number| number.to_string());
    let program = env::current_exe().expect("this program");
    let output = Command::new(program).args(numbers).output().expect("it starts");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("it prints a number")
}

/// Whether what was found is what is to be found; says so.
fn judge(cell: Cell) -> bool {
    let [path, suite, count, comparison] = cell;
    let (name, _, differ) = COMPARISONS[comparison];
    let mut least = f64::MAX;
    for seed in 1..=TRIES {
        least = least.min(t_elsewhere(cell, seed));
        if least < T_MAX {
            break;
        }
    }
    // GCM256 decrypts once the tag held: the verdict, which the answer tells (RATIONALE).
    let may_differ = SUITES[suite] == Suite::Gcm256 && matches!(differ, Differ::Tag([None, _]));
    let is_canary = matches!(differ, Differ::Delay);
    let (is_well, verdict) = match (least < T_MAX, is_canary) {
        (true, true) => (false, "  NOT SEEN"),
        (true, false) | (false, true) => (true, ""),
        (false, false) if may_differ => (true, "  as it may"),
        (false, false) => (false, "  DIFFERS"),
    };
    println!("{least:>8.2}   {:?} {:?} x {}: {name}{verdict}", Path::ALL[path], SUITES[suite], COUNTS[count]);
    is_well
}

fn main() -> ExitCode {
    let numbers: Vec<usize> = env::args().skip(1).filter_map(|number| number.parse().ok()).collect();
    if let [path, suite, count, comparison, seed] = numbers[..] {
        println!("{}", t_of_cell([path, suite, count, comparison], seed));
        return ExitCode::SUCCESS;
    }
    println!("{RUNS} runs each, the largest |t| of the best of {TRIES} processes; {T_MAX} is a difference");
    let mut is_well = true;
    for path in (0..Path::ALL.len()).filter(|path| Engine::forced(Path::ALL[*path]).is_some()) {
        for suite in 0..SUITES.len() {
            for count in 0..COUNTS.len() {
                for comparison in 0..COMPARISONS.len() {
                    is_well &= judge([path, suite, count, comparison]);
                }
            }
        }
    }
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
