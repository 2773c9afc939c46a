//! The report as one page that needs nothing else: style and pictures are in it.

pub mod chart;
pub mod curves;
pub mod page;
mod tables;

use std::fmt::Write as _;

use self::{
    curves::{BLUE, Curve, GREEN, GREY, ORANGE, RED, VIOLET},
    page::{escape, legend, page, section},
};
use crate::{
    assertion::Held,
    report::{Report, notes::notes, units},
    schedule::Schedule,
};

/// `report` as HTML.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut body = String::with_capacity(128 * 1024);
    heading(&mut body, report);
    verdict(&mut body, report);
    tiles(&mut body, report);
    latency(&mut body, report);
    over_time(&mut body, report);
    slip(&mut body, report);
    tables::write(&mut body, report);
    closing(&mut body, report);
    page(&format!("MVT load report: {}", report.workload.server), &body)
}

fn heading(out: &mut String, report: &Report) {
    let work = &report.workload;
    let title = match work.rate_per_s {
        Some(rate) => format!("{} requests per second offered", units::grouped(rate.round() as u64)),
        None => {
            format!("Up to {} requests in flight", units::grouped((work.connections * work.in_flight) as u64))
        }
    };
    // Writing to a String does not fail.
    let _ = writeln!(
        out,
        "<header>\n<p class=\"eyebrow\">MVT load report &middot; {}</p>\n<h1>{}</h1>\n<p>{} for {:.*} s, {} connections, {} \
         generator thread{}, {}{}{}.</p>\n</header>",
        escape(&units::utc(report.started_unix_s)),
        escape(&title),
        if work.schedule == "open" { "Open loop" } else { "Closed loop" },
        // A short run, and one that was cut short, is not rounded up to more than it was.
        if report.duration_s < 10.0 { 2 } else { 0 },
        report.duration_s,
        work.connections,
        work.threads,
        if work.threads == 1 { "" } else { "s" },
        escape(&work.unit()),
        work.arrivals.as_ref().map_or_else(String::new, |name| format!(", {} arrivals", escape(name))),
        work.extras().iter().map(|extra| format!(", {}", escape(extra))).collect::<String>(),
    );
}

fn verdict(out: &mut String, report: &Report) {
    let failed = report.assertions.iter().filter(|it| !it.held).count();
    let errors = report.error_count() + report.failed_verifications;
    let (class, word, text) = if let Some(reason) = &report.void {
        ("bad", "VOID.", format!("This run says nothing about the server: {reason}."))
    } else if errors > 0 || report.verified == 0 {
        ("bad", "Not clean.", format!("{} errors; see the counts below.", units::grouped(errors)))
    } else if failed > 0 {
        ("bad", "Objectives missed.", format!("{failed} of {} did not hold.", report.assertions.len()))
    } else if report.interrupted {
        (
            "warn",
            "Interrupted.",
            "The run was stopped before its end; what it measured until then is complete.".into(),
        )
    } else {
        let slip = report.slip_ns.and_then(|slip| slip.p99).map_or_else(String::new, |p99| {
            format!(" The generator kept its schedule: slip p99 {}.", units::microseconds(p99))
        });
        let objectives = match report.assertions.len() {
            0 => String::new(),
            count => format!(" All {count} objectives held."),
        };
        (
            "",
            "Clean.",
            format!(
                "Every one of {} answers verified, no errors.{slip}{objectives}",
                units::grouped(report.verified)
            ),
        )
    };
    let _ = writeln!(
        out,
        "<p class=\"verdict {class}\"><b>{word}</b> {}</p>",
        escape(&text).replace(" µs", "&nbsp;µs")
    );
}

fn tiles(out: &mut String, report: &Report) {
    let latency = report.latency_ns.well_founded();
    let time = |ns: Option<u64>| {
        ns.map_or_else(
            || "–".to_owned(),
            |ns| {
                let (value, unit) = units::scaled(ns);
                format!("{value} <small>{unit}</small>")
            },
        )
    };
    let class = if report.void.is_some() { "tiles void" } else { "tiles" };
    let _ = writeln!(out, "<div class=\"{class}\">");
    let rate = format!("{} <small>/s</small>", units::grouped(report.rate_per_s.round() as u64));
    let tiles = [
        ("verified", rate),
        ("p50", time(latency.p50)),
        ("p99", time(latency.p99)),
        ("p99.9", time(latency.p999)),
        ("longest", time(latency.max)),
    ];
    for (name, value) in tiles {
        let _ = writeln!(out, "<div><span>{name}</span><strong>{value}</strong></div>");
    }
    out.push_str("</div>\n");
}

