//! A comparison as text.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use super::{Row, Side};
use crate::report::units;

/// With fewer repeats of a side an interval is of these runs only.
pub const REPEAT_COUNT_MIN: usize = 3;

/// `rows` of `other` against `baseline`.
#[must_use]
pub fn render(baseline: &Side, other: &Side, rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["", &baseline.name, &other.name, "difference", "95 % interval", "verdict"]);
    for row in rows {
        table.add_row(cells(row, baseline, other));
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
    if !has_repeats(baseline, other) {
        format!(
            "{drawn}: with so few repeats the interval knows how a run varies within itself, not how much one run \
             differs from the next; interleave three or more of each"
        )
    } else {
        drawn
    }
}

/// Enough to know how one run differs from the next.
fn has_repeats(baseline: &Side, other: &Side) -> bool {
    [baseline, other].iter().all(|side| side.repeats.len() >= REPEAT_COUNT_MIN)
}

/// The cells of one row.
#[must_use]
pub fn cells(row: &Row, baseline: &Side, other: &Side) -> Vec<String> {
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
        super::Verdict::Lower | super::Verdict::Higher => {
            let scope = if has_repeats(baseline, other) { "" } else { " in these runs" };
            format!("{} is {}{scope}", other.name, row.verdict.text())
        }
        _ => row.verdict.text().to_owned(),
    };
    vec![row.figure.clone(), value(row.baseline), value(row.other), difference, interval, verdict]
}

fn shown(row: &Row, figure: f64) -> String {
    let rounded = figure.round() as u64;
    if row.figure == "rate" { format!("{}/s", units::grouped(rounded)) } else { units::microseconds(rounded) }
}
