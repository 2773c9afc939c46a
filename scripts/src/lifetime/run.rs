//! Builds, measures, reports.

use std::{env, fs, path::Path};

use anyhow::Context;

use super::{
    arguments::{Arguments, Part},
    bench::Bench,
    login_flood, mass_revocation, renewal, report, resume_refusal,
};
use crate::{
    stop::Stop,
    workspace::{release_binary, run_cargo},
};

/// Measures what `arguments` ask for; false when an aim is missed and that is to be an error.
///
/// # Errors
/// Whatever keeps a measurement from being made.
pub fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let json = arguments.json.as_deref().map(resolve).transpose()?;
    if !arguments.no_build {
        eprintln!("lifetime: building the server and the load generator (release) ...");
        run_cargo(&["build", "--release", "--quiet", "--package", "mvt-server", "--package", "mvt-loadgen"])?;
    }
    let stop = Stop::listen().context("cannot listen to signals")?;
    let (server_core, load_core) = Bench::cores()?;
    let bench = Bench {
        server: release_binary("mvt-server"),
        generator: release_binary("mvt-loadgen"),
        server_core,
        load_core,
        arguments,
        stop: &stop,
    };
    let busy_before = load_average();
    let mut aims = Vec::new();
    if arguments.wants(Part::Renewal) {
        aims.extend(renewal::measure(&bench)?);
    }
    if arguments.wants(Part::Flood) {
        aims.extend(login_flood::measure(&bench)?);
    }
    if arguments.wants(Part::Revocation) {
        aims.extend(mass_revocation::measure(&bench)?);
    }
    if arguments.wants(Part::Resume) {
        aims.push(resume_refusal::measure(&bench)?);
    }
    print!("{}", report::text(&aims));
    if let Some(path) = json {
        let report = report::json(&aims, arguments, [busy_before, load_average()]);
        fs::write(&path, format!("{report:#}\n"))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(!arguments.assert || aims.iter().all(super::aim::Aim::is_met))
}

/// Made sure of before minutes are spent.
fn resolve(path: &Path) -> anyhow::Result<std::path::PathBuf> {
    let path = env::current_dir()?.join(path);
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).with_context(|| format!("--json {}", path.display()))?;
    Ok(path)
}

fn load_average() -> Option<String> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    Some(text.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
}
