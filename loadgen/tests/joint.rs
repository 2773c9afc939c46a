//! Requests answered together: what one wrong answer for many does to a run (SPEC §7.4.2).

mod support;

use std::time::Duration;

use mvt_loadgen::{
    io::Choice,
    run::{Outcome, run},
    schedule::Schedule,
    workload::Payload,
};
use mvt_proto::Suite;
use support::{
    NEVER,
    joining::{TOGETHER, serve},
    plan,
};

/// Of a run in which nothing is wrong.
const REQUESTS: u64 = 4_000;

/// One connection with five VERDICTS' worth of requests on their way, one VERDICTS of it wrong.
fn outcome(suite: Suite, io: Choice, wrong: Option<usize>, payload: &str) -> Outcome {
    let in_flight = 5 * TOGETHER;
    let mut plan = plan(serve(wrong));
    plan.workload.suite = suite;
    plan.workload.connections = 1;
    plan.workload.sessions = 1;
    plan.workload.in_flight = in_flight;
    plan.workload.payload = payload.parse::<Payload>().expect(payload);
    plan.schedule = Schedule::Closed { in_flight };
    plan.extent.requests = Some(REQUESTS);
    // What a wrong answer leaves waiting ends the run by time.
    plan.extent.duration = Duration::from_millis(if wrong.is_some() { 150 } else { 60_000 });
    plan.io = io;
    run(&plan, &NEVER).expect("the run begins")
}

#[test]
fn a_wrong_tag_under_many_verdicts_is_counted_once_and_hits_their_requests_alone() {
    for suite in [Suite::Hs256, Suite::Gcm256] {
        // In any place among those that are opened together.
        for (io, wrong) in
            [0, 1, 2, 4].map(|wrong| (Choice::Auto, wrong)).into_iter().chain([(Choice::Epoll, 1)])
        {
            let outcome = outcome(suite, io, Some(wrong), "20");
            let tally = &outcome.tally;
            assert_eq!(tally.failed_verifications, 1, "{suite:?} {wrong}: {tally:?}");
            assert!((2..=TOGETHER as u64).contains(&tally.unanswered), "{suite:?} {wrong}: {tally:?}");
            assert_eq!(tally.sent, tally.verified + tally.unanswered);
            assert_eq!(tally.latencies.count(), tally.verified);
            assert_eq!((tally.error_count(), tally.refused_count()), (0, 0), "{tally:?}");
            assert!(!outcome.is_clean());
        }
    }
}

/// The canary of the test above; payloads alike are written as one, others one by one.
#[test]
fn requests_answered_together_are_all_verified() {
    for suite in [Suite::Hs256, Suite::Gcm256] {
        for payload in ["0", "20", "27", "28", "1024", "uniform:0..100"] {
            let outcome = outcome(suite, Choice::Auto, None, payload);
            let tally = &outcome.tally;
            assert!(outcome.is_clean(), "{suite:?} {payload}: {tally:?}");
            assert_eq!(
                (tally.sent, tally.verified, tally.latencies.count()),
                (REQUESTS, REQUESTS, REQUESTS),
                "{payload}"
            );
        }
    }
}
