//! The tables of the page: objectives, percentiles, counts, workload, environment.

use std::fmt::Write as _;

use super::page::{escape, pairs, section, table};
use crate::{
    report::{Report, units},
    run_directory::percentiles::{PERCENTILES, well_founded},
};

/// All of them.
pub(super) fn write(out: &mut String, report: &Report) {
    objectives(out, report);
    search(out, report);
    bad_frames(out, report);
    percentiles(out, report);
    section(
        out,
        "Counts",
        "Every request of the measured interval is in exactly one row of the first column.",
        &format!(
            "<div class=\"columns\">{}{}</div>",
            pairs(&fates(report), true),
            pairs(&costs(report), true)
        ),
    );
    section(
        out,
        "Environment",
        "Without it a number means nothing.",
        &format!(
            "<div class=\"columns\">{}{}</div>",
            pairs(&machine(report), false),
            pairs(&setting(report), false)
        ),
    );
    section(out, "Kernel settings", "Those that bear on network latency.", &pairs(&kernel(report), false));
}

fn objectives(out: &mut String, report: &Report) {
    if report.assertions.is_empty() {
        return;
    }
    let mut rows = String::from(
        "<table><thead><tr><th>objective</th><th></th><th class=\"number\">found</th></tr></thead>",
    );
    for it in &report.assertions {
        let word = report.word_on(it);
        // Writing to a String does not fail.
        let _ = write!(
            rows,
            "<tr><td><code>{}</code></td><td class=\"{word}\">{word}</td><td class=\"number\">{}</td></tr>",
            escape(&it.assertion),
            escape(&it.found)
        );
    }
    rows.push_str("</table>");
    section(out, "Objectives", "What was asserted before the run.", &rows);
}

fn search(out: &mut String, report: &Report) {
    let Some(search) = &report.search else { return };
    let rows: Vec<_> = search
        .probes
        .iter()
        .map(|probe| {
            let p99 = probe.p99.map_or_else(|| "–".to_owned(), units::microseconds);
            let verdict = format!("{:?}", probe.verdict).to_lowercase();
            let why = if probe.why.is_empty() { verdict } else { format!("{verdict}: {}", probe.why) };
            vec![why, format!("{}/s", units::grouped(probe.rate_per_s.round() as u64)), p99]
        })
        .collect();
    let found = search.rate_per_s.map_or_else(
        || "No rate held".to_owned(),
        |rate| format!("{} requests per second held", units::grouped(rate.round() as u64)),
    );
    let sentence = format!(
        "{found} {}; the search ended because {}. This page is of the {} probe.",
        search.slo.join(", "),
        search.stopped,
        if search.rate_per_s.is_some() { "best" } else { "last" },
    );
    section(out, "Search of the highest rate", &sentence, &table(&["verdict", "offered", "p99"], &rows));
}

fn bad_frames(out: &mut String, report: &Report) {
    if report.bad.is_empty() {
        return;
    }
    let row = |(name, count): (&String, &crate::tally::BadCount)| {
        let numbers = [count.sent, count.refused, count.accepted].map(units::grouped);
        std::iter::once(name.clone()).chain(numbers).collect()
    };
    let rows: Vec<Vec<String>> = report.bad.iter().map(row).collect();
    section(
        out,
        "Bad frames",
        "Frames the server has to refuse, sent beside the requests, in all phases. One that is accepted is an error.",
        &table(&["kind", "sent", "refused as they must be", "accepted"], &rows),
    );
}

fn percentiles(out: &mut String, report: &Report) {
    let latencies = &report.histogram.latencies;
    let slip = report.slip_histogram.as_ref().map(|it| &it.latencies);
    let cell = |ns: Option<u64>| ns.map_or_else(|| "–".to_owned(), units::microseconds);
    let mut rows = Vec::new();
    for percent in PERCENTILES {
        let latency = well_founded(latencies, percent, report.latency_ns.beyond);
        let slip = slip.map(|slip| well_founded(slip, percent, 0));
        if latency.is_none() && slip.flatten().is_none() {
            continue;
        }
        let mut row = vec![format!("{percent} %"), cell(latency)];
        row.extend(slip.map(cell));
        rows.push(row);
    }
    let mut last = vec!["longest".to_owned(), cell(report.latency_ns.max)];
    last.extend(report.slip_ns.map(|slip| cell(slip.max)));
    rows.push(last);
    let head = if slip.is_some() {
        &["percentile", "latency", "schedule slip"][..]
    } else {
        &["percentile", "latency"]
    };
    let sentence = format!(
        "Of {} requests. A percentile with fewer than ten requests above it is not given.",
        units::grouped(report.latency_ns.count + report.latency_ns.beyond)
    );
    section(out, "Percentiles", &sentence, &table(head, &rows));
}

