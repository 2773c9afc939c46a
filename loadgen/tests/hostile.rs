//! Bad frames, churn and many sessions: what is sent beside the requests, what must become of it.

mod support;

use std::{collections::BTreeMap, time::Duration};

use mvt_loadgen::{
    connection::FORGED_COUNT_MAX,
    io::Choice,
    run::{Outcome, Plan, run},
    tally::BadCount,
    target::Protocol,
    workload::{Churn, Popularity},
};
use mvt_proto::{Limits, Suite};
use support::{
    Binary, NEVER, client_identity, plan,
    stand_in::{self, Fault, honest},
    stderr,
};

const SHARES: &str = "replay=5%,forged=2%,stale=5%";

fn of_requests(count: u64, mut plan: Plan) -> Outcome {
    plan.extent.requests = Some(count);
    plan.extent.duration = Duration::from_secs(60);
    let outcome = run(&plan, &NEVER).expect("the run begins");
    let tally = &outcome.tally;
    assert_eq!(tally.sent, tally.verified + tally.refused_count() + tally.unanswered, "{tally:?}");
    outcome
}

#[test]
fn bad_frames_are_refused_as_the_spec_says_and_good_ones_go_on() {
    for suite in [Suite::Hs256, Suite::Gcm256] {
        for io in [Choice::Auto, Choice::Epoll] {
            let mut plan = plan(honest());
            plan.workload.suite = suite;
            plan.io = io;
            plan.workload.bad = SHARES.parse().expect("shares");
            plan.workload.payload = "uniform:0..400".parse().expect("sizes");
            let outcome = of_requests(3_000, plan);
            assert!(outcome.is_clean(), "{:?}", outcome.tally);
            let tally = &outcome.tally;
            assert_eq!((tally.verified, tally.unanswered), (3_000, 0));
            let bad = tally.bad();
            for (name, most) in [("replay", 250), ("stale", 250), ("forged", 120)] {
                let BadCount { sent, refused, accepted } = bad[name];
                assert!(sent > 15 && sent < most, "{name}: {bad:?}");
                assert_eq!((refused, accepted), (sent, 0), "{name}");
            }
            // SPEC §9.4: the server closes at the eighth, so a new connection is made before.
            assert!(tally.reconnects >= bad["forged"].sent / u64::from(FORGED_COUNT_MAX) - 1, "{tally:?}");
            assert_eq!(tally.logins, 2, "sessions outlive their connections");
        }
    }
}

#[test]
fn a_bad_frame_that_is_accepted_is_an_error_with_its_name() {
    for (fault, name, error) in [
        (Fault::AcceptsReplays, "replay", "replay_accepted"),
        (Fault::AcceptsStale, "stale", "stale_accepted"),
        (Fault::AcceptsForged, "forged", "forged_accepted"),
    ] {
        let mut plan = plan(stand_in::serve(fault, Limits::DEFAULT));
        plan.workload.bad = SHARES.parse().expect("shares");
        let outcome = of_requests(1_000, plan);
        assert!(!outcome.is_clean());
        let accepted = outcome.tally.bad()[name].accepted;
        assert!(accepted > 0, "{name}: {:?}", outcome.tally);
        assert_eq!(outcome.tally.errors(), BTreeMap::from([(error, accepted)]), "{:?}", outcome.tally);
    }
    let server = stand_in::serve(Fault::AcceptsReplays, Limits::DEFAULT);
    let more = ["--requests", "500", "--warmup", "0", "--bad", "replay=10%"];
    let output = Binary::new().run(server, &more);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("`replay_accepted`"), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("bad frames: replay"));
}

#[test]
fn connections_and_sessions_are_replaced_and_nothing_is_lost() {
    for io in [Choice::Auto, Choice::Epoll] {
        let mut plan = plan(honest());
        plan.io = io;
        plan.workload.churn = Churn { reconnect_every: Some(300), login_every: Some(450), resume_share: 0.0 };
        let outcome = of_requests(4_000, plan);
        assert!(outcome.is_clean(), "{:?}", outcome.tally);
        let tally = &outcome.tally;
        assert_eq!((tally.verified, tally.unanswered), (4_000, 0));
        assert!(tally.reconnects >= 8, "{tally:?}");
        assert!(tally.logins >= 6, "{tally:?}");
    }
}

