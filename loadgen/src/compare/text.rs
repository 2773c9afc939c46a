//! A comparison as text.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use super::{Row, Side};
use crate::report::units;

/// `rows` of `other` against `baseline`.
#[must_use]
pub fn render(baseline: &Side, other: &Side, rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["", &baseline.name, &other.name, "difference", "95 % interval", "verdict"]);
    for row in rows {
        table.add_row(cells(row, &other.name));
    }
    for column in table.column_iter_mut().skip(1).take(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut out = table.to_string();
    out.push('\n');
    // Writing to a String does not fail.
    let _ = writeln!(out, "{}", scope(baseline, other));
    out
}

/// What the interval can and cannot say.
#[must_use]
pub fn scope(baseline: &Side, other: &Side) -> String {
    let repeats = [baseline, other].map(|side| side.repeats.len());
    let drawn = format!(
        "{} and {} repeats, 2,000 bootstrap draws of repeats and their slots",
        repeats[0], repeats[1]
    );
    if repeats.iter().any(|count| *count < 3) {
        format!(
            "{drawn}: with so few repeats the interval knows how a run varies within itself, not how much one run \
             differs from the next; interleave three or more of each"
        )
    } else {
        drawn
    }
}

/// The cells of one row.
#[must_use]
pub fn cells(row: &Row, other: &str) -> Vec<String> {
    let value = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |figure| shown(row, figure));
    let signed = |difference: f64| {
        let sign = if difference < 0.0 { "-" } else { "+" };
        format!("{sign}{}", shown(row, difference.abs()))
    };
    let difference = row.baseline.zip(row.other).map_or_else(
        || "-".to_owned(),
        |(baseline, other)| {
            format!("{} ({:+.1} %)", signed(other - baseline), (other - baseline) / baseline * 100.0)
        },
    );
    let interval = row
        .interval
        .map_or_else(|| "-".to_owned(), |it| format!("{} to {}", signed(it.low), signed(it.high)));
    let verdict = match row.verdict {
        super::Verdict::Lower | super::Verdict::Higher => format!("{other} is {}", row.verdict.text()),
        _ => row.verdict.text().to_owned(),
    };
    vec![row.figure.clone(), value(row.baseline), value(row.other), difference, interval, verdict]
}

fn shown(row: &Row, figure: f64) -> String {
    let rounded = figure.round() as u64;
    if row.figure == "rate" { format!("{}/s", units::grouped(rounded)) } else { units::microseconds(rounded) }
}