fn fates(report: &Report) -> Vec<(String, String)> {
    let mut rows = vec![("verified".to_owned(), units::grouped(report.verified))];
    let named = |(name, count): (&String, &u64)| (format!("refused: {name}"), units::grouped(*count));
    rows.extend(report.rejected.iter().map(named));
    rows.push(("never answered".to_owned(), units::grouped(report.unanswered)));
    if report.slip_ns.is_some() {
        rows.push(("never sent".to_owned(), units::grouped(report.unsent)));
        rows.push(("offered, all of these".to_owned(), units::grouped(report.offered())));
    } else {
        rows.push(("sent, all of these".to_owned(), units::grouped(report.sent)));
    }
    rows.push(("answers that did not verify".to_owned(), units::grouped(report.failed_verifications)));
    let named = |(name, count): (&String, &u64)| (format!("error: {name}"), units::grouped(*count));
    rows.extend(report.errors.iter().map(named));
    let datagrams = report.datagram_rows().into_iter();
    rows.extend(datagrams.map(|(name, count)| (format!("datagrams: {name}"), units::grouped(count))));
    if report.errors.is_empty() {
        rows.push(("errors".to_owned(), "0".to_owned()));
    }
    rows
}

fn costs(report: &Report) -> Vec<(String, String)> {
    let cpu = |ns: Option<f64>| {
        ns.map_or_else(|| "not measured".to_owned(), |ns| format!("{} ns", units::grouped(ns.round() as u64)))
    };
    let mut rows = vec![
        ("server CPU per request".to_owned(), cpu(report.server_cpu_ns_per_request)),
        (report.generator_cost().to_owned(), cpu(report.client_cpu_ns_per_request)),
        ("generator busy".to_owned(), format!("{:.1} %", report.generator_busy_share * 100.0)),
        ("logins".to_owned(), units::grouped(report.logins)),
        ("renewals".to_owned(), units::grouped(report.renewals)),
    ];
    if report.resumes > 0 {
        rows.push(("resumes".to_owned(), units::grouped(report.resumes)));
    }
    if report.reconnects > 0 {
        rows.push(("reconnects".to_owned(), units::grouped(report.reconnects)));
    }
    if report.slip_ns.is_some() {
        rows.insert(0, ("held back by the server".to_owned(), units::grouped(report.held_back)));
    }
    rows
}

fn machine(report: &Report) -> Vec<(String, String)> {
    let machine = &report.environment;
    let or_unknown = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
    let pins: Vec<String> = machine.pinned_to.iter().map(usize::to_string).collect();
    let place = match (machine.loopback, machine.co_located) {
        (true, _) => "loopback, one machine for both",
        (false, true) => "one machine for both",
        (false, false) => "two machines",
    };
    [
        ("CPU", or_unknown(&machine.cpu_model)),
        ("CPU flags", machine.cpu_flags.join(" ")),
        ("cores", machine.cores.to_string()),
        ("generator pinned to", if pins.is_empty() { "not pinned".to_owned() } else { pins.join(", ") }),
        ("governor", or_unknown(&machine.governor)),
        ("kernel", format!("{} {}", machine.system, machine.kernel)),
        ("clock", or_unknown(&machine.clock_source)),
        ("load average", or_unknown(&machine.load_average)),
        ("network", place.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn setting(report: &Report) -> Vec<(String, String)> {
    let (machine, work) = (&report.environment, &report.workload);
    let commit = machine.commit.clone().unwrap_or_else(|| "unknown".to_owned());
    let mut rows: Vec<(String, String)> = [
        ("commit", commit),
        ("generator build", machine.generator_build.clone()),
        ("generator moves bytes by", machine.generator_io.clone()),
        ("server", work.server.clone()),
        ("transport", work.transport.clone()),
        ("window", format!("{} x {} in flight", work.connections, work.in_flight)),
        ("warm-up", format!("{} s", work.warmup_s)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    if let Some(seed) = work.seed {
        rows.push(("seed".to_owned(), seed.to_string()));
    }
    rows.extend(machine.labels.iter().map(|(key, value)| (key.clone(), value.clone())));
    rows
}

fn kernel(report: &Report) -> Vec<(String, String)> {
    report.environment.sysctls.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}
