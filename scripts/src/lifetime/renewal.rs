//! Latency while every session is always in some renewal, against the same load without any.
//!
//! A round is three runs of one load: without renewals, with them, without again. So what drifts does so for both sides, and the two
//! runs without tell how much the machine alone makes of the same: where that is as much as what is looked for, the answer is void.

use super::{
    aim::{Aim, Side},
    bench::Bench,
    house::{House, Node, counted},
    load::{Load, Seen, ratio},
};
use crate::compare::ratio::median;

/// Sessions of the load, one for each connection: so few that each reaches its soft limit every 0.4 s at the usual rate. So it drains
/// always, until the next offer cuts the drain short, and comes to the Diffie-Hellman that every eighth renewal has.
const SESSIONS: u32 = 8;
/// How far the median of the control may be off.
const CONTROL_MAX: f64 = 1.1;
/// Rounds tried for each that is wanted, where the generator spoils some.
const TRIES: u32 = 2;

/// One round.
struct Round {
    before: Seen,
    renewing: Seen,
    after: Seen,
}

impl Round {
    fn run(bench: &Bench<'_>, renewing: &(House, Node), steady: &(House, Node)) -> anyhow::Result<Self> {
        let run = |(house, node): &(House, Node)| Load::run(bench, house, node, SESSIONS);
        Ok(Self { before: run(steady)?, renewing: run(renewing)?, after: run(steady)? })
    }

    /// p99 with renewals, against the mean of both without.
    fn sample(&self) -> Result<f64, String> {
        Ok(2.0 / (1.0 / ratio(&self.renewing, &self.before)? + 1.0 / ratio(&self.renewing, &self.after)?))
    }

    /// What the same comes to against itself.
    fn control(&self) -> Result<f64, String> {
        ratio(&self.after, &self.before)
    }

    fn failed(&self) -> u64 {
        self.before.failed + self.renewing.failed + self.after.failed
    }
}

fn start(bench: &Bench<'_>, name: &str, more: &str) -> anyhow::Result<(House, Node)> {
    let house = House::build(bench)?;
    let node = house.start(bench, name, more)?;
    Ok((house, node))
}

pub(super) fn measure(bench: &Bench<'_>) -> anyhow::Result<Vec<Aim>> {
    let mut aim = Aim::new("p99 while sessions renew, against without", "x", Side::AtMost, 1.2);
    let mut failed = Aim::new("requests that fail while sessions renew", "", Side::AtMost, 0.0);
    failed.quantile = 1.0;
    let limit = format!("limits.renew_after_requests = {}\n", bench.arguments.renew_after);
    let mut renewing = start(bench, "renewing", &limit)?;
    let steady = start(bench, "steady", "")?;
    let wanted = bench.arguments.rounds;
    let (mut renewals, mut controls) = (0, Vec::new());
    for number in 1..=TRIES * wanted {
        let round = Round::run(bench, &renewing, &steady)?;
        let void = round.sample().err().map_or_else(String::new, |why| format!("; void: {why}"));
        bench.say(&format!(
            "renewal {number}: p99 {:.0} us with {} renewals, {:.0} and {:.0} us without{void}",
            round.renewing.p99_us, round.renewing.renewals, round.before.p99_us, round.after.p99_us
        ));
        renewals += round.renewing.renewals;
        failed.samples.push(round.failed() as f64);
        controls.extend(round.control());
        aim.take(round.sample());
        if aim.samples.len() >= wanted as usize {
            break;
        }
    }
    doubt(&mut aim, &controls);
    let log = renewing.1.stop(&renewing.0, bench)?;
    if counted(&log, "shares") == 0 {
        aim.doubts.push("no renewal had a Diffie-Hellman: more --seconds, or a greater --rate".into());
    }
    aim.notes.push(format!(
        "{renewals} renewals of {SESSIONS} sessions, one for {} requests, at {} requests/s; at the server {} were committed, {} of them with a \
         Diffie-Hellman, {} offers were put off",
        bench.arguments.renew_after,
        bench.arguments.rate,
        counted(&log, "renewals"),
        counted(&log, "shares"),
        counted(&log, "offers_deferred"),
    ));
    Ok(vec![aim, failed])
}

/// Says what the control came to, and whether that makes the aim void.
fn doubt(aim: &mut Aim, controls: &[f64]) {
    let Some(middle) = median(controls) else { return };
    let each: Vec<_> = controls.iter().map(|control| format!("{control:.3}")).collect();
    let said = format!("control, without renewals against itself: {middle:.3}x ({})", each.join(", "));
    if !(1.0 / CONTROL_MAX..=CONTROL_MAX).contains(&middle) {
        aim.doubts.push(format!("the machine alone makes more than a tenth of difference; {said}"));
    } else {
        aim.notes.push(said);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifetime::aim::Verdict;

    fn seen(p99_us: f64) -> Seen {
        Seen { verified: 1, failed: 1, renewals: 0, p99_us, void: None }
    }

    #[test]
    fn what_drifts_is_taken_out_and_what_jumps_is_seen() {
        let round = Round { before: seen(100.0), renewing: seen(150.0), after: seen(200.0) };
        assert_eq!((round.sample(), round.control(), round.failed()), (Ok(1.0), Ok(2.0), 3));
        let void = Round { after: Seen { void: Some("late".into()), ..seen(1.0) }, ..round };
        assert_eq!(void.sample(), Err("late".into()));
    }

    #[test]
    fn a_control_that_is_off_makes_the_aim_void() {
        for (controls, verdict) in [
            (&[0.95, 1.0, 3.0][..], Verdict::Met),
            (&[1.2, 1.2, 1.0], Verdict::Void),
            (&[0.8], Verdict::Void),
        ] {
            let mut aim = Aim::new("a", "x", Side::AtMost, 1.2);
            aim.take(Ok(1.0));
            doubt(&mut aim, controls);
            assert_eq!(aim.verdict(), verdict, "{controls:?}");
        }
    }
}
