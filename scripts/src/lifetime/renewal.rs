//! Latency while every session is always in some renewal, against the same load without any.

use super::{
    aim::{Aim, Side},
    bench::Bench,
    house::{House, Node},
    load::Load,
};

/// Sessions of the load: enough that a renewal is under way at every moment.
const SESSIONS: u32 = 128;
/// Soft limit of the node that renews: with the usual rate a session reaches it every 1.6 s, so that it drains always.
const RENEW_AFTER: u32 = 256;

pub(super) fn measure(bench: &Bench<'_>) -> anyhow::Result<Aim> {
    let mut aim = Aim::new("p99 while sessions renew, against without", "x", Side::AtMost, 1.2);
    let (renewing, steady) = (House::build(bench)?, House::build(bench)?);
    let limits = format!("limits.renew_after_requests = {RENEW_AFTER}\n");
    let with: Node = renewing.start(bench, "renewing", &limits)?;
    let without = steady.start(bench, "steady", "")?;
    let (mut renewals, mut failed) = (0, 0);
    for round in 0..bench.arguments.rounds {
        // By turns the first of the two.
        let (a, b) = if round % 2 == 0 {
            let a = Load::run(bench, &renewing, &with, SESSIONS)?;
            (a, Load::run(bench, &steady, &without, SESSIONS)?)
        } else {
            let b = Load::run(bench, &steady, &without, SESSIONS)?;
            (Load::run(bench, &renewing, &with, SESSIONS)?, b)
        };
        bench.say(&format!(
            "renewal {}: p99 {:.0} us with {} renewals, {:.0} us without",
            round + 1,
            a.p99_us,
            a.renewals,
            b.p99_us
        ));
        renewals += a.renewals;
        failed += a.failed + b.failed;
        aim.samples.push(a.p99_us / b.p99_us);
        aim.notes.extend([a.void, b.void].into_iter().flatten().map(|why| format!("void: {why}")));
    }
    aim.notes.push(format!(
        "{renewals} renewals of {SESSIONS} sessions at {} requests/s, {failed} requests failed",
        bench.arguments.rate
    ));
    Ok(aim)
}
