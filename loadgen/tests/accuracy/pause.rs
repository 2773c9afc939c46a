//! A server that stops for a while: the latencies of everyone who wanted to be served meanwhile.

use mvt_loadgen::{
    arrivals::{OpenLoop, Process},
    schedule::Schedule,
};

use crate::{
    assert_close,
    virtual_run::{SECOND, Virtual, open},
};

const PAUSE_NS: u64 = SECOND;
const DURATION_NS: u64 = 20 * SECOND;
const SERVICE_NS: u64 = 1_000;

fn paused(schedule: Schedule) -> Virtual {
    Virtual {
        schedule,
        connections: 4,
        warmup_ns: SECOND,
        duration_ns: DURATION_NS,
        server_pause: Some((5 * SECOND, PAUSE_NS)),
        generator_pause: None,
    }
}

/// A request intended t after the pause T began is answered when the pause is over and those before it are served:
/// after T - t + rate t s, s being the service time. As many wait longer than x as have t < (T - x) / (1 - rate s), of
/// all in the duration D, so the quantile q is T - (1 - q) D (1 - rate s) and the mean T^2 / 2 D (1 - rate s).
#[test]
fn a_pause_is_seen_by_every_request_that_was_due_in_it() {
    for (process, rate_per_s, in_flight) in [
        (Process::Constant, 10_000.0, 100_000),
        (Process::Constant, 10_000.0, 1),
        (Process::Constant, 10_000.0, 64),
        (Process::Poisson, 20_000.0, 64),
    ] {
        let run = paused(open(OpenLoop { rate_per_s, process, ramp_ns: 0, seed: 11 }, in_flight));
        let tally = run.run(|| SERVICE_NS).tally;
        let idle = 1.0 - rate_per_s * SERVICE_NS as f64 / 1e9;
        assert_eq!((tally.sent, tally.unsent), (tally.verified, 0));
        for quantile in [0.96, 0.97, 0.98, 0.99, 0.995, 0.999] {
            let theory = PAUSE_NS as f64 - (1.0 - quantile) * DURATION_NS as f64 * idle;
            let found = tally.latencies.quantile(quantile, 0).expect("samples") as f64;
            let what = format!("pause, {} {in_flight} in flight, p{}", process.name(), quantile * 100.0);
            assert_close(&what, found, theory, 2.0);
        }
        let summary = tally.latencies.summary();
        assert_close("pause, longest", summary.max.expect("samples") as f64, PAUSE_NS as f64, 2.0);
        let mean = (PAUSE_NS as f64).powi(2) / 2.0 / DURATION_NS as f64 / idle;
        assert_close("pause, mean", summary.mean.expect("samples"), mean, 2.0);
    }
}

/// The canary: what coordinated omission hides. A closed loop asks a paused server once for each slot of its window.
#[test]
fn a_closed_loop_does_not_see_the_pause_and_the_same_theory_fails_on_it() {
    let tally = paused(Schedule::Closed { in_flight: 1 }).run(|| 100_000).tally;
    assert!(tally.verified > 100_000, "{}", tally.verified);
    let p99 = tally.latencies.quantile(0.99, 0).expect("samples");
    assert!(p99 < 1_000_000, "{p99}");
    assert_eq!(
        tally.latencies.recorded().filter(|(ns, _)| *ns > 500_000_000).map(|(_, n)| n).sum::<u64>(),
        4
    );
}

#[test]
fn requests_that_waited_for_a_slot_are_held_back_and_not_slipped() {
    let run =
        paused(open(OpenLoop { rate_per_s: 10_000.0, process: Process::Constant, ramp_ns: 0, seed: 0 }, 64));
    let tally = run.run(|| SERVICE_NS).tally;
    // 10,000 were due in the pause and 101 until those were served; 64 on each of 4 connections were sent into it.
    assert!(tally.held_back.abs_diff(10_101 - 4 * 64) < 20, "{}", tally.held_back);
    assert_eq!(tally.slip.count() + tally.held_back, tally.sent);
    assert!(tally.slip.summary().max.expect("samples") <= 1, "{:?}", tally.slip);
}
