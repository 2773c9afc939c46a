//! The start-up list of a publication.

use std::{env, fs, path::Path, path::PathBuf, process::Command, time::Instant};

use anyhow::{Context, bail, ensure};

use crate::{
    accuracy,
    compare::{self, arguments::Arguments as Comparison, artifacts::Artifacts},
    stop::Stop,
    workspace,
};

use super::{publishable, runs::Runs};

/// Rounds of the comparison of costs.
const ROUNDS: u32 = 5;
/// In-flight requests of its cells.
const DEPTHS: [u32; 3] = [1, 16, 256];
/// As the generator describes the commit in its reports.
const DESCRIBE: [&str; 5] = ["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"];

/// Arguments of `publish`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Measured seconds of the longest run; the others are parts of it. A run that is in the folder already, of this
    /// commit, this long, clean and not void by accident, is not repeated.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Write here instead of results/<date>-<commit>.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Only runs with these names; without the comparison of costs and the accuracy table.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    only: Vec<String>,
    /// Install nothing: leave out peers that are not there.
    #[arg(long)]
    no_install: bool,
}

/// Builds, runs every workload, and writes the page; what fails is told at the end and takes nothing else with it.
///
/// # Errors
/// When something cannot be built, something failed, or the user stops it; the page is written all the same.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let begun = Instant::now();
    let stop = Stop::listen().context("cannot listen to signals")?;
    let artifacts = Artifacts::build()?;
    let scratch = tempfile::tempdir()?;
    let folder = match &arguments.out {
        Some(folder) => env::current_dir()?.join(folder),
        None => workspace::folder().join("results").join(name_of_today()?),
    };
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let commit = git(&DESCRIBE).unwrap_or_default();
    let mut runs = Runs::new(folder.clone(), scratch.path(), &artifacts, commit, &stop);
    runs.seconds = arguments.seconds as f64;
    runs.may_install = !arguments.no_install;
    let mut ended = runs.all(&arguments.only);
    let mut failures = std::mem::take(&mut runs.failures);
    if arguments.only.is_empty() && ended.is_ok() {
        note(&mut failures, "the comparison of costs", compare(&folder, arguments, &artifacts));
        ended = stop.check().map_err(Into::into);
    }
    if arguments.only.is_empty() && ended.is_ok() {
        note(&mut failures, "the accuracy table", accuracy::write(&folder.join("accuracy.md")));
        ended = stop.check().map_err(Into::into);
    }
    note(&mut failures, "the page", index(&artifacts, &folder));
    ended?;
    failures.extend(publishable::faults(&folder, &[scratch.path(), &folder, &workspace::folder()])?);
    println!("publish: {} after {:.0} s", folder.join("index.html").display(), begun.elapsed().as_secs_f64());
    if !failures.is_empty() {
        bail!("all else is there, but:\n  {}", failures.join("\n  "));
    }
    Ok(())
}

fn note(failures: &mut Vec<String>, name: &str, outcome: anyhow::Result<()>) {
    if let Err(error) = outcome {
        eprintln!("publish: FAILED: {name}: {error:#}");
        failures.push(format!("{name}: {error:#}"));
    }
}

fn compare(folder: &Path, arguments: &Arguments, artifacts: &Artifacts) -> anyhow::Result<()> {
    let seconds = arguments.seconds as f64;
    let comparison = Comparison {
        json: Some(folder.join("compare.json")),
        depths: DEPTHS.to_vec(),
        seconds_per_cell: (seconds / 60.0).clamp(0.1, 2.0),
        rounds: if seconds < 10.0 { 1 } else { ROUNDS },
        no_install: arguments.no_install,
        ..Comparison::usual()
    };
    compare::run::run_with(comparison, artifacts)
}

fn index(artifacts: &Artifacts, folder: &Path) -> anyhow::Result<()> {
    let status = Command::new(&artifacts.loadgen).arg("index").arg(folder).status()?;
    ensure!(status.success(), "mvt-loadgen index ended with {status}");
    Ok(())
}

/// `<date>-<commit>`.
fn name_of_today() -> anyhow::Result<String> {
    let date = output("date", &["--utc", "+%Y-%m-%d"])?;
    Ok(format!("{date}-{}", git(&["rev-parse", "--short=8", "HEAD"])?))
}

fn git(arguments: &[&str]) -> anyhow::Result<String> {
    output("git", arguments)
}

fn output(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(arguments).current_dir(workspace::folder()).output()?;
    ensure!(output.status.success(), "{program} {}: {}", arguments.join(" "), output.status);
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
