//! The table of aims, as text and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    aim::{Aim, Side},
    arguments::Arguments,
};

pub(super) const SCHEMA: &str = "mvt.lifetime/1";

/// One line for each aim, then what else there is to know.
pub(super) fn text(aims: &[Aim]) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{:<58} {:>9} {:>9}  spread", "aim", "bound", "figure");
    for aim in aims {
        let sign = if aim.side == Side::AtMost { "<=" } else { ">=" };
        let number =
            |value: Option<f64>| value.map_or_else(|| "none".to_owned(), |value| format!("{value:.3}"));
        let spread = aim.spread().map_or_else(String::new, |(low, high)| format!("{low:.3} to {high:.3}"));
        let _ = writeln!(
            out,
            "{:<58} {:>9} {:>9}  {:<21} {}",
            aim.name,
            format!("{sign} {}{}", aim.bound, aim.unit),
            number(aim.figure()),
            spread,
            if aim.is_met() { "met" } else { "MISSED" }
        );
    }
    for aim in aims {
        let _ = writeln!(out, "\n{}", aim.name);
        aim.notes.iter().for_each(|note| {
            let _ = writeln!(out, "  {note}");
        });
    }
    out
}

pub(super) fn json(aims: &[Aim], arguments: &Arguments, load_average: [Option<String>; 2]) -> Value {
    let [before, after] = load_average;
    json!({
        "schema": SCHEMA,
        "command": std::env::args().skip(1).collect::<Vec<_>>().join(" "),
        "aims": aims.iter().map(Aim::to_json).collect::<Vec<_>>(),
        "rate_per_s": arguments.rate,
        "seconds": arguments.seconds,
        "rounds": arguments.rounds,
        "load_average": { "before": before, "after": after },
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_aim_is_said_in_its_line() {
        let aim = |name, samples: &[f64]| Aim {
            samples: samples.to_vec(),
            ..Aim::new(name, "x", Side::AtMost, 1.2)
        };
        let text = text(&[aim("one", &[1.0, 1.1]), aim("two", &[1.3]), aim("three", &[])]);
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        assert!(line("one").ends_with(" met") && line("one").contains("1.000 to 1.100"));
        assert!(line("two").ends_with("MISSED") && line("three").ends_with("MISSED"));
    }
}
