//! What `run --out` leaves, what `report` shows of it, and how `compare` judges two of them.

mod support;

use std::path::Path;

use mvt_loadgen::{
    compare::{COMPARED, Side, Verdict, compare},
    histogram::Latencies,
    report::{Report, SlotReport},
    run_directory::{self, Run},
};
use serde_json::Value;
use support::{Binary, stand_in::honest, stderr};

fn run_into(binary: &Binary, name: &str, more: &[&str]) -> String {
    let folder = binary.path(name).to_str().expect("ASCII").to_owned();
    let fixed = ["--closed", "--warmup", "100ms", "--connections", "2", "--out", &folder];
    let run = |duration| binary.run(honest(), &[&fixed[..], &["--duration", duration], more].concat());
    // A machine that has no time for it does too little in an interval that is short.
    let mut output = run("1s");
    if output.status.code() != Some(0) {
        output = run("15s");
    }
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    folder
}

#[test]
fn a_run_directory_holds_every_file_and_the_page_needs_nothing_else() {
    let binary = Binary::new();
    let labels =
        ["--assert", "p99<10s", "--assert", "errors==0", "--label", "note=<script>alert(1)</script>"];
    let folder = run_into(&binary, "one", &labels);
    let read = |name: &str| std::fs::read_to_string(Path::new(&folder).join(name)).expect(name);
    let report: Report = serde_json::from_str(&read(run_directory::REPORT)).expect("a report");
    assert_eq!(report.histogram.latencies.count(), report.verified);
    assert_eq!(run_directory::read_report(Path::new(&folder)).expect("read back"), report);
    let setting: Value = serde_json::from_str(&read(run_directory::ENVIRONMENT)).expect("JSON");
    assert_eq!(setting["workload"]["connections"], 2);
    assert!(setting["environment"]["sysctls"]["net.ipv4.tcp_rmem"].is_string());
    assert!(setting["environment"]["command"].as_str().expect("text").starts_with("mvt-loadgen run"));
    let table = read(run_directory::PERCENTILES);
    assert!(table.starts_with("percentile,latency_ns,slip_ns\n1,") && table.contains("\n99,"), "{table}");
    assert!(read(run_directory::HGRM).contains("1/(1-Percentile)"));
    let run = run_directory::read(Path::new(&folder)).expect("read back");
    assert_eq!(run.slots.iter().map(Latencies::count).sum::<u64>(), report.verified);

    let page = read(run_directory::PAGE);
    assert!(page.len() < 300_000, "{}", page.len());
    assert_eq!(page.matches("<svg").count(), 3, "percentiles, latency and throughput over time");
    for foreign in ["<script", "<link", "<img", "src=", "href=", "url(", "@import"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    for part in ["p99&lt;10s held", "Clean.", "Environment", "closed loop", "&lt;script&gt;"] {
        assert!(page.to_lowercase().contains(&part.to_lowercase()), "{part}");
    }
}

#[test]
fn a_report_is_shown_again_in_every_format() {
    let binary = Binary::new();
    let folder = run_into(&binary, "one", &["--assert", "errors==0"]);
    for (format, part) in [
        ("text", "verified per second"),
        ("md", "| latency |"),
        ("json", "\"schema\": \"mvt.report/1\""),
        ("html", "<!doctype html>"),
    ] {
        let output = Binary::call(&["report", &folder, "--format", format]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(String::from_utf8_lossy(&output.stdout).contains(part), "{format}");
    }
    assert_eq!(Binary::call(&["report", "/nowhere"]).status.code(), Some(2));
}

#[test]
fn unlike_runs_are_refused_and_compared_by_force() {
    let binary = Binary::new();
    let shallow = run_into(&binary, "shallow", &["--in-flight", "1"]);
    let deep = run_into(&binary, "deep", &["--in-flight", "256"]);
    let refused = Binary::call(&["compare", &shallow, &deep]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("in flight: `1` in"), "{}", stderr(&refused));
    let page = binary.path("compare.html");
    let forced = Binary::call(&["compare", &shallow, &deep, "--force", "--html", page.to_str().unwrap()]);
    assert_eq!(forced.status.code(), Some(0), "{}", stderr(&forced));
    let text = String::from_utf8_lossy(&forced.stdout);
    let p50 = text.lines().find(|line| line.contains("p50")).expect("a row");
    assert!(p50.contains("deep is higher in these runs"), "{text}");
    assert!(std::fs::read_to_string(page).expect("written").contains("<svg"));

    let same = Binary::call(&["compare", &shallow, &shallow]);
    assert_eq!(same.status.code(), Some(0), "{}", stderr(&same));
    let text = String::from_utf8_lossy(&same.stdout);
    assert!(text.matches("no significant difference").count() >= 4, "{text}");
}

/// A side of one run whose slots hold exponential latencies of this mean.
fn side(like: &Report, seed: u64, mean_ns: f64) -> Side {
    let mut state = seed;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) + 1) as f64 / (1u64 << 31) as f64
    };
    let slots: Vec<Latencies> = (0..10)
        .map(|_| {
            let mut latencies = Latencies::default();
            (0..500).for_each(|_| latencies.record((-uniform().ln() * mean_ns) as u64));
            latencies
        })
        .collect();
    let mut report = like.clone();
    report.histogram.latencies = Latencies::default();
    slots.iter().for_each(|slot| report.histogram.latencies.merge(slot));
    let slot = SlotReport { answered: 500, ..report.over_time.slots[0] };
    report.over_time.slots = vec![slot; slots.len()];
    report.duration_s = 10.0 * report.over_time.slot_s;
    Side { name: seed.to_string(), repeats: vec![Run { name: seed.to_string(), report, slots }] }
}

