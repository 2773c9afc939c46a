//! Requests answered together: what one wrong answer for many does to a run (SPEC §7.4.2).

mod support;

use std::{thread, time::Duration};

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

/// One connection with five VERDICTS' worth of requests on their way, one VERDICTS of it wrong; for so long at most.
fn outcome(suite: Suite, io: Choice, wrong: Option<usize>, payload: &str, most: Duration) -> Outcome {
    let in_flight = 5 * TOGETHER;
    let mut plan = plan(serve(wrong));
    plan.workload.suite = suite;
    plan.workload.connections = 1;
    plan.workload.sessions = 1;
    plan.workload.in_flight = in_flight;
    plan.workload.payload = payload.parse::<Payload>().expect(payload);
    plan.schedule = Schedule::Closed { in_flight };
    plan.extent.requests = Some(REQUESTS);
    plan.extent.duration = most;
    plan.io = io;
    run(&plan, &NEVER).expect("the run begins")
}

#[test]
fn a_wrong_tag_under_many_verdicts_is_counted_once_and_hits_their_requests_alone() {
    // What a wrong answer leaves waiting ends its run by time: all of them wait at once.
    thread::scope(|scope| {
        for suite in [Suite::Hs256, Suite::Gcm256] {
            // In any place among those that are opened together.
            for (io, wrong) in
                [0, 1, 2, 4].map(|wrong| (Choice::Auto, wrong)).into_iter().chain([(Choice::Epoll, 1)])
            {
                scope.spawn(move || one_wrong_tag(suite, io, wrong));
            }
        }
    });
}

fn one_wrong_tag(suite: Suite, io: Choice, wrong: usize) {
    // A machine that has no time for it does not come to the wrong one in an interval that is short.
    let outcome = [150, 2_000, 20_000].into_iter().find_map(|most_ms| {
        let outcome = outcome(suite, io, Some(wrong), "20", Duration::from_millis(most_ms));
        Some(outcome).filter(|outcome| outcome.tally.failed_verifications > 0)
    });
    let outcome = outcome.unwrap_or_else(|| panic!("{suite:?} {wrong}: never"));
    let tally = &outcome.tally;
    assert_eq!(tally.failed_verifications, 1, "{suite:?} {wrong}: {tally:?}");
    assert!((2..=TOGETHER as u64).contains(&tally.unanswered), "{suite:?} {wrong}: {tally:?}");
    assert_eq!(tally.sent, tally.verified + tally.unanswered);
    assert_eq!(tally.latencies.count(), tally.verified);
    assert_eq!((tally.error_count(), tally.refused_count()), (0, 0), "{tally:?}");
    assert!(!outcome.is_clean());
}

/// The canary of the test above; payloads alike are written as one, others one by one.
#[test]
fn requests_answered_together_are_all_verified() {
    for suite in [Suite::Hs256, Suite::Gcm256] {
        for payload in ["0", "20", "27", "28", "1024", "uniform:0..100"] {
            let outcome = outcome(suite, Choice::Auto, None, payload, Duration::from_secs(60));
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