fn latency(out: &mut String, report: &Report) {
    let slip = report.slip_histogram.as_ref();
    let slip = slip.map(|it| Curve { latencies: &it.latencies, beyond: 0, color: VIOLET });
    let beyond = report.latency_ns.beyond;
    let latency = Curve { latencies: &report.histogram.latencies, beyond, color: BLUE };
    let bounded: Vec<_> = report.assertions.iter().filter_map(|it| Some((it, it.bound?))).collect();
    let color = |it: &Held| match report.word_on(it) {
        "void" => GREY,
        "held" => GREEN,
        _ => RED,
    };
    let bounds: Vec<_> = bounded.iter().map(|(it, (quantile, ns))| (*quantile, *ns, color(it))).collect();
    let texts: Vec<_> =
        bounded.iter().map(|(it, _)| format!("{} {}", it.assertion, report.word_on(it))).collect();
    let mut lines = vec![(BLUE, "latency", false)];
    lines.extend(slip.is_some().then_some((VIOLET, "schedule slip", false)));
    let drawn: Vec<_> = slip.into_iter().chain([latency]).collect();
    lines.extend(bounded.iter().zip(&texts).map(|((it, _), text)| (color(it), text.as_str(), true)));
    section(
        out,
        "Latency by percentile",
        &format!("{}.", capital(Schedule::meaning(&report.workload.schedule))),
        &(legend(&lines) + &curves::percentiles(&drawn, &bounds)),
    );
}

fn over_time(out: &mut String, report: &Report) {
    let slot = format!("{} s", report.over_time.slot_s);
    section(
        out,
        "Latency over time",
        &format!(
            "Each point is the distribution of one slot of {slot}, by when its requests were meant to be sent."
        ),
        &(legend(&[(BLUE, "p50", false), (ORANGE, "p99", false), (RED, "longest", false)])
            + &curves::latency(&report.over_time)),
    );
    let mut lines = vec![(BLUE, "verified answers", false)];
    if report.workload.rate_per_s.is_some() {
        lines.push((GREY, "offered", true));
    }
    section(
        out,
        "Throughput over time",
        &format!("Verified answers per second, counted when they arrive, in slots of {slot}."),
        &(legend(&lines) + &curves::throughput(report)),
    );
    let rejected: u64 = report.rejected.values().sum();
    let picture = if rejected == 0 {
        "<p class=\"none\">No request was refused.</p>".to_owned()
    } else {
        legend(&[(RED, "refusals per second", false)]) + &curves::rejects(report)
    };
    section(
        out,
        "Rejects",
        "Answers that verified and refused their request, by the server's reason.",
        &picture,
    );
}

fn slip(out: &mut String, report: &Report) {
    if report.slip_ns.is_none() {
        return;
    }
    section(
        out,
        "Schedule slip",
        "How late the generator itself was: from the instant a request was meant to be sent to its write, the longest \
         of each slot. Waits that the server caused are not in it. All of it is in the latency above.",
        &(legend(&[(VIOLET, "longest slip", false)]) + &curves::slip(&report.over_time)),
    );
}

fn closing(out: &mut String, report: &Report) {
    let mut items = String::from("<ul>");
    for note in notes(report) {
        let _ = write!(items, "<li>{}.</li>", escape(&capital(&note)));
    }
    items.push_str("</ul>");
    section(out, "What the numbers mean", "Read these before quoting any of them.", &items);
    let command = format!("<pre>{}</pre>", escape(&report.environment.command));
    section(out, "How it was measured", "The command of this run.", &command);
    let _ = writeln!(
        out,
        "<footer>mvt-loadgen {}, {}. Percentiles are of whole histograms and never averaged; the histograms are in \
         report.json, latency.hgrm and latency.hlog beside this page.</footer>",
        escape(&report.environment.generator_version),
        escape(&report.schema)
    );
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