#[test]
fn equal_servers_seldom_differ_and_a_slower_one_does() {
    let binary = Binary::new();
    let like = run_directory::read_report(Path::new(&run_into(&binary, "like", &[]))).expect("a report");
    let mut differ = 0;
    for seed in 0..8 {
        let rows = compare(&side(&like, 2 * seed + 1, 1e5), &side(&like, 2 * seed + 2, 1e5), seed);
        assert_eq!(rows.len(), COMPARED.len() + 1);
        differ += rows[..3].iter().filter(|row| row.verdict != Verdict::NoSignificantDifference).count();
    }
    // 24 figures at 95 %: 1.2 are expected to differ by chance.
    assert!(differ <= 5, "{differ}");
    let rows = compare(&side(&like, 91, 1e5), &side(&like, 92, 1.1e5), 1);
    assert_eq!(rows[..2].iter().map(|row| row.verdict).collect::<Vec<_>>(), [Verdict::Higher; 2], "{rows:?}");
    let interval = rows[0].interval.expect("known");
    // The median of an exponential distribution is its mean times ln 2.
    assert!((interval.low..interval.high).contains(&(1e4 * std::f64::consts::LN_2)), "{interval:?}");
    let back = compare(&side(&like, 92, 1.1e5), &side(&like, 91, 1e5), 1);
    assert_eq!(back[0].verdict, Verdict::Lower);
}

/// A run that took an hour is not lost because one file of it found no room.
#[test]
fn what_cannot_be_written_loses_a_file_and_not_the_run() {
    let binary = Binary::new();
    let folder = binary.path("in the way");
    // In the place of one file, for root writes everywhere.
    std::fs::create_dir_all(folder.join(run_directory::HGRM).join("full")).expect("a folder");
    let out = folder.to_str().expect("ASCII");
    let output = binary.run(honest(), &["--requests", "60", "--warmup", "0", "--quiet", "--out", out]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains(run_directory::HGRM), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains(" verified  "));
    assert_eq!(run_directory::read_report(&folder).expect("read back").verified, 60);
    assert!(folder.join(run_directory::PAGE).is_file());

    // A closed pipe, or a full disk behind it, loses no file; what the run says of itself is what the status tells.
    for (bound, status) in [("errors==0", 1), ("verified==0", 3)] {
        let folder = binary.path("unheard");
        let out = folder.to_str().expect("ASCII");
        let more = ["--requests", "60", "--warmup", "0", "--quiet", "--out", out, "--assert", bound];
        let mut command = binary.command(honest(), &more);
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has one");
        let output = command.stdout(full).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(status), "{}", stderr(&output));
        assert!(stderr(&output).contains("No space left"), "{}", stderr(&output));
        assert_eq!(run_directory::read_report(&folder).expect("read back").verified, 60);
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}

#[test]
fn a_file_is_replaced_whole_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("report.json");
    run_directory::replace(&path, "first").expect("written");
    run_directory::replace(&path, "second").expect("replaced");
    assert_eq!(std::fs::read_to_string(&path).expect("there"), "second");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing else is left");
    // What comes first does not fit.
    std::fs::create_dir(folder.path().join("report.json.part")).expect("in the way");
    assert!(run_directory::replace(&path, "third").is_err());
    assert_eq!(std::fs::read_to_string(&path).expect("there"), "second");
    run_directory::replace(Path::new("/dev/null"), "heard by nobody").expect("a device is written to");
}
