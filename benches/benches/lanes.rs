//! HMAC-SHA256 batches: every path of this CPU against ring and RustCrypto, one at a time.
//!
//! `cargo bench -p mvt-benches --bench lanes` prints a table of interleaved medians first: every row of a
//! table is timed in turn, again and again, so that ratios hold on a noisy machine. Criterion follows for
//! those who track changes. `-- --table` stops after the table.

use std::{hint::black_box, time::Duration, time::Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use hmac::{Hmac, KeyInit, Mac};
use mvt_lanes::{Claim, Engine, HmacKey, Job, Path, mac, mac_parts};

const BATCHES: [usize; 7] = [1, 4, 6, 8, 16, 64, 1024];
const MESSAGE_BYTES: usize = 48;
const ROUNDS: usize = 41;
const ROUND_TIME: Duration = Duration::from_micros(400);

/// One exchange for each lane: what the server knows, what the client sent, what goes back.
struct Exchange {
    raw: Vec<[u8; 32]>,
    base: Vec<HmacKey>,
    inputs: Vec<[u8; 9]>,
    messages: Vec<[u8; MESSAGE_BYTES]>,
    tags: Vec<[u8; 16]>,
    ring: Vec<ring::hmac::Key>,
}

impl Exchange {
    fn new(count: usize) -> Self {
        let raw: Vec<[u8; 32]> =
            (0..count).map(|lane| std::array::from_fn(|byte| (lane * 31 + byte * 7) as u8)).collect();
        let base: Vec<HmacKey> = raw.iter().map(|key| HmacKey::new(key)).collect();
        let inputs: Vec<[u8; 9]> =
            (0..count).map(|lane| std::array::from_fn(|byte| (lane >> byte) as u8)).collect();
        let messages: Vec<[u8; MESSAGE_BYTES]> =
            (0..count).map(|lane| std::array::from_fn(|byte| (lane ^ byte) as u8)).collect();
        let tags = (0..count)
            .map(|lane| {
                let request = HmacKey::new(&mac(&base[lane], &inputs[lane]));
                *mac(&request, &messages[lane]).first_chunk().unwrap()
            })
            .collect();
        let ring = raw.iter().map(|key| ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key)).collect();
        Self { raw, base, inputs, messages, tags, ring }
    }

    fn count(&self) -> usize {
        self.base.len()
    }

    fn jobs(&self) -> Vec<Job<'_>> {
        self.base.iter().zip(&self.messages).map(|(key, message)| Job::new(key, message)).collect()
    }
}

/// A named thing to time; one call handles the whole batch.
struct Row<'a> {
    name: String,
    run: Box<dyn FnMut() + 'a>,
}

fn row<'a>(name: impl Into<String>, run: impl FnMut() + 'a) -> Row<'a> {
    Row { name: name.into(), run: Box::new(run) }
}

fn engines() -> Vec<Engine> {
    for path in Path::ALL {
        if Engine::forced(path).is_none() {
            println!("skipped: this CPU has no {path}");
        }
    }
    Path::ALL.into_iter().filter_map(Engine::forced).collect()
}

/// Rows of `mac` over a 48-byte message under cached keys.
fn mac_rows(exchange: &Exchange) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    rows.push(row("ring, cached key", || {
        for (key, message) in exchange.ring.iter().zip(&exchange.messages) {
            black_box(ring::hmac::sign(key, message));
        }
    }));
    rows.push(row("ring, fresh key", || {
        for (key, message) in exchange.raw.iter().zip(&exchange.messages) {
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
            black_box(ring::hmac::sign(&key, message));
        }
    }));
    let cached: Vec<Hmac<sha2::Sha256>> =
        exchange.raw.iter().map(|key| Hmac::new_from_slice(key).unwrap()).collect();
    rows.push(row("RustCrypto, cached key", move || {
        for (key, message) in cached.iter().zip(&exchange.messages) {
            let mut mac = key.clone();
            mac.update(message);
            black_box(mac.finalize().into_bytes());
        }
    }));
    rows.push(row("mvt one at a time", || {
        for (key, message) in exchange.base.iter().zip(&exchange.messages) {
            black_box(mac(key, message));
        }
    }));
    for engine in engines() {
        let jobs = exchange.jobs();
        let mut out = vec![[0; 32]; exchange.count()];
        rows.push(row(format!("mvt {}", engine.path()), move || {
            engine.mac(&jobs, &mut out);
            black_box(&out);
        }));
    }
    rows
}

/// Rows of the whole exchange: derive the request key, check the tag, tag the answer.
fn exchange_rows(exchange: &Exchange) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    rows.push(row("ring one at a time", || {
        for lane in 0..exchange.count() {
            let derived = ring::hmac::sign(&exchange.ring[lane], &exchange.inputs[lane]);
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, derived.as_ref());
            let full = ring::hmac::sign(&key, &exchange.messages[lane]);
            assert_eq!(full.as_ref()[..16], exchange.tags[lane]);
            let mut answer = ring::hmac::Context::with_key(&key);
            answer.update(&exchange.messages[lane][..32]);
            answer.update(&exchange.tags[lane]);
            black_box(answer.sign());
        }
    }));
    rows.push(row("mvt one at a time", || {
        for lane in 0..exchange.count() {
            let key = HmacKey::new(&mac(&exchange.base[lane], &exchange.inputs[lane]));
            assert_eq!(mac(&key, &exchange.messages[lane])[..16], exchange.tags[lane]);
            black_box(mac_parts(&key, &[&exchange.messages[lane][..32], &exchange.tags[lane]]));
        }
    }));
    for engine in engines() {
        rows.push(lanes_exchange(engine, exchange, true));
        rows.push(lanes_exchange(engine, exchange, false));
    }
    rows
}

