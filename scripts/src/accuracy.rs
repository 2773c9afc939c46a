//! `cargo x accuracy`: the accuracy tests of the load generator as a table.

use std::{fmt::Write as _, fs, path::Path, path::PathBuf};

use anyhow::{Context, ensure};

use crate::workspace::cargo;

/// What the tests print before each row.
const MARK: &str = "accuracy |";

/// Arguments of `accuracy`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Write the table to this file; without it, to standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs the tests and writes their table.
///
/// # Errors
/// When one of them fails, or the file cannot be written.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.out {
        Some(path) => write(&std::env::current_dir()?.join(path)),
        None => {
            print!("{}", table()?);
            Ok(())
        }
    }
}

/// Writes the table to `path`.
///
/// # Errors
/// As [`run`].
pub fn write(path: &Path) -> anyhow::Result<()> {
    fs::write(path, table()?).with_context(|| format!("cannot write {}", path.display()))
}

fn table() -> anyhow::Result<String> {
    eprintln!("accuracy: the generator against theory, in virtual time ...");
    let mut tests = cargo();
    tests.args(["test", "--quiet", "--package", "mvt-loadgen", "--test", "accuracy", "--"]);
    let output = tests.args(["--nocapture", "--test-threads=1"]).output().context("cannot start cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "the accuracy tests failed:\n{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    markdown(&text).context("the accuracy tests printed no row")
}

/// The rows of the tests' output as Markdown.
fn markdown(output: &str) -> Option<String> {
    let mut rows: Vec<&str> =
        output.lines().filter_map(|line| Some(line.split_once(MARK)?.1.trim())).collect();
    rows.sort_unstable();
    if rows.is_empty() {
        return None;
    }
    let mut out = String::from(
        "# Accuracy of the load generator\n\nIts scheduling and recording code, driven in virtual time against servers whose \
         latency theory knows: a server that pauses (closed form), M/D/1 (Erlang), M/M/1 (exponential), Little's law, and \
         a generator that is late. A row beyond what is allowed fails the test `accuracy` of mvt-loadgen. Times in ns. \
         Command: `cargo x accuracy`.\n\n| case | found | theory | off | allowed |\n|---|---:|---:|---:|---:|\n",
    );
    for row in rows {
        let _ = writeln!(out, "| {row} |");
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_a_table_and_the_rest_is_left_out() {
        let text =
            "running 3 tests\n.accuracy | b | 1 | 1 | 0 % | 2 %\naccuracy | a | 2 | 2 | 0 % | 2 %\nok\n";
        let table = markdown(text).expect("rows");
        assert!(table.ends_with("| a | 2 | 2 | 0 % | 2 % |\n| b | 1 | 1 | 0 % | 2 % |\n"), "{table}");
        assert!(markdown("ok\n").is_none());
    }
}
