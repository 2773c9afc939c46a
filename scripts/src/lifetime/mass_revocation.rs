//! Latency while clients are revoked by the thousand, and whether the store keeps them all.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Instant,
};

use anyhow::{Context, ensure};
use base64ct::{Base64, Encoding};

use super::{
    aim::{Aim, Side},
    bench::Bench,
    house::{House, Node},
    load::{Load, Seen, ratio},
    operator::{NAMES_MAX, Operator},
    pairs::{self, Pair},
};

const SESSIONS: u32 = 64;

/// The authorized file of as many clients. Their public keys are nobody's.
fn write_clients(path: &Path, count: u32) -> anyhow::Result<Vec<String>> {
    let mut text = String::new();
    let mut names = Vec::new();
    for number in 1..=count {
        let mut key = [0x21; 32];
        key[..4].copy_from_slice(&number.to_be_bytes());
        let name = format!("r{number}");
        writeln!(text, "{name} {}", Base64::encode_string(&key))?;
        names.push(name);
    }
    fs::write(path, text)?;
    Ok(names)
}

/// A run of the load while an operator revokes as fast as it is acknowledged, of `left` from its end.
fn run_revoking(
    bench: &Bench<'_>,
    house: &House,
    node: &Node,
    left: &mut Vec<String>,
) -> anyhow::Result<Seen> {
    let mut operator = Operator::call(&house.folder().join("revoking.sock"))?;
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let revoking = scope.spawn(|| -> anyhow::Result<()> {
            thread::sleep(super::load::WARMUP);
            while !is_over.load(Ordering::Relaxed) && !left.is_empty() {
                let batch = left.split_off(left.len().saturating_sub(NAMES_MAX));
                operator.revoke(&batch)?;
            }
            Ok(())
        });
        let seen = Load::run(bench, house, node, SESSIONS);
        is_over.store(true, Ordering::Relaxed);
        revoking.join().ok().context("the operator failed")??;
        seen
    })
}

pub(super) fn measure(bench: &Bench<'_>) -> anyhow::Result<Vec<Aim>> {
    let mut aim = Aim::new("p99 while clients are revoked, against without", "x", Side::AtMost, 2.0);
    let mut kept = Aim::new("revoked clients the store keeps over a restart", "", Side::AtLeast, 1.0);
    let house = House::build(bench)?;
    let count = bench.arguments.identities;
    let names = write_clients(&house.folder().join("many"), count)?;
    bench.say(&format!("revocation: enrolling {count} clients"));
    let begun = Instant::now();
    house.run(&["import", "many"])?;
    aim.notes.push(format!("{count} clients enrolled in {:.1} s", begun.elapsed().as_secs_f64()));
    let mut node = house.start(bench, "revoking", "")?;
    let mut left = names;
    let mut pairs = Vec::new();
    let share = left.len() / bench.arguments.rounds as usize;
    for round in 0..bench.arguments.rounds {
        let quiet = Load::run(bench, &house, &node, SESSIONS)?;
        // A part of them in each round; what a round does not come to, the next one does.
        let rest = left.split_off(left.len().min(share * (round as usize + 1)).min(left.len()));
        let mut part = std::mem::replace(&mut left, rest);
        let before = part.len();
        let busy = run_revoking(bench, &house, &node, &mut part)?;
        let done = before - part.len();
        left.append(&mut part);
        bench.say(&format!(
            "revocation {}: {done} revoked; p99 {:.0} us, {:.0} us without; {} requests failed",
            round + 1,
            busy.p99_us,
            quiet.p99_us,
            busy.failed + quiet.failed
        ));
        aim.take(ratio(&busy, &quiet));
        aim.notes.push(format!("{done} revoked in one run"));
        pairs.push(Pair { steady: quiet, disturbed: busy });
    }
    let begun = Instant::now();
    let mut operator = Operator::call(&house.folder().join("revoking.sock"))?;
    for batch in left.chunks(NAMES_MAX) {
        operator.revoke(batch)?;
    }
    aim.notes.push(format!("the last {} in {:.1} s", left.len(), begun.elapsed().as_secs_f64()));
    node.stop(&house, bench)?;
    let begun = Instant::now();
    let node = house.start(bench, "revoking", "")?;
    kept.notes.push(format!("started on them in {:.1} s", begun.elapsed().as_secs_f64()));
    drop(node);
    let listed = house.run(&["list", "--json"])?;
    let revoked = listed.matches("\"state\":\"revoked\"").count();
    ensure!(revoked <= count as usize, "more revoked than there are");
    kept.samples.push(revoked as f64 / f64::from(count));
    let paired = pairs::judge("p99 while clients are revoked, pairs disturbed alike", 2.0, &pairs, &[]);
    Ok(vec![paired, aim, kept])
}
