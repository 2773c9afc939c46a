//! The documented exit statuses, the reasons of a void run, profiles, the search, the help.

mod support;

use std::{
    path::Path,
    process::{Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use mvt_proto::Limits;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{
    Binary, nobody,
    stand_in::{self, Fault, honest},
    stderr,
};

/// Bounded by requests, so that a slow machine changes nothing but the time it takes.
const SHORT: [&str; 8] = ["--duration", "60s", "--requests", "500", "--warmup", "20ms", "--connections", "2"];

#[test]
fn each_exit_status_but_that_of_a_void_run_is_as_the_help_says() {
    let binary = Binary::new();
    let (nobody, _port) = nobody();
    let flipping = stand_in::serve(Fault::FlippedTag, Limits::DEFAULT);
    // What does not verify is waited for: no bound on requests ends that.
    let output = binary.run_as_long_as_needed(flipping, &["--connections", "2"], |output| {
        stderr(output).contains("did not verify")
    });
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let refusing = stand_in::serve(Fault::RefusesLogin, Limits::DEFAULT);
    for (server, more, status) in [
        (honest(), &["--assert", "errors==0"][..], 0),
        (honest(), &["--bad", "replay"], 2),
        (honest(), &["--assert", "p50<1ns"], 3),
        (nobody, &[], 5),
        (refusing, &[], 5),
    ] {
        let output = binary.run(server, &[&SHORT[..], more].concat());
        assert_eq!(output.status.code(), Some(status), "{more:?}: {}", stderr(&output));
    }
    let help = Binary::call(&["run", "--help"]);
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    for line in ["0  clean", "1  not clean", "2  usage", "3  an --assert", "4  VOID", "5  the server"] {
        assert!(help.contains(line), "{line} in {help}");
    }
}

/// A bound on a percentile that fewer than ten samples exceed proves nothing, whatever the longest of them is.
#[test]
fn a_percentile_of_too_few_samples_holds_no_bound() {
    let binary = Binary::new();
    for (requests, bound, status) in [
        ("60", "p50<100s", 0),
        ("60", "p99<100s", 3),
        ("60", "p99>1ns", 3),
        ("60", "p100<100s", 0),
        ("999", "p99<100s", 3),
        ("1000", "p99<100s", 0),
        ("1000", "p99.9<100s", 3),
    ] {
        let more = ["--requests", requests, "--warmup", "0", "--quiet", "--assert", bound];
        let output = binary.run(honest(), &more);
        assert_eq!(output.status.code(), Some(status), "{requests} {bound}: {}", stderr(&output));
        let says = stderr(&output).contains("too few samples");
        assert_eq!(says, status == 3, "{requests} {bound}: {}", stderr(&output));
    }
}

/// A generator that is stopped for a while is late by its own fault, on any machine.
#[test]
fn a_run_whose_generator_stood_still_is_void_and_exits_with_4() {
    let binary = Binary::new();
    let folder = binary.path("void");
    // One that was not stopped in the middle says nothing: this thread had no core at that time.
    let output = (0..10).find_map(|_| stopped_in_the_middle(&binary, &folder)).expect("stopped in time");
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("VOID: the generator sent late: schedule slip p99"),
        "{}",
        stderr(&output)
    );
    let page = std::fs::read_to_string(folder.join("report.html")).expect("a page");
    assert!(page.contains("<b>VOID.</b> This run says nothing about the server"));
}

/// A run of two seconds whose generator stood still for 400 ms of them; `None` when it was over before, or may have been.
fn stopped_in_the_middle(binary: &Binary, folder: &Path) -> Option<Output> {
    let more =
        ["--rate", "2k", "--duration", "2s", "--warmup", "20ms", "--connections", "2", "--quiet", "--out"];
    let (server, answered) = stand_in::serve_counted(Fault::None, Limits::DEFAULT);
    let mut command = binary.command(server, &[&more[..], &[folder.to_str().expect("ASCII")]].concat());
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("started");
    let id = Pid::from_child(&child);
    let spawned = Instant::now();
    // More than there are in the warm-up.
    stand_in::wait_for(&answered, 200);
    kill_process(id, Signal::STOP).expect("stopped");
    thread::sleep(Duration::from_millis(400));
    let is_in_time = spawned.elapsed() < Duration::from_secs(2);
    kill_process(id, Signal::CONT).expect("goes on");
    let output = child.wait_with_output().expect("ended");
    is_in_time.then_some(output)
}

#[test]
fn the_help_names_every_argument_with_a_text() {
    let help = |arguments: &[&str]| {
        let output = Binary::call(arguments);
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let top = help(&["--help"]);
    for command in ["run", "report", "compare", "Exit status:", "Examples:"] {
        assert!(top.contains(command), "{command} in {top}");
    }
    for hidden in ["  peer", "  floor", "  index"] {
        assert!(!top.contains(hidden), "{hidden}");
    }
    let run = help(&["run", "--help"]);
    for argument in [
        "--server",
        "--server-public-key",
        "--key",
        "--profile",
        "--rate",
        "--arrivals",
        "--ramp",
        "--closed",
        "--spin",
        "--warmup",
        "--duration",
        "--requests",
        "--find-max",
        "--slo",
        "--seed",
        "-c, --connections",
        "--in-flight",
        "--pipeline",
        "--reconnect-every",
        "--threads",
        "--pin",
        "--io",
        "--identities",
        "--sessions",
        "--popularity",
        "--login-every",
        "--resume",
        "--payload",
        "--suite",
        "--transport",
        "--server-certificate",
        "--server-ca",
        "--server-name",
        "--bad",
        "--server-pid",
        "--json",
        "--out",
        "--assert",
        "--label",
        "--quiet",
    ] {
        assert!(run.contains(argument), "{argument} in {run}");
    }
}

#[test]
fn a_profile_gives_arguments_and_the_command_line_overrides_them() {
    let binary = Binary::new();
    let report = |more: &[&str]| {
        let output = binary.run(
            honest(),
            &[&["--requests", "60", "--warmup", "0", "--json", "-", "--quiet"], more].concat(),
        );
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")["workload"].clone()
    };
    let depth1 = report(&["--profile", "depth1"]);
    assert_eq!((&depth1["connections"], &depth1["in_flight"]), (&1.into(), &1.into()));
    let deeper = report(&["--profile", "depth1", "--in-flight", "7", "--suite", "hs256"]);
    assert_eq!((&deeper["in_flight"], &deeper["suite"]), (&7.into(), &"hs256".into()));
    let path = binary.path("own.toml");
    let own = path.to_str().expect("ASCII");
    std::fs::write(&path, "about = \"mine\"\npayload = \"mix:20=9,50=1\"\n").expect("written");
    assert_eq!(report(&["--profile", own])["payload"], "mix:20=9,50=1");

    for (text, line, fault) in [
        ("connections = 1\nsped = 3\n", 2, "unknown key `sped`"),
        ("\n\npayload = \"mix\"\n", 3, "--payload"),
        ("connections = 0\n", 1, "--connections"),
        ("rate = [\n", 1, ""),
    ] {
        std::fs::write(&path, text).expect("written");
        let output = binary.run(honest(), &["--profile", own]);
        assert_eq!(output.status.code(), Some(2), "{text}: {}", stderr(&output));
        let place = format!("own.toml:{line}: ");
        assert!(stderr(&output).contains(&place) && stderr(&output).contains(fault), "{}", stderr(&output));
    }
    let output = binary.run(honest(), &["--profile", "no-such"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("pipeline256"), "{}", stderr(&output));
}

#[test]
fn a_search_brackets_bisects_and_says_why_it_ended() {
    let binary = Binary::new();
    let folder = binary.path("search");
    let fixed = [
        "--find-max",
        "--rate",
        "500",
        "--duration",
        "150ms",
        "--warmup",
        "20ms",
        "--connections",
        "2",
        "--out",
        folder.to_str().expect("ASCII"),
        "--json",
        "-",
        "--quiet",
    ];
    // More than this no bound on sent requests lets pass: the search is sure to end, on any machine.
    let output = binary.run(honest(), &[&fixed[..], &["--slo", "rate<3k", "--slo", "p50<10s"]].concat());
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let search = &report["search"];
    let probes = search["probes"].as_array().expect("probes");
    assert!(probes.len() >= 2, "{search}");
    let passed = |probe: &&Value| probe["verdict"] == "held";
    let best =
        probes.iter().filter(passed).map(|probe| probe["rate_per_s"].as_f64().unwrap()).reduce(f64::max);
    assert_eq!(search["rate_per_s"].as_f64(), best);
    assert!(!search["stopped"].as_str().expect("a reason").is_empty());
    if let Some(best) = best {
        // A busy machine may void every probe; one that held was asked for less than the bound.
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(best < 4_000.0, "{search}");
        assert_eq!(report["workload"]["rate_per_s"].as_f64(), Some(best));
        assert!(
            std::fs::read_to_string(folder.join("report.html"))
                .expect("a page")
                .contains("Search of the highest")
        );
    } else {
        assert!(matches!(output.status.code(), Some(3 | 4)), "{}", stderr(&output));
    }
    let alone = binary.run(honest(), &["--find-max"]);
    assert_eq!(alone.status.code(), Some(2));
    assert!(stderr(&alone).contains("--slo"), "{}", stderr(&alone));
}

#[test]
fn the_way_bytes_move_is_in_the_report() {
    let binary = Binary::new();
    for (io, expected) in [("epoll", "epoll"), ("auto", "")] {
        let more = ["--io", io, "--requests", "60", "--warmup", "0", "--json", "-", "--quiet"];
        let output = binary.run(honest(), &more);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let found = report["environment"]["generator_io"].as_str().expect("a text").to_owned();
        assert!(found.starts_with(expected) && !found.is_empty(), "{found}");
    }
}
