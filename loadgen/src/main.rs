//! `mvt-loadgen`. Exit status: 0 clean, 1 the run was not clean or could not be written, 2 usage, 3 an assertion did
//! not hold, 4 the run is void, 5 no server or no login.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
};

use clap::Parser;
use mvt_loadgen::{
    cli::{Cli, Command, CompareArguments, Format, PlanError, ReportArguments, RunArguments},
    compare::{self, Side},
    report::{Report, html, json, markdown, text},
    run::{self, Outcome},
    run_directory,
    trouble::StartError,
};

const UNCLEAN: u8 = 1;
const USAGE: u8 = 2;
const ASSERTION: u8 = 3;
const VOID: u8 = 4;
const NO_SERVER: u8 = 5;

fn main() -> ExitCode {
    // Clap itself exits with 2 on arguments that do not parse.
    let done = match Cli::parse().command {
        Command::Run(arguments) => run_once(*arguments),
        Command::Report(arguments) => show(&arguments),
        Command::Compare(arguments) => compare_runs(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err((status, message)) => {
            eprintln!("mvt-loadgen: {message}");
            ExitCode::from(status)
        }
    }
}

fn run_once(mut arguments: RunArguments) -> Result<(), (u8, String)> {
    let json_path = arguments.json.clone();
    let quiet = arguments.quiet;
    let out = arguments.out.clone();
    let assertions = std::mem::take(&mut arguments.assertions);
    let plan = arguments.into_plan().map_err(|error| {
        let status = if matches!(error, PlanError::Resolve { .. }) { NO_SERVER } else { USAGE };
        (status, error.to_string())
    })?;
    let stop = stop_on_signals().map_err(|error| (UNCLEAN, format!("cannot listen to signals: {error}")))?;
    let outcome = run::run(&plan, &stop).map_err(|error| (status_of(&error), error.to_string()))?;
    let mut report = Report::new(&plan, &outcome);
    report.assert(&assertions);
    if let Some(folder) = &out {
        run_directory::write(folder, &report, &outcome.tally.timeline)
            .map_err(|error| (UNCLEAN, error.to_string()))?;
    }
    write_report(&report, json_path.as_deref(), quiet).map_err(|message| (UNCLEAN, message))?;
    judge(&report, &outcome)
}

fn show(arguments: &ReportArguments) -> Result<(), (u8, String)> {
    let report = run_directory::read_report(&arguments.folder).map_err(|error| (USAGE, error.to_string()))?;
    let render: fn(&Report) -> String = match arguments.format {
        Format::Text => text::render,
        Format::Json => json::render,
        Format::Md => markdown::render,
        Format::Html => html::render,
    };
    to_stdout(&render(&report)).map_err(|message| (UNCLEAN, message))
}

fn compare_runs(arguments: &CompareArguments) -> Result<(), (u8, String)> {
    let sides: Result<Vec<Side>, _> = arguments.sides.iter().map(|text| Side::read(text)).collect();
    let sides = sides.map_err(|error| (USAGE, error.to_string()))?;
    let obstacles = compare::likeness::obstacles(&sides);
    if !obstacles.is_empty() && !arguments.force {
        let listed = obstacles.join("\n  ");
        return Err((
            USAGE,
            format!("these runs are not alike (--force compares them all the same):\n  {listed}"),
        ));
    }
    for obstacle in &obstacles {
        eprintln!("mvt-loadgen: compared by force: {obstacle}");
    }
    let mut all_rows = Vec::new();
    for other in &sides[1..] {
        let rows = compare::compare(&sides[0], other, arguments.seed);
        to_stdout(&compare::text::render(&sides[0], other, &rows)).map_err(|message| (UNCLEAN, message))?;
        all_rows.push(rows);
    }
    if let Some(path) = &arguments.html {
        let page = compare::page::render(&sides, &all_rows, &obstacles);
        fs::write(path, page).map_err(|error| (UNCLEAN, format!("--html {}: {error}", path.display())))?;
    }
    Ok(())
}

fn to_stdout(text: &str) -> Result<(), String> {
    io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string())
}

/// The gravest first: of a void run nothing else means anything.
fn judge(report: &Report, outcome: &Outcome) -> Result<(), (u8, String)> {
    if let Some(reason) = &report.void {
        return Err((VOID, format!("VOID: {reason}")));
    }
    let failed: Vec<_> = report.assertions.iter().filter(|it| !it.held).collect();
    if !failed.is_empty() {
        let each = failed.iter().map(|it| format!("{} (found {})", it.assertion, it.found));
        return Err((ASSERTION, format!("did not hold: {}", each.collect::<Vec<_>>().join(", "))));
    }
    if outcome.is_clean() { Ok(()) } else { Err((UNCLEAN, blame(outcome))) }
}

/// The first SIGINT or SIGTERM ends the measured interval, the second the process.
fn stop_on_signals() -> io::Result<Arc<AtomicBool>> {
    use signal_hook::{
        consts::{SIGINT, SIGTERM},
        flag,
    };
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the second signal finds the flag set by the first.
        flag::register_conditional_shutdown(signal, i32::from(UNCLEAN), Arc::clone(&stop))?;
        flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
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
    match json_path {
        Some(path) if path == Path::new("-") => {
            if !quiet {
                eprint!("{}", text::render(report));
            }
            to_stdout(&json::render(report))
        }
        Some(path) => {
            to_stdout(&text::render(report))?;
            fs::write(path, json::render(report))
                .map_err(|error| format!("--json {}: {error}", path.display()))
        }
        None => to_stdout(&text::render(report)),
    }
}
