//! A generator that stops for a while: its lateness is in the slip, and the run is void.

use mvt_loadgen::{
    arrivals::{OpenLoop, Process},
    verdict::{Facts, Void},
};

use crate::{
    assert_close,
    virtual_run::{SECOND, Virtual, open},
};

#[test]
fn a_late_generator_is_in_the_slip_and_in_the_latency_and_voids_the_run() {
    let late_ns = SECOND / 2;
    let duration_ns = 10 * SECOND;
    let run = Virtual {
        schedule: open(
            OpenLoop { rate_per_s: 1e4, process: Process::Constant, ramp_ns: 0, seed: 0 },
            100_000,
        ),
        connections: 2,
        warmup_ns: SECOND,
        duration_ns,
        server_pause: None,
        generator_pause: Some((4 * SECOND, late_ns)),
    };
    let tally = run.run(|| 1_000).tally;
    assert_eq!(tally.held_back, 0);
    for quantile in [0.97, 0.99, 0.999] {
        let theory = late_ns as f64 - (1.0 - quantile) * duration_ns as f64;
        let found = tally.slip.quantile(quantile, 0).expect("samples") as f64;
        assert_close(&format!("late generator, slip p{}", quantile * 100.0), found, theory, 2.0);
        let latency = tally.latencies.quantile(quantile, 0).expect("samples") as f64;
        assert_close(&format!("late generator, latency p{}", quantile * 100.0), latency, theory, 2.0);
    }
    let facts = Facts {
        open: true,
        slip_p99_ns: tally.slip.summary().p99,
        latency_p50_ns: tally.latencies.summary().p50,
        sent: tally.sent,
        ..Facts::default()
    };
    assert!(matches!(facts.void(), Some(Void::Slipped { .. })));
}