/// Not a window more: what the report says of the churn is what was done.
#[test]
fn a_connection_is_replaced_after_as_many_requests_as_were_asked_for() {
    for (in_flight, every) in [(64, 100), (1, 50), (100, 100)] {
        let mut plan = plan(honest());
        (plan.workload.connections, plan.workload.sessions, plan.workload.in_flight) = (1, 1, in_flight);
        plan.schedule = mvt_loadgen::schedule::Schedule::Closed { in_flight };
        plan.workload.churn = Churn { reconnect_every: Some(every), login_every: None, resume_share: 0.0 };
        let outcome = of_requests(2_000, plan);
        assert!(outcome.is_clean(), "{:?}", outcome.tally);
        // After the last of them the run may be over first.
        let reconnects = outcome.tally.reconnects;
        assert!(
            (2_000 / every - 1..=2_000 / every).contains(&reconnects),
            "{in_flight} {every}: {reconnects}"
        );
    }
}

#[test]
fn sessions_are_resumed_by_their_tickets() {
    for (resume_share, suite) in [(1.0, Suite::Gcm256), (0.5, Suite::Hs256)] {
        let mut plan = plan(honest());
        plan.workload.suite = suite;
        plan.workload.sessions = 6;
        plan.workload.churn = Churn { reconnect_every: None, login_every: Some(100), resume_share };
        let sessions = plan.workload.sessions as u64;
        let outcome = of_requests(8_000, plan);
        assert!(outcome.is_clean(), "{:?}", outcome.tally);
        let tally = &outcome.tally;
        assert_eq!((tally.verified, tally.unanswered), (8_000, 0));
        if resume_share == 1.0 {
            assert!(tally.logins == sessions && tally.resumes >= 30, "{tally:?}");
        } else {
            assert!(tally.logins > sessions && tally.resumes >= 10, "{tally:?}");
        }
    }
}

#[test]
fn many_sessions_share_connections_by_their_popularity() {
    for popularity in [Popularity::Uniform, Popularity::Zipf(1.1)] {
        let mut plan = plan(honest());
        plan.workload.sessions = 41;
        plan.workload.popularity = popularity;
        let Protocol::Mvt(parties) = &mut plan.target.protocol else { unreachable!("the plan speaks MVT") };
        parties.identities.push(client_identity());
        let outcome = of_requests(2_000, plan);
        assert!(outcome.is_clean(), "{:?}", outcome.tally);
        assert_eq!((outcome.tally.verified, outcome.tally.logins), (2_000, 41));
    }
}

#[test]
fn many_sessions_with_tiny_limits_renew_and_lose_nothing() {
    let limits = Limits { renew_after_requests: 5, reject_after_requests: 9, ..Limits::DEFAULT };
    let mut plan = plan(stand_in::serve(Fault::None, limits));
    plan.workload.sessions = 10;
    let outcome = of_requests(1_000, plan);
    assert!(outcome.is_clean(), "{:?}", outcome.tally);
    assert_eq!((outcome.tally.verified, outcome.tally.refused_count()), (1_000, 0));
    assert!(outcome.tally.logins >= 1_000 / 9, "{:?}", outcome.tally);
}

#[test]
fn identities_are_key_files_or_a_folder_of_them() {
    let binary = Binary::new();
    let folder = binary.path("keys");
    std::fs::create_dir(&folder).expect("made");
    for name in ["a.key", "b.key"] {
        std::fs::copy(binary.path("client.key"), folder.join(name)).expect("copied");
    }
    std::fs::write(folder.join("notes.txt"), "no key").expect("written");
    let keys = folder.to_str().expect("ASCII");
    let fixed = ["--requests", "50", "--warmup", "0", "--json", "-", "--quiet", "--key", keys];
    for (more, count) in [(&["--identities", "2"][..], 2), (&[], 3)] {
        let output = binary.run(honest(), &[&fixed[..], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(report["workload"]["identities"], count);
    }
    let output = binary.run(honest(), &[&fixed[..], &["--identities", "4"]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("names 3 key files"), "{}", stderr(&output));
}
