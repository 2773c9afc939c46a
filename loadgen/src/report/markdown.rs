//! The report as Markdown, for a pull request or a README.

use std::fmt::Write as _;

use crate::{
    histogram::Summary,
    report::{Report, notes::notes, units},
};

/// `report` as Markdown.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    let work = &report.workload;
    // Writing to a String does not fail.
    let _ = writeln!(out, "## MVT load report\n");
    if let Some(reason) = &report.void {
        let _ = writeln!(out, "**VOID**: {reason}.\n");
    }
    let offered = match (work.rate_per_s, &work.arrivals) {
        (Some(rate), Some(arrivals)) => {
            format!("open loop, {}/s offered, {arrivals} arrivals", units::grouped(rate.round() as u64))
        }
        _ => "closed loop".to_owned(),
    };
    let _ = writeln!(
        out,
        "{offered}; {} connections x {} in flight, {} threads, {}, {:.1} s; {} verified/s, {} \
         errors, {} failed verifications.\n",
        work.connections,
        work.in_flight,
        work.threads,
        work.unit(),
        report.duration_s,
        units::grouped(report.rate_per_s.round() as u64),
        units::grouped(report.error_count()),
        units::grouped(report.failed_verifications),
    );
    out.push_str("| | p50 | p90 | p99 | p99.9 | max | samples |\n|---|---:|---:|---:|---:|---:|---:|\n");
    row(&mut out, "latency", &report.latency_ns);
    if let Some(slip) = &report.slip_ns {
        row(&mut out, "schedule slip", slip);
    }
    if !report.assertions.is_empty() {
        out.push_str("\n| assertion | | found |\n|---|---|---:|\n");
    }
    for it in &report.assertions {
        let _ = writeln!(out, "| `{}` | {} | {} |", it.assertion, report.word_on(it), it.found);
    }
    out.push('\n');
    for note in notes(report) {
        let _ = writeln!(out, "- {note}");
    }
    let machine = &report.environment;
    let or_unknown = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
    let _ = writeln!(
        out,
        "- {}, {} cores, {} {}, commit {}\n\n```console\n$ {}\n```",
        or_unknown(&machine.cpu_model),
        machine.cores,
        machine.system,
        machine.kernel,
        or_unknown(&machine.commit),
        machine.command
    );
    out
}

fn row(out: &mut String, name: &str, summary: &Summary) {
    let Summary { p50, p90, p99, p999, max, count, .. } = &summary.well_founded();
    let _ = write!(out, "| {name} |");
    for value in [p50, p90, p99, p999, max] {
        let _ = write!(out, " {} |", value.map_or_else(|| "-".to_owned(), units::microseconds));
    }
    let _ = writeln!(out, " {} |", units::grouped(*count));
}
