//! `cargo x`: a table of subcommands.

use clap::{Parser, Subcommand};
use mvt_scripts::{compare, vectors};

/// Tools of the workspace.
#[derive(Parser)]
#[command(name = "mvt-scripts", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the vectors of `proto-spec/vectors` from the reference.
    Vectors {
        /// Write nothing; fail if a committed file is stale, missing or extra.
        #[arg(long)]
        check: bool,
    },
    /// Measure server CPU time per request of ours and of redis, memcached and HAProxy, interleaved.
    Compare(compare::arguments::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Vectors { check: true } => vectors::store::check(&vectors::store::folder())?,
        Command::Vectors { check: false } => vectors::store::write(&vectors::store::folder())?,
        Command::Compare(arguments) => compare::run::run(arguments)?,
    }
    Ok(())
}
