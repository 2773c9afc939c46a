//! `mvt-loadgen`. Exit status: 0 clean, 1 the run was not clean or could not be written, 2 usage, 5 no server or
//! no login.

use std::{fs, io::Write, path::Path, process::ExitCode};

use clap::Parser;
use mvt_loadgen::{
    cli::{Cli, Command, PlanError, RunArguments},
    report::{Report, json, text},
    run::{self, Outcome},
    trouble::StartError,
};

const UNCLEAN: u8 = 1;
const USAGE: u8 = 2;
const NO_SERVER: u8 = 5;

fn main() -> ExitCode {
    // Clap itself exits with 2 on arguments that do not parse.
    let Command::Run(arguments) = Cli::parse().command;
    match run_once(*arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(UNCLEAN),
        Err((status, message)) => {
            eprintln!("mvt-loadgen: {message}");
            ExitCode::from(status)
        }
    }
}

fn run_once(arguments: RunArguments) -> Result<bool, (u8, String)> {
    let json_path = arguments.json.clone();
    let quiet = arguments.quiet;
    let plan = arguments.into_plan().map_err(|error| {
        let status = if matches!(error, PlanError::Resolve { .. }) { NO_SERVER } else { USAGE };
        (status, error.to_string())
    })?;
    let outcome = run::run(&plan).map_err(|error| (status_of(&error), error.to_string()))?;
    let report = Report::new(&plan, &outcome);
    write_report(&report, json_path.as_deref(), quiet).map_err(|message| (UNCLEAN, message))?;
    if !outcome.is_clean() {
        eprintln!("mvt-loadgen: {}", blame(&outcome));
    }
    Ok(outcome.is_clean())
}

fn status_of(error: &StartError) -> u8 {
    match error {
        StartError::Pin(_) => USAGE,
        StartError::Worker(_) => UNCLEAN,
        _ => NO_SERVER,
    }
}

fn blame(outcome: &Outcome) -> String {
    let tally = &outcome.tally;
    let mut causes = Vec::new();
    if tally.failed_verifications > 0 {
        causes.push(format!("{} answers did not verify", tally.failed_verifications));
    }
    causes.extend(tally.errors().iter().map(|(name, count)| format!("{count} errors of kind `{name}`")));
    if tally.verified == 0 {
        causes.push("no request was verified".into());
    }
    format!("the run was not clean: {}", causes.join(", "))
}

fn write_report(report: &Report, json_path: Option<&Path>, quiet: bool) -> Result<(), String> {
    let to_stdout =
        |text: String| std::io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string());
    match json_path {
        Some(path) if path == Path::new("-") => {
            if !quiet {
                eprint!("{}", text::render(report));
            }
            to_stdout(json::render(report))
        }
        Some(path) => {
            to_stdout(text::render(report))?;
            fs::write(path, json::render(report))
                .map_err(|error| format!("--json {}: {error}", path.display()))
        }
        None => to_stdout(text::render(report)),
    }
}
