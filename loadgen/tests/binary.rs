//! The binary: exit statuses, messages, and the report it writes.

mod support;

use std::{net::SocketAddr, process::Output};

use mvt_proto::Limits;
use serde_json::Value;
use support::{
    Binary, nobody,
    stand_in::{self, Fault, honest},
    stderr,
};

/// With a bound on requests or on time.
const SHORT: [&str; 6] = ["--warmup", "20ms", "--connections", "2", "--in-flight", "16"];
/// Bounded by requests, so that a slow machine changes nothing but the time it takes.
const REQUESTS: [&str; 4] = ["--duration", "60s", "--requests", "2000"];

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn a_clean_run_writes_the_report_as_its_schema_says() {
    let binary = Binary::new();
    let path = binary.path("report.json");
    let pid = std::process::id().to_string();
    let more = ["--server-pid", &pid, "--json", path.to_str().unwrap()];
    let run = |_| {
        let output = binary.run(honest(), &[&SHORT[..], &["--duration", "300ms"], &more].concat());
        let report: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).expect("JSON");
        (output, report)
    };
    // Where the generator had no core for 300 ms nothing was verified, or the server's time read twice behind it.
    let is_meant = |(_, report): &(Output, Value)| {
        report["verified"] != 0 && report["server_cpu_ns_per_request"].as_f64() > Some(0.0)
    };
    let (output, report) = (0..10).map(run).find(is_meant).expect("a run in which something was done");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(report["schema"], "mvt.report/1");
    for key in [
        "sent",
        "verified",
        "rejected",
        "failed_verifications",
        "unanswered",
        "errors",
        "logins",
        "rate_per_s",
        "duration_s",
        "latency_ns",
        "server_cpu_ns_per_request",
        "client_cpu_ns_per_request",
        "workload",
        "environment",
        "histogram",
    ] {
        assert!(keys(&report).contains(&key), "{key}");
    }
    for key in ["p50", "p90", "p99", "p999", "max", "count", "mean"] {
        assert!(keys(&report["latency_ns"]).contains(&key), "{key}");
    }
    for key in ["connections", "in_flight", "threads", "payload_bytes", "suite", "loop", "duration_s"] {
        assert!(keys(&report["workload"]).contains(&key), "{key}");
    }
    for key in ["cpu_model", "cpu_flags", "kernel", "cores", "governor", "commit", "loopback", "co_located"] {
        assert!(keys(&report["environment"]).contains(&key), "{key}");
    }
    assert_eq!(report["workload"]["loop"], "closed");
    assert_eq!(report["environment"]["loopback"], true);
    assert_eq!(report["failed_verifications"], 0);
    let verified = report["verified"].as_u64().unwrap();
    assert_eq!(report["latency_ns"]["count"].as_u64(), Some(verified));
    let by_rate = report["rate_per_s"].as_f64().unwrap() * report["duration_s"].as_f64().unwrap();
    assert!((by_rate - verified as f64).abs() < 1.0);
    assert!(report["client_cpu_ns_per_request"].as_f64().unwrap() > 0.0);
}

