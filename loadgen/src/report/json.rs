//! The report as JSON.

use crate::report::Report;

/// `report` as indented JSON with a newline at the end.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut text = serde_json::to_string_pretty(report).expect("a report has string keys and finite numbers");
    text.push('\n');
    text
}
