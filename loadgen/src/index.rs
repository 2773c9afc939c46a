//! One page of all run directories in a folder: curves over each other, figures, links to each page, and what else lies
//! there (the comparison of costs, the accuracy of the generator).

use std::{fmt::Write as _, fs, path::Path};

use plotters::prelude::RGBColor;
use serde_json::Value;

use crate::{
    compare::page::COLORS,
    report::{
        Report,
        html::{
            curves::{self, Curve},
            page::{escape, legend, page, section},
        },
        units,
    },
    run_directory::{self, DirectoryError},
    verdict::SHARE_ALLOWED,
};

/// What is written.
pub const INDEX: &str = "index.html";
/// The comparison of `cargo x compare`.
const COMPARISON: &str = "compare.json";
/// The table of `cargo x accuracy`.
const ACCURACY: &str = "accuracy.md";
/// Curves of one picture, at most.
const CURVE_COUNT_MAX: usize = COLORS.len();

/// One run.
struct Entry {
    folder: String,
    report: Report,
}

/// Writes the page of `folder` into it.
///
/// # Errors
/// [`DirectoryError`], naming the file.
pub fn write(folder: &Path) -> Result<(), DirectoryError> {
    let os = |source| DirectoryError::Os { path: folder.to_owned(), source };
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(folder).map_err(os)? {
        let path = entry.map_err(os)?.path();
        if path.join(run_directory::REPORT).is_file()
            && let Some(name) = path.file_name()
        {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    let mut entries = Vec::new();
    for name in names {
        let report = run_directory::read_report(&folder.join(&name))?;
        entries.push(Entry { folder: name, report });
    }
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let comparison = read(COMPARISON).and_then(|text| serde_json::from_str(&text).ok());
    let text = render(&entries, comparison.as_ref(), read(ACCURACY).as_deref());
    let path = folder.join(INDEX);
    fs::write(&path, text).map_err(|source| DirectoryError::Os { path, source })
}

fn render(entries: &[Entry], comparison: Option<&Value>, accuracy: Option<&str>) -> String {
    let mut body = heading(entries);
    let figures = entries.iter().fold(String::new(), |rows, entry| rows + &row(entry));
    let head = "<table><thead><tr><th>run</th><th></th><th class=\"number\">verified/s</th><th \
                class=\"number\">p50</th><th class=\"number\">p99</th><th class=\"number\">p99.9</th><th \
                class=\"number\">server CPU</th></tr></thead>";
    section(
        &mut body,
        "Runs",
        "Each is a directory of its own: its page, its histograms and the machine it ran on. The figures of a void run \
         say nothing about a server and are struck out.",
        &format!("{head}{figures}</table>"),
    );
    let is_closed = |entry: &&Entry| entry.report.workload.schedule == "closed";
    let good: Vec<&Entry> = entries.iter().filter(|entry| entry.report.void.is_none()).collect();
    let (closed, open): (Vec<&Entry>, Vec<&Entry>) = good.into_iter().partition(is_closed);
    curves_of(
        &mut body,
        "At a chosen rate",
        "Open loops: latency from the instant a request was meant to be sent.",
        &open,
    );
    curves_of(
        &mut body,
        "At saturation",
        "Closed loops: a slow server is asked less, so this is latency with this many in flight, not at a rate.",
        &closed,
    );
    if let Some(comparison) = comparison {
        costs(&mut body, comparison);
    }
    if let Some(accuracy) = accuracy {
        section(
            &mut body,
            "Accuracy of the generator",
            "The generator's own scheduling and recording code, in virtual time, against servers whose latency theory \
             knows. Times in ns.",
            &format!("{}<p><a href=\"{ACCURACY}\">{ACCURACY}</a></p>", markdown_table(accuracy)),
        );
    }
    body.push_str("<footer>Made by mvt-loadgen index. Percentiles are of whole histograms and never averaged.</footer>\n");
    page("MVT load results", &body)
}

fn heading(entries: &[Entry]) -> String {
    let first = entries.first().map(|entry| &entry.report);
    let or_unknown = |value: Option<&String>| value.map_or("unknown", String::as_str).to_owned();
    let when = first.map_or_else(String::new, |report| units::utc(report.started_unix_s));
    let machine = first.map_or_else(String::new, |report| {
        let machine = &report.environment;
        let place =
            if machine.co_located { "generator and servers share this machine" } else { "two machines" };
        format!(
            "{}, {} cores, {} {}, commit {}; {place}.",
            or_unknown(machine.cpu_model.as_ref()),
            machine.cores,
            machine.system,
            machine.kernel,
            or_unknown(machine.commit.as_ref()),
        )
    });
    format!(
        "<header>\n<p class=\"eyebrow\">MVT load results &middot; {}</p>\n<h1>{} runs</h1>\n<p>{}</p>\n</header>\n",
        escape(&when),
        entries.len(),
        escape(&machine)
    )
}

fn row(entry: &Entry) -> String {
    let Entry { folder, report } = entry;
    let time = |ns: Option<u64>| ns.map_or_else(|| "–".to_owned(), units::microseconds);
    let cpu = report
        .server_cpu_ns_per_request
        .map_or_else(|| "–".to_owned(), |ns| format!("{} ns", units::grouped(ns.round() as u64)));
    let latency = report.latency_ns.well_founded();
    let (word, class) = match &report.void {
        Some(_) => ("void", "void"),
        None if report.error_count() + report.failed_verifications > 0 => ("not clean", "failed"),
        // Nothing went wrong, but it was not the rate that was asked for.
        None if report.unsent as f64 > report.offered() as f64 * SHARE_ALLOWED => ("overloaded", "failed"),
        None if report.assertions.iter().any(|it| !it.held) => ("missed", "failed"),
        None => ("clean", "held"),
    };
    let rate = units::grouped(report.rate_per_s.round() as u64);
    let mut cells = String::new();
    for value in [rate, time(latency.p50), time(latency.p99), time(latency.p999), cpu] {
        let struck = if report.void.is_some() { " struck" } else { "" };
        // Writing to a String does not fail.
        let _ = write!(cells, "<td class=\"number{struck}\">{}</td>", escape(&value));
    }
    let name = escape(folder);
    let what = escape(&describe(report));
    format!(
        "<tr><td><a href=\"{name}/{}\">{name}</a><br><small>{what}</small></td><td class=\"{class}\">{word}</td>{cells}</tr>",
        run_directory::PAGE
    )
}

fn whole_ns(ns: f64) -> String {
    format!("{} ns", units::grouped(ns.round() as u64))
}

fn describe(report: &Report) -> String {
    let work = &report.workload;
    let rhythm = match work.rate_per_s {
        Some(rate) => format!("{}/s offered", units::grouped(rate.round() as u64)),
        None => format!("{} x {} in flight", work.connections, work.in_flight),
    };
    let extras: String = work.extras().iter().map(|extra| format!(", {extra}")).collect();
    let why = report.void.as_ref().map_or_else(String::new, |why| format!(". Void: {why}"));
    let decimals = usize::from(report.duration_s < 10.0);
    format!("{rhythm}, {}{extras}, {:.decimals$} s{why}", work.unit(), report.duration_s)
}

fn curves_of(body: &mut String, title: &str, sentence: &str, entries: &[&Entry]) {
    // A picture holds as many curves as there are colours.
    // An overloaded run may have no percentile at all.
    let entries: Vec<&Entry> =
        entries.iter().copied().filter(|entry| entry.report.latency_ns.p50.is_some()).collect();
    for (number, some) in entries.chunks(CURVE_COUNT_MAX).enumerate() {
        let drawn: Vec<Curve<'_>> = some
            .iter()
            .zip(COLORS)
            .map(|(Entry { report, .. }, color)| Curve {
                latencies: &report.histogram.latencies,
                beyond: report.latency_ns.beyond,
                color,
            })
            .collect();
        let lines: Vec<(RGBColor, &str, bool)> =
            some.iter().zip(COLORS).map(|(entry, color)| (color, entry.folder.as_str(), false)).collect();
        let title = if number == 0 { title.to_owned() } else { format!("{title}, continued") };
        section(body, &title, sentence, &(legend(&lines) + &curves::percentiles(&drawn, &[])));
    }
}

/// The rows of `mvt.compare/1`.
fn costs(body: &mut String, comparison: &Value) {
    let number = |row: &Value, name: &str| row[name].as_f64().unwrap_or(f64::NAN);
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or("?").to_owned();
    let rows: Vec<Vec<String>> = comparison["rows"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| {
            vec![
                format!(
                    "{}, {}, {} answers, against {}",
                    row["transport"].as_str().unwrap_or("tcp"),
                    text(row, "suite"),
                    text(row, "answers"),
                    text(row, "peer")
                ),
                format!("{} x {}", number(row, "connections"), number(row, "depth")),
                whole_ns(number(row, "peer_ns")),
                whole_ns(number(row, "ours_ns")),
                format!("{:.2}x", number(row, "ratio")),
                format!("{:.2} to {:.2}", number(row, "ratio_low"), number(row, "ratio_high")),
            ]
        })
        .collect();
    let head = ["", "in flight", "peer", "ours", "ratio", "spread"];
    section(
        body,
        "Server CPU time per request",
        "Interleaved rounds; the ratio is the peer's over ours within a round, the median of the rounds with the least and \
         the greatest. Above 1 ours costs less. Every cell is in compare.json.",
        &format!(
            "{}<p><a href=\"{COMPARISON}\">{COMPARISON}</a></p>",
            crate::report::html::page::table(&head, &rows)
        ),
    );
}

/// The table of a Markdown text as HTML.
fn markdown_table(text: &str) -> String {
    let cells = |line: &str| {
        line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
    };
    let mut lines = text.lines().filter(|line| line.starts_with('|'));
    let head = lines.next().map(cells).unwrap_or_default();
    let rows: Vec<_> = lines.filter(|line| !line.starts_with("|-")).map(cells).collect();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    crate::report::html::page::table(&head, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_markdown_table_becomes_a_table_and_no_markup() {
        let html = markdown_table("# t\n\n| a | b |\n|---|---:|\n| <i> | 2 |\n");
        assert!(html.contains("<th>a</th>") && html.contains("&lt;i&gt;"), "{html}");
        assert_eq!(html.matches("<tr>").count(), 2);
    }
}
