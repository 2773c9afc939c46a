//! What a flood of HELLOs, as many as one core can send, leaves to sessions that are established.
//!
//! With two cores the flood, the load and the server share them, so requests answered in a second would mostly tell how the
//! scheduler divided the load's core. What is judged is what the shard has left for established sessions: the part of the time
//! it wants to run in which it does, less the time it spends on the flood. Its control is the same load beside the same flood
//! at a port where nobody listens, which burns the load's core alike. How many established requests are verified, and that none
//! fails, is judged as well.

use std::{
    net::{Ipv4Addr, SocketAddr},
    thread,
    time::Duration,
};

use super::{
    aim::{Aim, Side},
    bench::Bench,
    flood::{Flood, hellos},
    house::{House, Node, counted},
    load::{Load, Seen, WARMUP},
    usage::{Share, Usage},
};
use crate::process::free_address;

/// One for each connection, so that all are there when the flood begins.
const SESSIONS: u32 = 8;

/// One run beside a flood at `target`: what the load saw, the shard's time, the HELLOs sent in a second.
fn run(
    bench: &Bench<'_>,
    house: &House,
    node: &Node,
    target: SocketAddr,
    hellos: &[Vec<u8>],
) -> anyhow::Result<(Seen, Share, f64)> {
    let load = Load::start(bench, house, node, SESSIONS)?;
    // The load's logins come first: what is judged is what becomes of sessions that are there.
    thread::sleep(WARMUP / 2);
    let flood = Flood::start(target, hellos.to_vec(), bench.load_core);
    thread::sleep(WARMUP / 2 + Duration::from_millis(200));
    let before = Usage::of(node.process.id())?;
    thread::sleep(Duration::from_secs(bench.arguments.seconds.into()) - Duration::from_millis(500));
    let share = Usage::of(node.process.id())?.since(&before);
    let seen = load.finish(bench)?;
    Ok((seen, share, flood.stop()?))
}

pub(super) fn measure(bench: &Bench<'_>) -> anyhow::Result<Vec<Aim>> {
    let mut left =
        Aim::new("shard time a HELLO flood leaves to established sessions", "", Side::AtLeast, 0.9);
    let mut failed = Aim::new("established requests that fail in the flood", "", Side::AtMost, 0.0);
    failed.quantile = 1.0;
    let mut verified =
        Aim::new("established requests verified in the flood, against without", "x", Side::AtLeast, 0.9);
    let house = House::build(bench)?;
    let mut node = house.start(bench, "flooded", "")?;
    let hellos = hellos(&house.public_bytes()?)?;
    let dead = SocketAddr::from((Ipv4Addr::LOCALHOST, free_address()?.port()));
    for round in 0..bench.arguments.rounds {
        let (calm_seen, calm, _) = run(bench, &house, &node, dead, &hellos)?;
        let (seen, flooded, rate) = run(bench, &house, &node, node.address, &hellos)?;
        let spent = (flooded.on_core - calm.on_core).max(0.0);
        let rest = (flooded.granted() / calm.granted()).min(1.0) * (1.0 - spent);
        bench.say(&format!(
            "flood {}: {:.0} HELLOs/s; the shard ran {:.1} % of the time, waited {:.1} %, beside a dead port {:.1} % and \
             {:.1} %; {:.1} % left; p99 {:.0} us against {:.0} us, {} of {} requests failed",
            round + 1,
            rate,
            100.0 * flooded.on_core,
            100.0 * flooded.waited,
            100.0 * calm.on_core,
            100.0 * calm.waited,
            100.0 * rest,
            seen.p99_us,
            calm_seen.p99_us,
            seen.failed,
            seen.verified + seen.failed,
        ));
        left.samples.push(rest);
        left.notes.push(format!("{rate:.0} HELLOs/s"));
        failed.samples.push(seen.failed as f64);
        verified.samples.push(seen.verified as f64 / calm_seen.verified as f64);
    }
    let log = node.stop(&house, bench)?;
    let count = |name| counted(&log, name);
    left.notes.push(format!(
        "{} HELLOs were worked on in vain, {} asked for a cookie, {} told to wait, {} connections refused or cut off",
        count("unknown_client") + count("noise"),
        count("cookies_asked"),
        count("busy"),
        count("connections_refused") + count("logins_cut_off"),
    ));
    verified.notes.push(format!("open loop, {} requests/s", bench.arguments.rate));
    Ok(vec![left, verified, failed])
}
