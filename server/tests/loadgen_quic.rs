//! The load generator over QUIC against the server as a process: every answer verified, nothing lost in silence.

#[path = "support/starvation.rs"]
mod starvation;
mod support;

use std::{net::SocketAddr, sync::atomic::AtomicBool, time::Duration};

use mvt_client::quic::ServerCertificate;
use mvt_loadgen::{
    arrivals::{OpenLoop, Process},
    io::{
        Carrier, Choice,
        quic::{Dialer, Way},
    },
    report::Report,
    run::{Extent, Outcome, Plan, run},
    schedule::Schedule,
    target::{Parties, Protocol, Target},
    trouble::StartError,
    workload::{Answers, BadShares, Churn, Payload, Popularity, Workload},
};
use mvt_proto::Suite;
use starvation::Starvation;
use support::{
    Server,
    relay::{Relay, Rules},
};

/// As often as that a run is tried where the machine did not let it run.
const TRIES: u32 = 8;
static NEVER: AtomicBool = AtomicBool::new(false);
const CONFIG: &str = "listen.quic = \"127.0.0.1:0\"\n";
const WAYS: [Way; 2] = [Way::Stream, Way::Datagrams];

/// 2 connections x 64 in flight to `address`, for `count` requests.
fn plan(server: &Server, address: SocketAddr, way: Way, count: u64) -> Plan {
    let fingerprint = &server.quic.as_ref().expect("QUIC is on").1;
    let certificate = ServerCertificate::pinned(fingerprint).expect("a fingerprint");
    let carrier = Carrier::Quic(Box::new(Dialer::new(way, &certificate).expect("no file is read")));
    let identities = vec![server.client_keys().identity];
    Plan {
        target: Target {
            address,
            carrier,
            protocol: Protocol::Mvt(Parties { server_public: server.public_key, identities }),
        },
        workload: Workload {
            connections: 2,
            sessions: 2,
            popularity: Popularity::Uniform,
            in_flight: 64,
            threads: 1,
            payload: Payload::fixed(20),
            suite: Suite::Hs256,
            answers: Answers::Each,
            bad: BadShares::default(),
            churn: Churn::default(),
            seed: 1,
        },
        schedule: Schedule::Closed { in_flight: 64 },
        extent: Extent { warmup: Duration::ZERO, duration: Duration::from_secs(600), requests: Some(count) },
        pins: Vec::new(),
        server_pid: Some(server.process_id()),
        io: Choice::Auto,
        spin: false,
        doze: false,
        labels: Default::default(),
        quiet: true,
    }
}

fn address_of(server: &Server) -> SocketAddr {
    server.quic.as_ref().expect("QUIC is on").0
}

