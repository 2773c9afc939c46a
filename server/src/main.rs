//! `mvt-server`: the start-up list.

use std::process::ExitCode;

use clap::Parser;
use mvt_server::{
    cli::{Cli, Command},
    doctor, enrolment,
    fatal::Fatal,
    keys, run,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match execute(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => {
            eprintln!("mvt-server: {fatal}");
            ExitCode::from(fatal.exit_status())
        }
    }
}

fn execute(command: Command) -> Result<(), Fatal> {
    match command {
        Command::Keygen { file, client } => {
            println!("{}", keys::generate(&file, client)?);
        }
        Command::Enroll { clients_file, client_id, public_key } => {
            enrolment::enroll(&clients_file, &client_id, &public_key)?;
        }
        Command::CheckConfig { config } => {
            let prepared = run::prepare(config.as_deref())?;
            println!("ok: {} clients, {} shards", prepared.client_count(), prepared.shard_count());
        }
        Command::Doctor => doctor::examine().iter().for_each(|finding| println!("{finding}")),
        Command::Run { config } => run::prepare(config.as_deref())?.serve()?,
    }
    Ok(())
}