#[test]
fn few_samples_give_no_far_percentile() {
    let binary = Binary::new();
    let output = binary.run(honest(), &["--requests", "100", "--warmup", "0", "--json", "-", "--quiet"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("nothing but JSON on stdout");
    assert_eq!(report["verified"], 100);
    assert!(report["latency_ns"]["p999"].is_null());
    assert!(report["latency_ns"]["p99"].is_u64());
    assert!(report["server_cpu_ns_per_request"].is_null());
    assert!(output.stderr.is_empty(), "{}", stderr(&output));
}

#[test]
fn the_text_says_what_the_numbers_mean() {
    let output = Binary::new().run(honest(), &[&SHORT[..], &REQUESTS].concat());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    for part in ["verified per second", "p99.9", "closed loop", "share this machine", " µs", "###"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(output.stderr.is_empty(), "no progress line without a terminal");
}

#[test]
fn a_flipped_tag_makes_the_run_fail() {
    let server = stand_in::serve(Fault::FlippedTag, Limits::DEFAULT);
    let is_meant = |output: &Output| stderr(output).contains("did not verify");
    let output = Binary::new().run_as_long_as_needed(server, &SHORT, is_meant);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("did not verify"), "{}", stderr(&output));
}

#[test]
fn a_worker_is_pinned_where_it_may_run_and_nowhere_else() {
    let binary = Binary::new();
    let may = rustix::thread::sched_getaffinity(None).expect("our own");
    let cpu = (0..rustix::thread::CpuSet::MAX_CPU).find(|cpu| may.is_set(*cpu)).expect("one at least");
    let pinned = binary.run(honest(), &[&SHORT[..], &REQUESTS, &["--pin", &cpu.to_string()]].concat());
    assert_eq!(pinned.status.code(), Some(0), "{}", stderr(&pinned));
    let missing = binary.run(honest(), &[&SHORT[..], &REQUESTS, &["--pin", "1023"]].concat());
    assert_eq!(missing.status.code(), Some(2), "{}", stderr(&missing));
    assert!(stderr(&missing).contains("CPU 1023"), "{}", stderr(&missing));
}

#[test]
fn a_closed_connection_makes_the_run_fail() {
    let server = stand_in::serve(Fault::Closes, Limits::DEFAULT);
    let output = Binary::new().run(server, &[&SHORT[..], &REQUESTS].concat());
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("error: closed"));
}

#[test]
fn a_refused_login_and_an_unreachable_server_are_told_apart() {
    let binary = Binary::new();
    let refused = binary.run(stand_in::serve(Fault::RefusesLogin, Limits::DEFAULT), &SHORT);
    assert_eq!(refused.status.code(), Some(5));
    assert!(stderr(&refused).contains("refused the login"), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("enrolled"));

    let (closed_port, _port) = nobody();
    let unreachable = binary.run(closed_port, &SHORT);
    assert_eq!(unreachable.status.code(), Some(5));
    assert!(stderr(&unreachable).contains("cannot reach"), "{}", stderr(&unreachable));
}

#[test]
fn bad_arguments_are_named_and_exit_with_2() {
    let binary = Binary::new();
    let nowhere: SocketAddr = "127.0.0.1:9".parse().unwrap();
    for (more, named) in [
        (&["--duration", "0"][..], "--duration"),
        (&["--duration", "soon"], "--duration"),
        (&["--duration", "25h"], "--duration"),
        (&["--warmup", "1y"], "--warmup"),
        (&["--connections", "0"], "--connections"),
        (&["--in-flight", "1000000"], "--in-flight"),
        (&["--payload-bytes", "16385"], "--payload"),
        (&["--suite", "md5"], "--suite"),
        (&["--requests", "0"], "--requests"),
        (&["--threads", "3", "--connections", "2"], "--threads"),
        (&["--pin", "0,1", "--threads", "1"], "--pin"),
        (&["--server-pid", "4294967295"], "--server-pid"),
        (&["--pin", "5000"], "--pin"),
        (&["--pin", "0,x"], "--pin"),
        (&["--rate", "0"], "--rate"),
        (&["--rate", "1k", "--closed"], "--closed"),
        (&["--rate", "1k", "--arrivals", "uniform"], "--arrivals"),
        (&["--ramp", "1s"], "--ramp"),
        (&["--spin"], "--spin"),
        (&["--closed", "--ramp", "1s"], "--ramp"),
        (&["--closed", "--arrivals", "constant"], "--arrivals"),
        (&["--closed", "--spin"], "--spin"),
        (&["--doze"], "--doze"),
        (&["--rate", "1k", "--spin", "--doze"], "--doze"),
        (&["--out", "/proc/nowhere"], "--out"),
        (&["--json", "/nowhere/report.json"], "--json"),
        (&["--assert", "p99"], "--assert"),
        (&["--label", "backend"], "--label"),
        (&["--what"], "--what"),
    ] {
        let output = binary.run(nowhere, more);
        assert_eq!(output.status.code(), Some(2), "{more:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(named), "{more:?}: {}", stderr(&output));
    }
}

#[test]
fn a_key_file_s_line_is_named_and_its_content_is_not() {
    let binary = Binary::new();
    std::fs::write(binary.path("client.key"), "# a comment\nmvt-private-key-x25519 secretsecret\n").unwrap();
    let output = binary.run("127.0.0.1:9".parse().unwrap(), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("line 2"), "{}", stderr(&output));
    assert!(!stderr(&output).contains("secretsecret"));
    std::fs::remove_file(binary.path("client.key")).unwrap();
    let output = binary.run("127.0.0.1:9".parse().unwrap(), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("client.key"), "{}", stderr(&output));
}

#[test]
fn a_bad_server_or_key_argument_exits_with_2() {
    let good_key = "UVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVE=";
    for (server, key) in [
        ("localhost", good_key),
        (":7440", good_key),
        ("localhost:0", good_key),
        ("localhost:99999", good_key),
        ("127.0.0.1:7440", "AAAA"),
        ("127.0.0.1:7440", "not base64"),
    ] {
        let output = Binary::call(&["run", "--server", server, "--server-public-key", key, "--key", "x"]);
        assert_eq!(output.status.code(), Some(2), "{server} {key}: {}", stderr(&output));
    }
    assert_eq!(Binary::call(&[]).status.code(), Some(2));
    assert_eq!(Binary::call(&["--version"]).status.code(), Some(0));
}
