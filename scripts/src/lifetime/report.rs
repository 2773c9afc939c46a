//! The table of aims, as text and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    aim::{Aim, Side},
    arguments::Arguments,
};

pub(super) const SCHEMA: &str = "mvt.lifetime/3";

/// One line for each aim: what is judged (the median, where nothing else is said), the middle half of the samples, all of them. Then
/// what else there is to know.
pub(super) fn text(aims: &[Aim]) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{:<60} {:>9} {:>9}  {:<18} {:<18} {:>5} {:>5}",
        "aim", "bound", "figure", "middle half", "least to greatest", "taken", "void"
    );
    let range = |range: Option<(f64, f64)>| {
        range.map_or_else(String::new, |(low, high)| format!("{low:.3} to {high:.3}"))
    };
    for aim in aims {
        let sign = if aim.side == Side::AtMost { "<=" } else { ">=" };
        let _ = writeln!(
            out,
            "{:<60} {:>9} {:>9}  {:<18} {:<18} {:>5} {:>5}  {}",
            aim.name,
            format!("{sign} {}{}", aim.bound, aim.unit),
            aim.figure().map_or_else(|| "none".to_owned(), |value| format!("{value:.3}")),
            range(aim.quartiles()),
            range(aim.spread()),
            aim.samples.len(),
            aim.voids.len(),
            aim.verdict().name()
        );
    }
    for aim in aims {
        let _ = writeln!(out, "\n{}", aim.name);
        if let Some((low, high)) = aim.interval.flatten() {
            let _ = writeln!(out, "  the median lies between {low:.3} and {high:.3} (95 %)");
        }
        let doubts = aim.doubts.iter().map(|why| format!("VOID: {why}"));
        // The reasons are much alike: one of them will do.
        let (count, tried) = (aim.voids.len(), aim.voids.len() + aim.samples.len());
        let voids =
            aim.voids.first().map(|why| format!("{count} of {tried} samples void, one because {why}"));
        for line in doubts.chain(voids).chain(aim.notes.iter().cloned()) {
            let _ = writeln!(out, "  {line}");
        }
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
        "renew_after": arguments.renew_after,
        "seconds": arguments.seconds,
        "pairs": arguments.pairs,
        "pair_seconds": arguments.pair_seconds,
        "spin": arguments.spin,
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
        let mut doubtful = aim("four", &[1.0]);
        doubtful.take(Err("the generator was late".into()));
        doubtful.doubts.push("the machine is busy".into());
        let text = text(&[aim("one", &[1.0, 1.1]), aim("two", &[1.3]), aim("three", &[]), doubtful]);
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        assert!(line("one").ends_with(" met") && line("one").contains("1.000 to 1.100"));
        assert!(line("two").ends_with("MISSED") && line("three").ends_with("MISSED"));
        assert!(line("four").ends_with("VOID"));
        assert!(
            text.contains("VOID: the machine is busy")
                && text.contains("1 of 2 samples void, one because the generator was late")
        );
    }
}
