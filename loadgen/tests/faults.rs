//! What a run counts when the server is honest, and when it is not.

mod support;

use std::{collections::BTreeMap, process::Stdio, thread, time::Duration};

use mvt_loadgen::{
    connection::SILENCE_NS_MAX,
    report::Report,
    run::{Outcome, Plan, run},
    target::Protocol,
    trouble::StartError,
    workload::Payload,
};
use mvt_proto::{Limits, Suite};
use rustix::process::{Pid, Signal, kill_process};
use support::{
    Binary, NEVER, plan,
    stand_in::{self, Fault, honest},
    stderr,
};

/// Bounded by requests, so that a slow machine changes nothing but the time it takes.
fn of_requests(count: u64, mut plan: Plan) -> Outcome {
    plan.extent.requests = Some(count);
    plan.extent.duration = Duration::from_secs(60);
    run(&plan, &NEVER).expect("the run begins")
}

/// Of connections that end, and the run with the last of them.
fn until_the_end(fault: Fault) -> Result<Outcome, StartError> {
    let mut plan = plan(stand_in::serve(fault, Limits::DEFAULT));
    plan.extent.duration = Duration::from_secs(60);
    run(&plan, &NEVER)
}

/// For as long as it takes: a machine that has no time for it does nothing in an interval that is short.
fn as_long_as_needed(fault: Fault, is_meant: impl Fn(&Outcome) -> bool) -> Outcome {
    let mut plan = plan(stand_in::serve(fault, Limits::DEFAULT));
    let mut outcome = run(&plan, &NEVER).expect("the run begins");
    for seconds in [2, 20] {
        if is_meant(&outcome) {
            break;
        }
        plan.extent.duration = Duration::from_secs(seconds);
        outcome = run(&plan, &NEVER).expect("the run begins");
    }
    outcome
}

/// `sent = verified + Σ rejected + unanswered`.
fn assert_adds_up(outcome: &Outcome) {
    let tally = &outcome.tally;
    let found = tally.verified + tally.refused_count() + tally.unanswered;
    assert_eq!(tally.sent, found, "{tally:?}");
    assert_eq!(tally.latencies.count(), tally.verified);
}

#[test]
fn an_honest_server_s_answers_all_verify() {
    for suite in [Suite::Hs256, Suite::Gcm256] {
        for (threads, payload_bytes) in [(1, 0), (2, 20), (1, 16_384)] {
            let mut plan = plan(honest());
            plan.workload.suite = suite;
            plan.workload.threads = threads;
            plan.workload.payload = Payload::fixed(payload_bytes);
            let outcome = of_requests(300, plan);
            assert!(outcome.is_clean(), "{:?}", outcome.tally);
            assert_adds_up(&outcome);
            assert_eq!((outcome.tally.verified, outcome.tally.unanswered), (300, 0));
            assert!(outcome.client_cpu_ns > 0);
        }
    }
}

#[test]
fn a_flipped_tag_is_counted_and_never_verified() {
    let outcome = as_long_as_needed(Fault::FlippedTag, |outcome| outcome.tally.failed_verifications > 0);
    assert!(outcome.tally.failed_verifications > 0);
    assert_eq!(outcome.tally.unanswered, outcome.tally.failed_verifications);
    assert!(!outcome.is_clean());
    assert_adds_up(&outcome);
}

#[test]
fn a_closed_connection_is_an_error_and_what_waited_is_unanswered() {
    let outcome = until_the_end(Fault::Closes).expect("the run begins");
    assert_eq!(outcome.tally.errors(), BTreeMap::from([("closed", 2)]));
    assert!(outcome.tally.verified >= 200 - 32 && outcome.tally.unanswered > 0);
    assert!(outcome.interval_ns < 30_000_000_000, "the interval ends with the last connection");
    assert!(!outcome.is_clean());
    assert_adds_up(&outcome);
}

#[test]
fn a_run_whose_connections_end_in_the_warm_up_measures_nothing_and_says_so() {
    let mut plan = plan(stand_in::serve(Fault::Closes, Limits::DEFAULT));
    plan.extent.warmup = Duration::from_secs(20);
    let outcome = run(&plan, &NEVER).expect("the run begins");
    assert_eq!(outcome.tally.errors(), BTreeMap::from([("closed", 2)]));
    assert_eq!((outcome.tally.sent, outcome.interval_ns, outcome.client_cpu_ns), (0, 0, 0));
    assert!(!outcome.is_clean());
    let report = Report::new(&plan, &outcome);
    assert_eq!((report.rate_per_s, report.client_cpu_ns_per_request), (0.0, None));
}

#[test]
fn a_server_that_never_answers_leaves_everything_unanswered() {
    let outcome = as_long_as_needed(Fault::NeverAnswers, |outcome| outcome.tally.sent == 32);
    assert_eq!((outcome.tally.sent, outcome.tally.unanswered), (32, 32));
    assert!(!outcome.is_clean(), "nothing was verified");
    assert_adds_up(&outcome);
}

#[test]
fn a_server_that_falls_silent_for_long_is_a_timeout() {
    let mut plan = plan(stand_in::serve(Fault::NeverAnswers, Limits::DEFAULT));
    plan.extent.duration = Duration::from_secs(60);
    let outcome = run(&plan, &NEVER).expect("the run begins");
    assert_eq!(outcome.tally.errors(), BTreeMap::from([("timeout", 2)]));
    assert!(outcome.interval_ns < 30_000_000_000, "it does not wait for the end of the interval");
}

