//! The open loop of the binary: what it offers, what it counts, and how a run is judged.

mod support;

use std::process::{Command, Stdio};

use mvt_proto::Limits;
use serde_json::Value;
use support::{
    Binary,
    stand_in::{self, Fault, honest},
    stderr,
};

const OPEN: [&str; 12] = [
    "--rate",
    "2k",
    "--warmup",
    "100ms",
    "--duration",
    "1s",
    "--connections",
    "2",
    "--json",
    "-",
    "--quiet",
    "--spin",
];

fn count(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap_or_else(|| panic!("{name} in {report}"))
}

#[test]
fn what_is_offered_is_the_rate_and_every_request_is_accounted_for() {
    for arrivals in ["constant", "poisson"] {
        let more = [&OPEN[..], &["--arrivals", arrivals, "--seed", "3", "--ramp", "200ms"]].concat();
        let output = Binary::new().run(honest(), &more);
        // On a busy machine the run may be void; its counts hold all the same.
        assert!(matches!(output.status.code(), Some(0 | 4)), "{}", stderr(&output));
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let offered = count(&report, "sent") + count(&report, "unsent");
        let off_by_most = if arrivals == "constant" { 1 } else { 200 };
        assert!(offered.abs_diff(2_000) <= off_by_most, "{arrivals}: {offered}");
        assert_eq!(count(&report, "sent"), count(&report, "verified") + count(&report, "unanswered"));
        let slipped = report["slip_ns"]["count"].as_u64().expect("a count");
        assert_eq!(slipped + count(&report, "held_back"), count(&report, "sent"));
        assert_eq!(
            (&report["workload"]["loop"], &report["workload"]["arrivals"]),
            (&"open".into(), &arrivals.into())
        );
        assert_eq!(report["workload"]["ramp_s"], 0.2);
        let slots = report["over_time"]["slots"].as_array().expect("slots");
        assert_eq!(slots.len(), 10);
        assert_eq!(slots.iter().map(|slot| count(slot, "sent")).sum::<u64>(), count(&report, "sent"));
    }
}

#[test]
fn a_server_that_says_nothing_leaves_requests_unsent_and_percentiles_unknown() {
    let more = [&OPEN[..], &["--in-flight", "8", "--assert", "p50<1s", "--assert", "unsent>100"]].concat();
    let output = Binary::new().run(stand_in::serve(Fault::NeverAnswers, Limits::DEFAULT), &more);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(count(&report, "verified"), 0);
    assert!(count(&report, "unsent") > 1_900, "{}", report["unsent"]);
    assert!(report["latency_ns"]["p50"].is_null());
    assert_eq!(report["latency_ns"]["beyond"], count(&report, "unsent") + count(&report, "unanswered"));
    let held: Vec<_> = report["assertions"].as_array().expect("two").iter().map(|it| &it["held"]).collect();
    assert_eq!(held, [false, true], "a percentile that is not known holds nothing");
}

/// A request that is due after one whose answer is still to come does not wait for that answer: of a server that never answers
/// half of the requests would be late by the half of a tick, 25 ms, and more.
#[test]
fn a_request_that_is_due_waits_for_no_answer() {
    let (silent, honest) = (stand_in::serve(Fault::NeverAnswers, Limits::DEFAULT), honest());
    let more = "--rate 500 --arrivals constant --warmup 100ms --duration 1s --connections 1 --in-flight 4096 --json - --quiet";
    let more: Vec<&str> = more.split(' ').collect();
    let median_ns = |server| {
        let output = Binary::new().run(server, &more);
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        report["slip_ns"]["p50"].as_u64().expect("a median")
    };
    // A busy machine is late by itself, of answers that come too.
    let is_prompt = |_| {
        let of_silent_ns = median_ns(silent);
        of_silent_ns < 12_000_000 || of_silent_ns < 12_000_000 + median_ns(honest)
    };
    assert!((0..5).any(is_prompt), "late every time");
}

#[test]
fn an_assertion_that_does_not_hold_exits_with_3_and_is_named() {
    let binary = Binary::new();
    let short = ["--requests", "1000", "--warmup", "0"];
    let kept = binary.run(honest(), &[&short[..], &["--assert", "errors==0", "--assert", "p99<1m"]].concat());
    assert_eq!(kept.status.code(), Some(2), "a minute is no unit: {}", stderr(&kept));
    let kept =
        binary.run(honest(), &[&short[..], &["--assert", "errors==0", "--assert", "p99<100s"]].concat());
    assert_eq!(kept.status.code(), Some(0), "{}", stderr(&kept));
    assert!(String::from_utf8_lossy(&kept.stdout).contains("assert p99<100s"));
    let broken =
        binary.run(honest(), &[&short[..], &["--assert", "p50<1ns", "--assert", "errors==0"]].concat());
    assert_eq!(broken.status.code(), Some(3), "{}", stderr(&broken));
    assert!(stderr(&broken).contains("p50<1ns (found ") && !stderr(&broken).contains("errors==0"));
    assert!(String::from_utf8_lossy(&broken.stdout).contains("FAILED"));
}

#[test]
fn a_rate_that_no_generator_reaches_is_void() {
    let more = [
        "--rate",
        "50M",
        "--warmup",
        "0",
        "--duration",
        "300ms",
        "--connections",
        "1",
        "--assert",
        "errors==0",
    ];
    let output = Binary::new().run(honest(), &more);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("VOID"), "{}", stderr(&output));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("VOID: the generator"), "{text}");
    // A bound that a void run holds is not said to be held.
    assert!(text.contains("assert errors==0                void "), "{text}");
}

#[test]
fn a_stopped_run_still_writes_its_report() {
    let binary = Binary::new();
    let path = binary.path("report.json");
    let (server, answered) = stand_in::serve_counted(Fault::None, Limits::DEFAULT);
    let more = ["--duration", "60s", "--warmup", "0", "--connections", "2", "--json", path.to_str().unwrap()];
    let child =
        binary.command(server, &more).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
    // Some of them it has counted: of those on their way there are fewer.
    stand_in::wait_for(&answered, 1_000);
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill runs").success());
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&std::fs::read(&path).expect("written")).expect("JSON");
    assert_eq!(report["interrupted"], true);
    assert!(report["duration_s"].as_f64().expect("a number") < 30.0);
    assert!(count(&report, "verified") > 0);
    assert_eq!(count(&report, "sent"), count(&report, "verified") + count(&report, "unanswered"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("interrupted"));
}
