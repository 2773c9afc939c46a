//! The report as text for a terminal: ASCII frames, right-aligned numbers, units.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use crate::{
    histogram::Summary,
    report::{Bucket, Report, buckets, notes::notes, units},
};

/// Characters of the longest bar.
const BAR_CHARS: u64 = 48;

/// `report` as text.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut out = String::with_capacity(4096);
    heading(&mut out, report);
    out.push_str(&counts(report));
    out.push_str("\n\n");
    out.push_str(&latencies(report));
    out.push('\n');
    bars(&mut out, &buckets(&report.histogram.latencies));
    assertions(&mut out, report);
    search(&mut out, report);
    closing(&mut out, report);
    out
}

fn heading(out: &mut String, report: &Report) {
    let work = &report.workload;
    line(out, &format!("MVT load report   {}", work.server));
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    line(
        out,
        &format!(
            "{} connection{} x {} in flight, {} thread{}, {}, {:.2} s measured after {:.2} s",
            work.connections,
            plural(work.connections),
            work.in_flight,
            work.threads,
            plural(work.threads),
            work.unit(),
            report.duration_s,
            work.warmup_s,
        ),
    );
    let rhythm = match (work.rate_per_s, &work.arrivals) {
        (Some(rate), Some(arrivals)) => {
            format!(
                "open loop, {} per second offered, {arrivals} arrivals",
                units::grouped(rate.round() as u64)
            )
        }
        _ => "closed loop".to_owned(),
    };
    line(out, &rhythm);
    let extras = work.extras();
    if !extras.is_empty() {
        line(out, &extras.join(", "));
    }
    if let Some(reason) = &report.void {
        line(out, &format!("\nVOID: {reason}"));
    }
    out.push('\n');
}

fn counts(report: &Report) -> String {
    let mut rows: Vec<(String, String)> = vec![
        ("verified".into(), units::grouped(report.verified)),
        ("verified per second".into(), units::grouped(report.rate_per_s.round() as u64)),
        ("failed verifications".into(), units::grouped(report.failed_verifications)),
    ];
    if report.slip_ns.is_some() {
        rows.insert(0, ("offered".into(), units::grouped(report.offered())));
        rows.push(("never sent".into(), units::grouped(report.unsent)));
        rows.push(("held back by the server".into(), units::grouped(report.held_back)));
    }
    let named = |what: &'static str| {
        move |(name, count): (&String, &u64)| (format!("{what}: {name}"), units::grouped(*count))
    };
    rows.extend(report.rejected.iter().map(named("rejected")));
    rows.push(("unanswered".into(), units::grouped(report.unanswered)));
    if report.errors.is_empty() {
        rows.push(("errors".into(), "0".into()));
    }
    rows.extend(report.errors.iter().map(named("error")));
    for (name, count) in &report.bad {
        let fate =
            format!("{} refused, {} accepted", units::grouped(count.refused), units::grouped(count.accepted));
        rows.push((format!("bad frames: {name}"), format!("{} sent, {fate}", units::grouped(count.sent))));
    }
    let datagrams = report.datagram_rows().into_iter();
    rows.extend(datagrams.map(|(name, count)| (format!("datagrams: {name}"), units::grouped(count))));
    rows.push(("logins".into(), units::grouped(report.logins)));
    if report.resumes > 0 {
        rows.push(("resumes".into(), units::grouped(report.resumes)));
    }
    rows.push(("renewals".into(), units::grouped(report.renewals)));
    if report.reconnects > 0 {
        rows.push(("reconnects".into(), units::grouped(report.reconnects)));
    }
    let cpu = |value: Option<f64>| {
        value.map_or_else(|| "not measured".into(), |ns| format!("{} ns", units::grouped(ns.round() as u64)))
    };
    rows.push(("server CPU per request".into(), cpu(report.server_cpu_ns_per_request)));
    rows.push((report.generator_cost().into(), cpu(report.client_cpu_ns_per_request)));
    rows.push(("generator busy".into(), format!("{:.1} %", report.generator_busy_share * 100.0)));
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (name, value) in rows {
        table.add_row([name, value]);
    }
    align_numbers(&mut table, 1);
    table.trim_fmt()
}

