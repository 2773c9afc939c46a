//! How soon every node refuses the ticket of a client that is revoked at one of them.

use std::{
    fs,
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use base64ct::{Base64, Encoding};

use super::{
    aim::{Aim, Side},
    bench::Bench,
    house::House,
    operator::Operator,
    visitor::{Ticket, log_in, random, resumes},
};
use crate::reference::x25519::KeyPair;

/// Between two tries at one node.
const PAUSE: Duration = Duration::from_millis(2);
/// After so many refusals in a row nothing is accepted any more.
const REFUSALS: u32 = 10;
/// How long a node may go on accepting before that is a failure.
const PATIENCE: Duration = Duration::from_secs(10);

const FOLLOWER: &str = "store.engine = \"feed\"\nstore.feed_file = \"feed\"\n";

fn name(number: usize) -> String {
    format!("visitor-{number}")
}

/// Tries `ticket` at a node until it is refused for good; when it was accepted last.
fn probe(
    address: SocketAddr,
    ticket: &Ticket,
    ready: &AtomicUsize,
    is_revoked: &AtomicBool,
) -> anyhow::Result<Instant> {
    let (mut last, mut refused, begun) = (None, 0, Instant::now());
    while refused < REFUSALS {
        ensure!(begun.elapsed() < PATIENCE, "a node goes on accepting, or never began");
        if resumes(address, ticket)? {
            // When the answer was there: later than when it was given.
            if last.replace(Instant::now()).is_none() {
                ready.fetch_add(1, Ordering::Release);
            }
            refused = 0;
        } else if is_revoked.load(Ordering::Acquire) {
            refused += 1;
        }
        thread::sleep(PAUSE);
    }
    last.context("never accepted")
}

/// Revokes one client; how long each node went on accepting its ticket since the command was given, ms.
fn revoke_one(
    bench: &Bench<'_>,
    nodes: &[SocketAddr],
    operator: &mut Operator,
    name: String,
    ticket: &Ticket,
) -> anyhow::Result<Vec<f64>> {
    let (ready, is_revoked) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let probes: Vec<_> = nodes
            .iter()
            .map(|address| scope.spawn(|| probe(*address, ticket, &ready, &is_revoked)))
            .collect();
        let all = bench
            .stop
            .wait_for(PATIENCE, || Ok((ready.load(Ordering::Acquire) == nodes.len()).then_some(())))?;
        let begun = Instant::now();
        let done = operator.revoke(&[name]);
        is_revoked.store(true, Ordering::Release);
        let lasts: anyhow::Result<Vec<Instant>> =
            probes.into_iter().map(|probe| probe.join().ok().context("a try failed")?).collect();
        all.context("a node never accepted")?;
        done?;
        Ok(lasts?.into_iter().map(|last| last.saturating_duration_since(begun).as_secs_f64() * 1e3).collect())
    })
}

pub(super) fn measure(bench: &Bench<'_>) -> anyhow::Result<Aim> {
    let mut aim = Aim::new("revoked until refused by every node, p99", "ms", Side::AtMost, 200.0);
    aim.quantile = 0.99;
    let house = House::build(bench)?;
    let count = bench.arguments.tickets as usize;
    let keys = (0..count).map(|_| Ok(KeyPair::new(random()?))).collect::<anyhow::Result<Vec<_>>>()?;
    let lines: Vec<_> = keys
        .iter()
        .enumerate()
        .map(|(number, key)| format!("{} {}\n", name(number), Base64::encode_string(&key.public)))
        .collect();
    fs::write(house.folder().join("visitors"), lines.concat())?;
    house.run(&["import", "visitors"])?;
    let owner = house.start(bench, "owner", "store.feed_file = \"feed\"\n")?;
    let second = house.start(bench, "second", &format!("identity.node_slot = 1\n{FOLLOWER}"))?;
    let third = house.start(bench, "third", &format!("identity.node_slot = 2\n{FOLLOWER}"))?;
    let nodes = [owner.address, second.address, third.address];
    let mut operator = Operator::call(&house.folder().join("owner.sock"))?;
    for (number, key) in keys.into_iter().enumerate() {
        // Any node gives tickets.
        let ticket = log_in(nodes[number % nodes.len()], house.public_bytes()?, key)?;
        aim.samples.extend(revoke_one(bench, &nodes, &mut operator, name(number), &ticket)?);
    }
    bench.say(&format!("resume: {count} clients revoked, {} nodes", nodes.len()));
    aim.notes.push(format!(
        "{count} clients, {} nodes of which {} follow a feed; from the command to the last ticket that was accepted",
        nodes.len(),
        nodes.len() - 1
    ));
    Ok(aim)
}