/// A run, whose bounds in time (of silence, of a login, of a copy that is not answered) are met on no machine that lets both ends run.
fn outcome(plan: &Plan) -> Outcome {
    for attempt in 1.. {
        let starvation = Starvation::watch(plan.server_pid.expect("it runs here"));
        let outcome = run(plan, &NEVER);
        let tally = match &outcome {
            Ok(outcome) => &outcome.tally,
            Err(StartError::NoQuic { .. } | StartError::Silent { .. } | StartError::Refused { .. })
                if attempt < TRIES && starvation.is_proved() =>
            {
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        assert_eq!(tally.sent, tally.verified + tally.refused_count() + tally.unanswered, "{tally:?}");
        assert_eq!(tally.latencies.count(), tally.verified);
        let met: Vec<_> = tally.errors().into_keys().collect();
        let is_of_time =
            met.iter().all(|name| ["closed", "timeout", "given_up", "unreachable"].contains(name));
        if outcome.as_ref().is_ok_and(Outcome::is_clean)
            || !is_of_time
            || attempt == TRIES
            || !starvation.is_proved()
        {
            return outcome.expect("matched");
        }
    }
    unreachable!("the last attempt ends it")
}

fn assert_all_verified(outcome: &Outcome, count: u64) {
    assert!(outcome.is_clean(), "{:?}", outcome.tally);
    assert_eq!((outcome.tally.verified, outcome.tally.failed_verifications), (count, 0));
}

#[test]
fn every_answer_verifies_by_each_way_of_each_kind_in_each_suite() {
    let server = Server::start(CONFIG);
    for way in WAYS {
        for (suite, answers) in [
            (Suite::Hs256, Answers::Each),
            (Suite::Hs256, Answers::Joint),
            (Suite::Gcm256, Answers::Each),
            (Suite::Gcm256, Answers::Joint),
        ] {
            let mut plan = plan(&server, address_of(&server), way, 8_000);
            (plan.workload.suite, plan.workload.answers) = (suite, answers);
            let outcome = outcome(&plan);
            assert_all_verified(&outcome, 8_000);
            assert!(outcome.server_cpu_ns.is_some_and(|cpu_ns| cpu_ns > 0));
            let report = Report::new(&plan, &outcome);
            assert_eq!(report.workload.transport, plan.target.carrier.name());
            assert_eq!(report.datagrams.is_some(), way == Way::Datagrams);
        }
    }
}

#[test]
fn payloads_that_no_datagram_holds_go_by_the_stream() {
    let server = Server::start("listen.quic = \"127.0.0.1:0\"\nservice.kind = \"echo\"\n");
    for way in WAYS {
        let mut plan = plan(&server, address_of(&server), way, 400);
        plan.workload.payload = "mix:20=50,3000=40,16384=10".parse().expect("a distribution");
        plan.schedule = Schedule::Closed { in_flight: 8 };
        assert_all_verified(&outcome(&plan), 400);
    }
}

#[test]
fn an_open_loop_sends_when_it_is_meant_to() {
    let server = Server::start(CONFIG);
    for way in WAYS {
        let mut plan = plan(&server, address_of(&server), way, u64::MAX);
        let arrivals = OpenLoop { rate_per_s: 2_000.0, process: Process::Constant, ramp_ns: 0, seed: 1 };
        plan.schedule = Schedule::Open { arrivals, in_flight: 1_000 };
        plan.extent = Extent { warmup: Duration::ZERO, duration: Duration::from_secs(1), requests: None };
        let outcome = outcome(&plan);
        assert!(outcome.is_clean(), "{:?}", outcome.tally);
        // The last instant may fall on the end of the interval.
        let offered = outcome.tally.sent + outcome.tally.unsent;
        assert!((1_999..=2_000).contains(&offered), "{:?}", outcome.tally);
        assert!(Report::new(&plan, &outcome).slip_ns.is_some());
    }
}

#[test]
fn sessions_renew_themselves_and_connections_are_replaced() {
    let limits = "limits.renew_after_requests = 1000\nlimits.reject_after_requests = 20000\n";
    let server = Server::start(&format!("{CONFIG}{limits}"));
    for way in WAYS {
        let mut plan = plan(&server, address_of(&server), way, 20_000);
        plan.workload.sessions = 6;
        let outcome = outcome(&plan);
        assert_all_verified(&outcome, 20_000);
        assert!(outcome.tally.renewals >= 6, "{:?}", outcome.tally);
        assert_eq!(outcome.tally.logins, 6);
    }
    let server = Server::start(CONFIG);
    for way in WAYS {
        let mut plan = plan(&server, address_of(&server), way, 10_000);
        plan.workload.churn =
            Churn { reconnect_every: Some(1_000), login_every: Some(1_000), resume_share: 0.5 };
        let outcome = outcome(&plan);
        assert_all_verified(&outcome, 10_000);
        let sessions = outcome.tally.logins + outcome.tally.resumes;
        assert!(outcome.tally.reconnects >= 8 && sessions >= 4, "{:?}", outcome.tally);
    }
}

/// SPEC §17.2.7: what is lost comes again with the same bytes; where an answer was lost, the outcome is unknown, and said so.
#[test]
fn on_a_path_that_loses_packets_every_request_has_an_end_that_is_told() {
    let limits = "limits.renew_after_requests = 1500\nlimits.reject_after_requests = 20000\n";
    let server = Server::start(&format!("{CONFIG}{limits}"));
    for (way, answers) in
        [(Way::Stream, Answers::Each), (Way::Datagrams, Answers::Each), (Way::Datagrams, Answers::Joint)]
    {
        // Many small packets: some are lost each time, and what else is on its way does not wait for them.
        let rules = Rules { lost: 5, doubled: 3, late: 5, bytes_max: 1300, ..Rules::default() };
        let relay = Relay::to(address_of(&server), rules, 7);
        let mut plan = plan(&server, relay.address, way, 6_000);
        plan.workload.answers = answers;
        // The relay knows one client.
        plan.workload.connections = 1;
        let outcome = outcome(&plan);
        let tally = &outcome.tally;
        assert!(outcome.is_clean(), "{tally:?}");
        assert_eq!(tally.sent, 6_000);
        if way == Way::Stream {
            assert_all_verified(&outcome, 6_000);
            assert_eq!(tally.datagrams, Default::default());
        } else {
            assert!(tally.datagrams.repeated > 0 && tally.datagrams.outcome_unknown > 0, "{tally:?}");
            assert_eq!(tally.unanswered, tally.datagrams.outcome_unknown, "{tally:?}");
            assert!(tally.renewals > 0, "{tally:?}");
        }
    }
}

/// SPEC §11.2.4, §11.2.6: every eighth generation is made with a SHARE, which goes with the request behind it. A generation
/// drains for 2 s, so this takes a minute: `--run-ignored only`.
#[test]
#[ignore = "takes a minute"]
fn a_renewal_whose_share_is_lost_is_made_up_for() {
    let server = Server::start(&format!("{CONFIG}limits.renew_after_requests = 100\n"));
    let rules = Rules { lost: 10, ..Rules::default() };
    let relay = Relay::to(address_of(&server), rules, 11);
    let mut plan = plan(&server, relay.address, Way::Datagrams, u64::MAX);
    (plan.workload.connections, plan.workload.sessions) = (1, 8);
    plan.schedule = Schedule::Closed { in_flight: 16 };
    let duration = Duration::from_secs(50);
    plan.extent = Extent { warmup: Duration::ZERO, duration, requests: None };
    let outcome = outcome(&plan);
    assert!(outcome.is_clean(), "{:?}", outcome.tally);
    assert!(outcome.tally.renewals >= 8 * 8, "{} renewals", outcome.tally.renewals);
    assert_eq!((outcome.tally.logins, outcome.tally.refused_count()), (8, 0), "{:?}", outcome.tally);
}

/// SPEC §9.4: the connection as a whole bears so many, and is replaced before.
#[test]
fn bad_frames_on_a_stream_are_refused_as_they_must_be() {
    let server = Server::start(CONFIG);
    let mut plan = plan(&server, address_of(&server), Way::Stream, 10_000);
    plan.workload.bad = "replay=1%,forged=0.2%,stale=1%".parse().expect("shares");
    let outcome = outcome(&plan);
    assert_all_verified(&outcome, 10_000);
    for (name, count) in outcome.tally.bad() {
        assert!(count.sent > 0 && count.accepted == 0 && count.refused == count.sent, "{name}: {count:?}");
    }
    assert!(outcome.tally.reconnects > 0);
}
