//! `cargo x ci`: all that must hold before a change lands.

use std::time::Instant;

use crate::{demo, test, vectors, workspace::run_cargo};

/// What a client may be built with, beside what the workspace builds: nothing but types, one client, the other. Only the library: its
/// tests need the server, whose whole tree would be checked anew for each.
const CLIENT_FEATURES: [&str; 3] = ["", "blocking", "quic"];

/// Style, lints, vectors, tests, and one real run.
///
/// # Errors
/// The first step that fails.
pub fn run(demo_arguments: &demo::Arguments) -> anyhow::Result<()> {
    step("format", || Ok(run_cargo(&["fmt", "--all", "--check"])?))?;
    step("lints", || {
        let lints = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"];
        Ok(run_cargo(&lints)?)
    })?;
    step("features of the client", || {
        CLIENT_FEATURES.iter().try_for_each(|features| {
            let client = ["clippy", "-p", "mvt-client", "--lib", "--quiet", "--no-default-features"];
            Ok(run_cargo(&[&client[..], &["--features", features, "--", "--deny", "warnings"]].concat())?)
        })
    })?;
    step("vectors", || Ok(vectors::store::check(&vectors::store::folder())?))?;
    step("demo", || demo::run(demo_arguments))?;
    // Last, so that the tests' sum is the closing line.
    step("tests", test::run)
}

fn step(name: &str, run: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    eprintln!("== {name}");
    let started = Instant::now();
    run().map_err(|error| error.context(format!("step {name}")))?;
    eprintln!("== {name}: {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}
