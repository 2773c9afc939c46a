//! `cargo x harden`: what looks where tests do not. Memory errors, secrets that decide, times that tell, bytes nobody thought of.
//!
//! Each takes minutes, and something beside the stable toolchain; so it is no part of CI. What is built for it lies under
//! `target/harden` and is taken away afterwards, where it is large.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, ensure};
use clap::Subcommand;

use crate::workspace;

/// The crates with `unsafe`, whose tests run under AddressSanitizer.
const UNSAFE_CRATES: [&str; 3] = ["mvt-sys", "mvt-lanes", "mvt-x25519"];
/// For AddressSanitizer the standard library's target is named, so that build scripts are not built with it.
const TARGET: &str = "x86_64-unknown-linux-gnu";
const SANITIZER: &str = "-Zsanitizer=address";

/// What to look for.
#[derive(Debug, Subcommand)]
pub enum Search {
    /// The tests of the crates with `unsafe` under AddressSanitizer; needs the nightly toolchain.
    Memory,
    /// Branches and addresses that depend on a key, by valgrind, on the portable path of the lanes and with both libraries of X25519
    /// (CASES P-01).
    Secrets,
    /// Times that depend on where a tag is wrong, by statistics, on each lanes path of this CPU (CASES P-02, P-04).
    Timing,
    /// Every fuzz target of `proto-spec/fuzz`; needs the nightly toolchain and cargo-fuzz.
    Fuzz {
        /// For how long, each, in seconds.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
        /// This target alone.
        #[arg(long)]
        only: Option<String>,
    },
}

/// Runs one search.
///
/// # Errors
/// What it found, or what it lacks.
pub fn run(search: &Search) -> anyhow::Result<()> {
    match search {
        Search::Memory => memory(),
        Search::Secrets => secrets(),
        Search::Timing => timing(),
        Search::Fuzz { seconds, only } => fuzz(*seconds, only.as_deref()),
    }
}

fn memory() -> anyhow::Result<()> {
    let target = workspace::target().join("harden");
    for package in UNSAFE_CRATES {
        let mut tests = nightly();
        tests.args(["test", "--target", TARGET, "--all-features", "-p", package]);
        tests.env("RUSTFLAGS", SANITIZER).env("RUSTDOCFLAGS", SANITIZER).env("CARGO_TARGET_DIR", &target);
        finish(&mut tests, package)?;
    }
    fs::remove_dir_all(&target).context("cannot take away what was built")
}

fn secrets() -> anyhow::Result<()> {
    let exceptions = workspace::folder().join("proto-spec/examples/secrets.supp");
    for features in ["", "aws-lc"] {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--quiet", "--num-callers=30", "--error-limit=no", "--read-inline-info=yes"]);
        valgrind.arg(format!("--suppressions={}", exceptions.display())).arg(example("secrets", features)?);
        finish(&mut valgrind, "a secret decides, or the harness sees nothing: valgrind")?;
    }
    Ok(())
}

fn timing() -> anyhow::Result<()> {
    finish(&mut Command::new(example("timing", "")?), "times differ, or the harness sees nothing:")
}

/// The release build of an example of the protocol core, with these of its features.
fn example(name: &str, features: &str) -> anyhow::Result<std::path::PathBuf> {
    let mut build = workspace::cargo();
    build.args(["build", "--release", "-p", "mvt-proto", "--example", name, "--features", features]);
    finish(&mut build, "cargo build")?;
    Ok(workspace::target().join("release/examples").join(name))
}

fn fuzz(seconds: u32, only: Option<&str>) -> anyhow::Result<()> {
    let folder = workspace::folder().join("proto-spec");
    let names = targets(&folder.join("fuzz/fuzz_targets"))?;
    let chosen: Vec<_> = names.iter().filter(|name| only.is_none_or(|only| only == *name)).collect();
    ensure!(!chosen.is_empty(), "no such target; there are {}", names.join(" "));
    for name in chosen {
        let mut run = nightly();
        run.current_dir(&folder).args(["fuzz", "run", name, "--", &format!("-max_total_time={seconds}")]);
        finish(&mut run, name)?;
    }
    Ok(())
}

fn targets(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).context("no fuzz targets")? {
        let path = entry?.path();
        names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// `cargo` of the nightly toolchain: the one that runs us would choose its own compiler.
fn nightly() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.arg("+nightly").current_dir(workspace::folder());
    for name in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        cargo.env_remove(name);
    }
    cargo
}

fn finish(command: &mut Command, what: &str) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("cannot start {what}"))?;
    ensure!(status.success(), "{what}: {status}");
    Ok(())
}
