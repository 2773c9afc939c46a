//! `cargo x`: a table of subcommands.

use clap::{Parser, Subcommand};
use mvt_scripts::{accuracy, ci, compare, demo, emulate, harden, lifetime, publish, test, tour, vectors};

/// Tools of the workspace.
#[derive(Parser)]
#[command(name = "cargo x", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Server, load and latency report in one command, with throwaway keys on a loopback port.
    Demo(demo::Arguments),
    /// The life of a key on real processes, step by step, each checked: login, renewal, crash, resume elsewhere, recovery,
    /// revocation.
    Tour,
    /// Run every test of the workspace.
    Test,
    /// All that must hold before a change lands: format, lints, vectors, a short demo, tests.
    Ci(demo::Arguments),
    /// Measure server CPU time per request of ours, on TCP and over QUIC, and of redis, memcached, HAProxy and quinn,
    /// interleaved.
    Compare(compare::arguments::Arguments),
    /// Run the canonical workloads on ours and on its peers; write a folder of results with one page.
    Publish(publish::run::Arguments),
    /// The aims for a key's life under load: renewal, login flood, revocation, refused tickets; a table with the spread of each.
    Lifetime(lifetime::arguments::Arguments),
    /// Run the tests of the lanes on emulated CPUs that have AVX-512; minutes, and packages of Debian.
    Emulate(emulate::Arguments),
    /// Search for memory errors, for secrets that decide, for times that tell, for bytes nobody thought of; minutes each.
    Harden {
        /// What to look for.
        #[command(subcommand)]
        search: harden::Search,
    },
    /// The load generator against theory, as a table.
    Accuracy(accuracy::Arguments),
    /// Write the vectors of `proto-spec/vectors` from the reference.
    Vectors {
        /// Write nothing; fail if a committed file is stale, missing or extra.
        #[arg(long)]
        check: bool,
    },
}

/// An aim that was to be met was missed.
const MISSED: i32 = 3;

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Tour => tour::run(),
        Command::Test => test::run(),
        Command::Ci(arguments) => ci::run(&arguments),
        Command::Compare(arguments) => Ok(compare::run::run(arguments)?),
        Command::Publish(arguments) => publish::run::run(&arguments),
        Command::Lifetime(arguments) => {
            if !lifetime::run::run(&arguments)? {
                std::process::exit(MISSED);
            }
            Ok(())
        }
        Command::Emulate(arguments) => emulate::run(&arguments),
        Command::Harden { search } => harden::run(&search),
        Command::Accuracy(arguments) => accuracy::run(&arguments),
        Command::Vectors { check: true } => Ok(vectors::store::check(&vectors::store::folder())?),
        Command::Vectors { check: false } => Ok(vectors::store::write(&vectors::store::folder())?),
    }
}
