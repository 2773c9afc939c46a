//! `mvt-loadgen`. Exit status: 0 clean, 1 the run was not clean or could not be written, 2 usage, 3 an assertion did
//! not hold, 4 the run is void, 5 no server or no login.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
};

use clap::{CommandFactory as _, FromArgMatches as _};
use mvt_loadgen::{
    assertion::Assertion,
    cli::{Cli, Command, CompareArguments, Format, Output, PlanError, ReportArguments, profile},
    compare::{self, Side},
    index,
    peer::{floor, streams},
    report::{Report, html, json, markdown, text, units},
    run::{self, Outcome, Plan},
    run_directory, search,
    trouble::StartError,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const UNCLEAN: u8 = 1;
const USAGE: u8 = 2;
const ASSERTION: u8 = 3;
const VOID: u8 = 4;
const NO_SERVER: u8 = 5;

/// An exit status and what to say.
type Fault = (u8, String);

fn main() -> ExitCode {
    let done = command().and_then(|command| match command {
        Command::Run(mut arguments) => {
            let load = &mut arguments.load;
            let (output, slo) = (take_output(&mut load.output), std::mem::take(&mut load.slo));
            run_once(arguments.into_plan(), &output, &slo)
        }
        Command::Peer(mut arguments) => {
            let load = &mut arguments.load;
            let (output, slo) = (take_output(&mut load.output), std::mem::take(&mut load.slo));
            run_once(arguments.into_plan(), &output, &slo)
        }
        Command::Report(arguments) => show(&arguments),
        Command::Compare(arguments) => compare_runs(&arguments),
        Command::Floor(arguments) if arguments.quinn => {
            streams::run().map_err(|error| (UNCLEAN, error.to_string()))
        }
        Command::Floor(_) => floor::run().map_err(|error| (UNCLEAN, error.to_string())),
        Command::Index(arguments) => {
            index::write(&arguments.folder).map_err(|error| (USAGE, error.to_string()))
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err((status, message)) => {
            eprintln!("mvt-loadgen: {message}");
            ExitCode::from(status)
        }
    }
}

/// The arguments, with those of a profile. Clap itself exits with 2 on arguments that do not parse.
fn command() -> Result<Command, Fault> {
    let usage = |error: profile::ProfileError| (USAGE, error.to_string());
    let expanded = profile::expand(std::env::args_os().collect()).map_err(usage)?;
    let parsed = Cli::command().try_get_matches_from(&expanded.arguments);
    let parsed = parsed.and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => Ok(cli.command),
        Err(error) => Err(usage(expanded.blame(&error).unwrap_or_else(|| error.exit()))),
    }
}

/// The part of the arguments that the plan has no use for.
fn take_output(output: &mut Output) -> Output {
    Output {
        json: output.json.take(),
        out: output.out.take(),
        assertions: std::mem::take(&mut output.assertions),
        labels: output.labels.clone(),
        quiet: output.quiet,
    }
}

fn run_once(plan: Result<Plan, PlanError>, output: &Output, slo: &[Assertion]) -> Result<(), Fault> {
    let mut plan = plan.map_err(|error| {
        let status = if matches!(error, PlanError::Resolve { .. }) { NO_SERVER } else { USAGE };
        (status, error.to_string())
    })?;
    check_output(output)?;
    let stop = stop_on_signals().map_err(|error| (UNCLEAN, format!("cannot listen to signals: {error}")))?;
    let failed = |error: StartError| (status_of(&error), error.to_string());
    let (mut report, outcome) = if slo.is_empty() {
        let outcome = run::run(&plan, &stop).map_err(failed)?;
        (Report::new(&plan, &outcome), outcome)
    } else {
        let tell = |probe: &search::Probe| {
            if !output.quiet {
                let rate = units::grouped(probe.rate_per_s.round() as u64);
                eprintln!("{rate:>12}/s  {:?}  {}", probe.verdict, probe.why);
            }
        };
        search::search(&mut plan, slo, &stop, tell).map_err(failed)?.best
    };
    let bounds: Vec<Assertion> = slo.iter().chain(&output.assertions).cloned().collect();
    report.assert(&bounds);
    // Each is tried whatever became of the others: a full disk loses a file and not the run, and a closed pipe no file.
    let told = write_report(&report, output.json.as_deref(), output.quiet);
    let folder = output.out.as_deref();
    let written = folder.map_or(Ok(()), |folder| {
        run_directory::write(folder, &report, &outcome.tally.timeline).map_err(|error| error.to_string())
    });
    let troubles: Vec<String> = [told, written].into_iter().filter_map(Result::err).collect();
    match judge(&report, &outcome) {
        judged if troubles.is_empty() => judged,
        Ok(()) => Err((UNCLEAN, troubles.join("; "))),
        // What the run says of itself is graver than where it could not be written.
        Err((status, message)) => Err((status, format!("{message}; {}", troubles.join("; ")))),
    }
}

/// A result that could not be written is known before the run, which may be long.
fn check_output(output: &Output) -> Result<(), Fault> {
    if let Some(folder) = &output.out {
        run_directory::prepare(folder).map_err(|error| (USAGE, format!("--out {error}")))?;
    }
    match output.json.as_deref().filter(|path| *path != Path::new("-")) {
        Some(path) => run_directory::can_write(path)
            .map_err(|error| (USAGE, format!("--json {}: {error}", path.display()))),
        None => Ok(()),
    }
}

fn show(arguments: &ReportArguments) -> Result<(), Fault> {
    let report = run_directory::read_report(&arguments.folder).map_err(|error| (USAGE, error.to_string()))?;
    let render: fn(&Report) -> String = match arguments.format {
        Format::Text => text::render,
        Format::Json => json::render,
        Format::Md => markdown::render,
        Format::Html => html::render,
    };
    to_stdout(&render(&report)).map_err(|message| (UNCLEAN, message))
}

fn compare_runs(arguments: &CompareArguments) -> Result<(), Fault> {
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
fn judge(report: &Report, outcome: &Outcome) -> Result<(), Fault> {
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
        StartError::Pin(_) | StartError::Io { .. } => USAGE,
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
            let told = to_stdout(&text::render(report));
            run_directory::replace(path, &json::render(report))
                .map_err(|error| format!("--json {}: {error}", path.display()))
                .and(told)
        }
        None => to_stdout(&text::render(report)),
    }
}
