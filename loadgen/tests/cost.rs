//! What a request costs the generator. A measurement, not a check:
//! `cargo test --release -p mvt-loadgen --test cost -- --ignored --nocapture`.

mod support;

use std::time::Duration;

use mvt_loadgen::{
    report::{Report, text},
    run::run,
};
use mvt_proto::Suite;
use support::{NEVER, plan, stand_in::honest};

#[test]
#[ignore = "a measurement of some seconds"]
fn a_run_passes_the_soft_limit_of_its_sessions() {
    let mut plan = plan(honest());
    plan.workload.suite = Suite::Hs256;
    plan.workload.connections = 1;
    plan.workload.in_flight = 256;
    plan.schedule = mvt_loadgen::schedule::Schedule::Closed { in_flight: 256 };
    plan.extent.duration = Duration::from_secs(120);
    plan.extent.requests = Some(3 << 20);
    let outcome = run(&plan, &NEVER).expect("the run begins");
    assert!(outcome.is_clean(), "{:?}", outcome.tally);
    assert_eq!(outcome.tally.verified, 3 << 20);
    assert!(outcome.tally.logins >= 3);
    println!("{}", text::render(&Report::new(&plan, &outcome)));
}

#[test]
#[ignore = "a measurement of some seconds"]
fn cost_of_a_request() {
    for suite in [Suite::Gcm256, Suite::Hs256] {
        let mut plan = plan(honest());
        plan.workload.suite = suite;
        plan.workload.connections = 8;
        plan.workload.in_flight = 256;
        plan.schedule = mvt_loadgen::schedule::Schedule::Closed { in_flight: 256 };
        plan.extent.warmup = Duration::from_millis(500);
        plan.extent.duration = Duration::from_secs(4);
        let outcome = run(&plan, &NEVER).expect("the run begins");
        assert!(outcome.is_clean(), "{:?}", outcome.tally);
        println!("{}", text::render(&Report::new(&plan, &outcome)));
    }
}
