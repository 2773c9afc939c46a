//! A comparison as one HTML page: curves over each other, then the tables.

use plotters::prelude::RGBColor;

use super::{Row, Side, text};
use crate::report::html::{
    curves::{self, BLUE, Curve, GREEN, GREY, ORANGE, RED, VIOLET},
    page::{escape, legend, page, section, table},
};

/// Colours of the curves of one picture.
pub const COLORS: [RGBColor; 6] = [BLUE, ORANGE, GREEN, VIOLET, RED, GREY];

/// Every side over the first, with the rows of each against it.
#[must_use]
pub fn render(sides: &[Side], rows: &[Vec<Row>], obstacles: &[String]) -> String {
    let names: Vec<&str> = sides.iter().map(|side| side.name.as_str()).collect();
    let mut body = format!(
        "<header>\n<p class=\"eyebrow\">MVT load comparison</p>\n<h1>{}</h1>\n<p>{}</p>\n</header>\n",
        escape(&names.join(" / ")),
        escape(&sides.iter().map(listing).collect::<Vec<_>>().join("; "))
    );
    for obstacle in obstacles {
        body.push_str(&format!(
            "<p class=\"verdict warn\"><b>Compared by force.</b> {}</p>\n",
            escape(obstacle)
        ));
    }
    let all: Vec<_> = sides.iter().map(|side| (side.latencies(), side.beyond())).collect();
    let colors = || COLORS.into_iter().cycle();
    let drawn: Vec<Curve<'_>> = all
        .iter()
        .zip(colors())
        .map(|((latencies, beyond), color)| Curve { latencies, beyond: *beyond, color })
        .collect();
    let lines: Vec<_> = names.iter().zip(colors()).map(|(name, color)| (color, *name, false)).collect();
    section(
        &mut body,
        "Latency by percentile",
        "All repeats of a side together, merged and not averaged.",
        &(legend(&lines) + &curves::percentiles(&drawn, &[])),
    );
    if let Some((baseline, others)) = sides.split_first() {
        for (other, rows) in others.iter().zip(rows) {
            let head = ["", &baseline.name, &other.name, "difference", "95 % interval", "verdict"];
            let cells: Vec<_> = rows.iter().map(|row| text::cells(row, baseline, other)).collect();
            let title = format!("{} against {}", other.name, baseline.name);
            section(&mut body, &title, &text::scope(baseline, other), &table(&head, &cells));
        }
    }
    page(&format!("MVT load comparison: {}", names.join(" / ")), &body)
}

/// A side's name, its runs, and the commits they were made of.
fn listing(side: &Side) -> String {
    let runs: Vec<&str> = side.repeats.iter().map(|run| run.name.as_str()).collect();
    let mut commits: Vec<&str> =
        side.reports().filter_map(|report| report.environment.commit.as_deref()).collect();
    commits.dedup();
    let of = if commits.is_empty() { String::new() } else { format!(" (commit {})", commits.join(", ")) };
    format!("{}: {}{of}", side.name, runs.join(", "))
}