fn lanes_exchange(engine: Engine, exchange: &Exchange, fused: bool) -> Row<'_> {
    let count = exchange.count();
    let base: Vec<&HmacKey> = exchange.base.iter().collect();
    let claim = |lane: usize| Claim {
        base_key: &exchange.base[lane],
        input: exchange.inputs[lane],
        message: &exchange.messages[lane],
        tag: &exchange.tags[lane],
    };
    let claims: Vec<Claim<'_, 9>> = (0..count).map(claim).collect();
    let mut keys: Vec<HmacKey> = (0..count).map(|_| HmacKey::blank()).collect();
    let mut ok = vec![false; count];
    let mut answers = vec![[0; 32]; count];
    let name = if fused { "verify_derived" } else { "derive, verify" };
    row(format!("mvt {} {name}", engine.path()), move || {
        if fused {
            engine.verify_derived(&claims, &mut keys, &mut ok);
        } else {
            engine.derive(&base, &exchange.inputs, &mut keys);
            let jobs: Vec<Job<'_>> =
                keys.iter().zip(&exchange.messages).map(|(key, message)| Job::new(key, message)).collect();
            engine.verify(&jobs, &exchange.tags, &mut ok);
        }
        assert!(ok.iter().all(|&ok| ok));
        let jobs: Vec<Job<'_>> = (0..count)
            .map(|lane| Job::joined(&keys[lane], &exchange.messages[lane][..32], &exchange.tags[lane]))
            .collect();
        engine.mac(&jobs, &mut answers);
        black_box(&answers);
    })
}

/// Nanoseconds of one call for each row: the median of rounds that visit the rows in turn.
fn interleaved(rows: &mut [Row<'_>]) -> Vec<f64> {
    let calls: Vec<u32> = rows
        .iter_mut()
        .map(|row| {
            let mut calls = 0;
            let start = Instant::now();
            while start.elapsed() < ROUND_TIME {
                (row.run)();
                calls += 1;
            }
            calls
        })
        .collect();
    let mut samples = vec![Vec::new(); rows.len()];
    for _ in 0..ROUNDS {
        for ((row, samples), &calls) in rows.iter_mut().zip(&mut samples).zip(&calls) {
            let start = Instant::now();
            (0..calls).for_each(|_| (row.run)());
            samples.push(start.elapsed().as_nanos() as f64 / f64::from(calls));
        }
    }
    samples
        .into_iter()
        .map(|mut samples| {
            samples.sort_by(f64::total_cmp);
            samples[samples.len() / 2]
        })
        .collect()
}

/// Prints nanoseconds for each message and how many times the first row's speed that is.
fn print_table(title: &str, compressions: f64, batches: &[usize], rows_of: fn(&Exchange) -> Vec<Row<'_>>) {
    println!("\n{title}: ns a message (times the first row), last column ns a compression");
    let exchanges: Vec<Exchange> = batches.iter().map(|&count| Exchange::new(count)).collect();
    let mut columns = Vec::new();
    let mut names = Vec::new();
    for exchange in &exchanges {
        let mut rows = rows_of(exchange);
        let times = interleaved(&mut rows);
        names = rows.iter().map(|row| row.name.clone()).collect();
        columns.push(times.into_iter().map(|time| time / exchange.count() as f64).collect::<Vec<_>>());
    }
    print!("{:32}", "batch");
    batches.iter().for_each(|count| print!("{count:>15}"));
    println!("{:>10}", "ns/compr");
    for (at, name) in names.iter().enumerate() {
        print!("{name:32}");
        for column in &columns {
            print!("{:>15}", format!("{:.1} ({:.2}x)", column[at], column[0] / column[at]));
        }
        println!("{:>10.1}", columns[columns.len() - 1][at] / compressions);
    }
}

fn criterion_groups(criterion: &mut Criterion) {
    for (title, rows_of) in
        [("mac", mac_rows as fn(&Exchange) -> Vec<Row<'_>>), ("exchange", exchange_rows as _)]
    {
        let mut group = criterion.benchmark_group(format!("lanes/{title}"));
        for count in [1, 16, 1024] {
            let exchange = Exchange::new(count);
            group.throughput(Throughput::Elements(count as u64));
            for mut row in rows_of(&exchange) {
                group
                    .bench_function(BenchmarkId::new(&row.name, count), |bencher| bencher.iter(&mut row.run));
            }
        }
        group.finish();
    }
}

fn main() {
    print_table("HMAC-SHA256 of 48 bytes (2 compressions)", 2.0, &BATCHES, mac_rows);
    print_table("derive, verify, answer (8 compressions)", 8.0, &BATCHES, exchange_rows);
    if std::env::args().any(|argument| argument == "--table") {
        return;
    }
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20)
        .configure_from_args();
    criterion_groups(&mut criterion);
    criterion.final_summary();
}