fn latencies(report: &Report) -> String {
    let cell = |value: Option<u64>| value.map_or_else(|| "-".into(), units::microseconds);
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["", "p50", "p90", "p99", "p99.9", "max", "samples"]);
    let mut row = |name: &str, summary: &Summary| {
        let Summary { p50, p90, p99, p999, max, count, .. } = &summary.well_founded();
        let mut cells = vec![name.to_owned()];
        cells.extend([p50, p90, p99, p999, max].map(|value| cell(*value)));
        cells.push(units::grouped(*count));
        table.add_row(cells);
    };
    row("latency", &report.latency_ns);
    if let Some(slip) = &report.slip_ns {
        row("schedule slip", slip);
    }
    align_numbers(&mut table, 1);
    table.to_string()
}

fn align_numbers(table: &mut Table, from: usize) {
    for column in table.column_iter_mut().skip(from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

fn bars(out: &mut String, buckets: &[Bucket]) {
    let total: u64 = buckets.iter().map(|bucket| bucket.count).sum();
    let most = buckets.iter().map(|bucket| bucket.count).max().unwrap_or(0);
    if total == 0 {
        return;
    }
    out.push('\n');
    for bucket in buckets {
        // A bucket with a sample is never drawn empty.
        let length = (bucket.count * BAR_CHARS).div_ceil(most);
        let bar = "#".repeat(length as usize);
        let percent = bucket.count as f64 * 100.0 / total as f64;
        let range =
            format!("{} - {}", units::round_bound(bucket.from_ns), units::round_bound(bucket.below_ns));
        line(
            out,
            format!("{range:>17}  {:>12}  {percent:7.3} %  {bar}", units::grouped(bucket.count)).trim_end(),
        );
    }
}

fn assertions(out: &mut String, report: &Report) {
    if !report.assertions.is_empty() {
        out.push('\n');
    }
    for held in &report.assertions {
        let verdict = match report.word_on(held) {
            "failed" => "FAILED",
            word => word,
        };
        line(out, &format!("assert {:<24} {verdict:<6}  found {}", held.assertion, held.found));
    }
}

fn search(out: &mut String, report: &Report) {
    let Some(search) = &report.search else { return };
    let rate = |rate: f64| units::grouped(rate.round() as u64);
    let found =
        search.rate_per_s.map_or_else(|| "no rate".to_owned(), |found| format!("{} per second", rate(found)));
    line(out, &format!("\nhighest rate that holds {}: {found}", search.slo.join(", ")));
    line(out, &format!("{} probes; the search ended because {}", search.probes.len(), search.stopped));
    for probe in &search.probes {
        let p99 = probe.p99.map_or_else(|| "-".to_owned(), units::microseconds);
        let word = format!("{:?}", probe.verdict).to_lowercase();
        line(
            out,
            format!("{:>14}/s  {word:<6}  p99 {p99:>12}  {}", rate(probe.rate_per_s), probe.why).trim_end(),
        );
    }
}

fn closing(out: &mut String, report: &Report) {
    let machine = &report.environment;
    out.push('\n');
    notes(report).iter().for_each(|note| line(out, note));
    let or_unknown = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".into());
    line(
        out,
        &format!(
            "{}, {} cores, {} {}, governor {}, generator on {}, commit {}",
            or_unknown(&machine.cpu_model),
            machine.cores,
            machine.system,
            machine.kernel,
            or_unknown(&machine.governor),
            if machine.generator_io.is_empty() { "epoll" } else { &machine.generator_io },
            or_unknown(&machine.commit),
        ),
    );
}

fn line(out: &mut String, text: &str) {
    // Writing to a String does not fail.
    let _ = writeln!(out, "{text}");
}