/// It has not heard for longer than it waits, but hardly listened; the answers come some time after it goes on.
#[test]
fn a_generator_that_stood_still_does_not_take_that_for_the_server_s_silence() {
    assert_stands_still("8s");
}

#[test]
fn a_generator_that_stood_still_as_its_interval_ended_waits_for_the_answers() {
    assert_stands_still("3s");
}

fn assert_stands_still(duration: &str) {
    let binary = Binary::new();
    let (address, answered, gate) = stand_in::serve_gated(Fault::None, Limits::DEFAULT);
    let command = ["--duration", duration, "--warmup", "0s", "--connections", "2", "--quiet"];
    let mut command = binary.command(address, &command);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let id = Pid::from_child(&child);
    stand_in::wait_for(&answered, 100);
    let silence = gate.lock().expect("no panic");
    thread::sleep(Duration::from_millis(100));
    kill_process(id, Signal::STOP).expect("stopped");
    thread::sleep(Duration::from_millis(SILENCE_NS_MAX / 1_000_000 + 300));
    kill_process(id, Signal::CONT).expect("goes on");
    thread::sleep(Duration::from_millis(300));
    drop(silence);
    let output = child.wait_with_output().expect("ended");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(report.lines().any(|line| line.split_whitespace().eq(["unanswered", "0"])), "{report}");
}

#[test]
fn a_verified_refusal_is_counted_by_name_and_the_loop_goes_on() {
    for (fault, name) in [(Fault::StaleOnce, "stale"), (Fault::LostOnce, "lost")] {
        let outcome = of_requests(1_000, plan(stand_in::serve(fault, Limits::DEFAULT)));
        assert_eq!(outcome.tally.rejected(), BTreeMap::from([(name, 2)]));
        assert!(outcome.is_clean(), "{:?}", outcome.tally);
        assert_eq!(outcome.tally.verified, 998);
        assert_adds_up(&outcome);
    }
}

#[test]
fn a_second_answer_is_unsolicited() {
    let outcome = of_requests(1_000, plan(stand_in::serve(Fault::AnswersTwice, Limits::DEFAULT)));
    assert!(outcome.tally.errors()["unsolicited"] > 0);
    assert_eq!((outcome.tally.failed_verifications, outcome.tally.unanswered), (0, 0));
    assert_adds_up(&outcome);
}

#[test]
fn answers_may_come_in_any_order() {
    let outcome = of_requests(1_000, plan(stand_in::serve(Fault::Reversed, Limits::DEFAULT)));
    assert!(outcome.is_clean(), "{:?}", outcome.tally);
    assert_adds_up(&outcome);
}

#[test]
fn a_cookie_and_a_busy_are_followed() {
    let outcome = of_requests(200, plan(stand_in::serve(Fault::Retries, Limits::DEFAULT)));
    assert!(outcome.is_clean(), "{:?}", outcome.tally);
    assert_eq!(outcome.tally.logins, 2);
}

#[test]
fn a_login_that_fails_ends_the_run_with_its_cause() {
    for (fault, expected) in [
        (Fault::RefusesLogin, "refused the login"),
        (Fault::Http, "does not speak MVT"),
        (Fault::SilentLogin, "did not answer the login"),
    ] {
        let error = run(&plan(stand_in::serve(fault, Limits::DEFAULT)), &NEVER).expect_err("no session");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let mut wrong_key = plan(honest());
    let Protocol::Mvt(parties) = &mut wrong_key.target.protocol else { unreachable!("the plan speaks MVT") };
    parties.server_public[5] ^= 1;
    assert!(matches!(run(&wrong_key, &NEVER), Err(StartError::Refused { .. })));
}

#[test]
fn bytes_that_are_no_frame_end_the_connection() {
    match until_the_end(Fault::Garbage) {
        Ok(outcome) => assert_eq!(outcome.tally.errors(), BTreeMap::from([("malformed", 2)])),
        Err(error) => assert!(matches!(error, StartError::NotMvt { .. }), "{error}"),
    }
}

#[test]
fn a_session_renews_by_login_and_loses_nothing() {
    for (in_flight, renew_after_requests, reject_after_requests) in [(16, 100, 200), (64, 10, 20), (1, 1, 1)]
    {
        let limits = Limits { renew_after_requests, reject_after_requests, ..Limits::DEFAULT };
        let mut plan = plan(stand_in::serve(Fault::None, limits));
        plan.workload.in_flight = in_flight;
        plan.schedule = mvt_loadgen::schedule::Schedule::Closed { in_flight };
        let outcome = of_requests(2_000, plan);
        assert!(outcome.is_clean(), "{:?}", outcome.tally);
        assert_adds_up(&outcome);
        let tally = &outcome.tally;
        assert_eq!((tally.refused_count(), tally.unanswered), (0, 0));
        assert_eq!(tally.verified, 2_000);
        assert!(tally.logins >= 2_000 / u64::from(reject_after_requests), "{tally:?}");
    }
}

#[test]
fn a_bound_on_requests_is_exact_and_ends_the_run() {
    let mut plan = plan(honest());
    plan.workload.threads = 2;
    plan.extent.warmup = Duration::from_millis(50);
    plan.extent.duration = Duration::from_secs(60);
    plan.extent.requests = Some(1_001);
    let outcome = run(&plan, &NEVER).expect("the run begins");
    assert_eq!((outcome.tally.sent, outcome.tally.verified), (1_001, 1_001));
    assert!(outcome.interval_ns < 30_000_000_000);
    assert!(outcome.is_clean());
}
