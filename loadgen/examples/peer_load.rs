//! Load on a server of another protocol. Exit status: 0 clean, 1 not every answer was right, 2 usage, 5 no answer.

use std::process::ExitCode;

use clap::Parser;
use mvt_loadgen::peer::{arguments::Arguments, load, report::Report};

const UNCLEAN: u8 = 1;
const NO_SERVER: u8 = 5;

fn main() -> ExitCode {
    match load::run(&Arguments::parse().into_plan()) {
        Ok(outcome) => {
            println!("{}", Report::new(&outcome).render());
            if outcome.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(UNCLEAN) }
        }
        Err(error) => {
            eprintln!("peer_load: {error}");
            ExitCode::from(NO_SERVER)
        }
    }
}
