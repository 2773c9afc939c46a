//! Latency while every session is always in some renewal, against the same load without any.
//!
//! Two runs of one load make a pair, and which of them is first alternates: so what drifts does so for both sides, and of each
//! two pairs two runs without follow each other, whose ratio tells what the machine alone makes of the same.

use super::{
    aim::{Aim, Side},
    bench::Bench,
    house::{House, Node, counted},
    load::{Load, Seen, ratio},
    pairs::{self, Pair},
};

/// Sessions of the load, one for each connection: so few that each reaches its soft limit every 0.2 s at the usual rate. So it drains
/// always, until the next offer cuts the drain short, and comes to the Diffie-Hellman that every eighth renewal has.
const SESSIONS: u32 = 8;
/// What the p99 may become.
const BOUND: f64 = 1.2;
/// With `--spin`: for how long a shard looks for work before it sleeps.
const SPINNING: &str = "io.spin_us = 1000\n";

fn start(bench: &Bench<'_>, name: &str, more: &str) -> anyhow::Result<(House, Node)> {
    let house = House::build(bench)?;
    let spin = if bench.arguments.spin { SPINNING } else { "" };
    let node = house.start(bench, name, &format!("{spin}{more}"))?;
    Ok((house, node))
}

fn run(bench: &Bench<'_>, (house, node): &(House, Node)) -> anyhow::Result<Seen> {
    Load::run_for(bench, house, node, SESSIONS, bench.arguments.pair_seconds)
}

pub(super) fn measure(bench: &Bench<'_>) -> anyhow::Result<Vec<Aim>> {
    let limit = format!("limits.renew_after_requests = {}\n", bench.arguments.renew_after);
    let mut renewing = start(bench, "renewing", &limit)?;
    let steady = start(bench, "steady", "")?;
    let mut pairs: Vec<Pair> = Vec::new();
    let mut controls = Vec::new();
    for number in 1..=bench.arguments.pairs {
        let is_steady_first = number.is_multiple_of(2);
        let pair = if is_steady_first {
            let seen = run(bench, &steady)?;
            if let Some(before) = pairs.last() {
                controls.push(seen.p99_us / before.steady.p99_us);
            }
            Pair { steady: seen, disturbed: run(bench, &renewing)? }
        } else {
            let disturbed = run(bench, &renewing)?;
            Pair { steady: run(bench, &steady)?, disturbed }
        };
        bench.say(&format!(
            "renewal {number}: p99 {:.0} us with {} renewals, {:.0} us without; slip {:.0} and {:.0} us",
            pair.disturbed.p99_us,
            pair.disturbed.renewals,
            pair.steady.p99_us,
            pair.disturbed.slip_p99_us,
            pair.steady.slip_p99_us
        ));
        pairs.push(pair);
    }
    let log = renewing.1.stop(&renewing.0, bench)?;
    Ok(aims(bench, &pairs, &controls, &log))
}

fn aims(bench: &Bench<'_>, pairs: &[Pair], controls: &[f64], log: &str) -> Vec<Aim> {
    let mut paired = pairs::judge("p99 while sessions renew, pairs disturbed alike", BOUND, pairs, controls);
    if counted(log, "shares") == 0 {
        paired.doubts.push("no renewal had a Diffie-Hellman: more --pairs, or a greater --rate".into());
    }
    paired.notes.push(format!(
        "{} renewals of {SESSIONS} sessions, one for {} requests, at {} requests/s; at the server {} were committed, {} of them with a \
         Diffie-Hellman, {} offers were put off",
        pairs.iter().map(|pair| pair.disturbed.renewals).sum::<u64>(),
        bench.arguments.renew_after,
        bench.arguments.rate,
        counted(log, "renewals"),
        counted(log, "shares"),
        counted(log, "offers_deferred"),
    ));
    let mut absolute = Aim::new("p99 while sessions renew, against without", "x", Side::AtMost, BOUND);
    let mut failed = Aim::new("requests that fail while sessions renew", "", Side::AtMost, 0.0);
    failed.quantile = 1.0;
    for pair in pairs {
        absolute.take(ratio(&pair.disturbed, &pair.steady));
        failed.samples.push((pair.disturbed.failed + pair.steady.failed) as f64);
    }
    vec![paired, absolute, failed]
}
