//! `cargo x emulate`: the tests of the lanes on a CPU this machine is not, for correctness alone.
//!
//! Bochs emulates a whole PC with AVX-512, Debian's kernel boots in it from a CD image, and the test programs of
//! `mvt-lanes` are all that runs there. Minutes for what takes a tenth of a second on a CPU, so it is no part of CI.

mod debian;
mod guest;
mod machine;
mod verdict;

use std::{fs, path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Args;

use crate::{stop::Stop, workspace};

/// CPUs as Bochs names them, with the path to be detected. The first has no SHA instructions, so its narrow groups ride AVX-512 too; the
/// second has them, so a batch forced on AVX-512 shares it with SHA-NI.
const MODELS: [(&str, Option<&str>); 2] =
    [("corei7_skylake_x", Some("avx512")), ("corei3_cnl", Some("sha-ni"))];

/// What `cargo x emulate` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A CPU model of Bochs (`bochs --help cpu` lists them), instead of one with AVX-512 alone and one with SHA-NI beside it.
    #[arg(long)]
    cpu: Option<String>,
    /// The path that has to have run, as the lanes call it.
    #[arg(long, default_value = "avx512")]
    path: String,
    /// How long one CPU may take.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=120))]
    minutes: u64,
}

/// Runs the tests of `mvt-lanes` on each emulated CPU.
///
/// # Errors
/// When something is missing that cannot be installed, when a CPU does not finish in time, when a test fails there, or when the
/// path was not run.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let stop = Stop::listen()?;
    let folder = workspace::target().join("emulate");
    fs::create_dir_all(&folder)?;
    let tests = test_programs().context("cannot build the tests")?;
    let system = debian::System::obtain(&folder)?;
    let image = guest::image(&system, &tests, &folder)?;
    let models = arguments.cpu.as_deref().map_or(MODELS.to_vec(), |cpu| vec![(cpu, None)]);
    for (model, detected) in models {
        println!("emulate: booting {model}");
        let patience = Duration::from_secs(60 * arguments.minutes);
        let said = machine::boot(model, &image, &folder, patience, &stop)?;
        let passed = verdict::judge(&said, &guest::names(&tests), &arguments.path, detected)
            .with_context(|| format!("{model}; all it said is in {}", folder.join("serial").display()))?;
        println!("emulate: {model}: {passed} tests passed, {} among their paths", arguments.path);
    }
    Ok(())
}

/// The test programs of `mvt-lanes`, built as `cargo test` builds them.
fn test_programs() -> anyhow::Result<Vec<PathBuf>> {
    let mut cargo = workspace::cargo();
    let build =
        ["test", "--package", "mvt-lanes", "--lib", "--tests", "--no-run", "--message-format", "json"];
    let output = cargo.args(build).stderr(std::process::Stdio::inherit()).output()?;
    anyhow::ensure!(output.status.success(), "cargo test --no-run: {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let of_line = |line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    };
    let programs: Vec<PathBuf> = text.lines().filter_map(of_line).collect();
    anyhow::ensure!(!programs.is_empty(), "cargo named no test program");
    Ok(programs)
}
