//! `mvt-server`: the start-up list.

use std::process::ExitCode;

use clap::Parser;
use mvt_server::{
    admin::request::{NewClient, Request},
    cli::{Cli, Command},
    command, doctor,
    fatal::Fatal,
    keys, run,
    store::StoreError,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match execute(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => {
            eprintln!("mvt-server: {}", fatal.line());
            ExitCode::from(fatal.exit_status())
        }
    }
}

fn execute(command: Command) -> Result<(), Fatal> {
    // Before all else: the standard library's tables panic where there is no randomness.
    if !matches!(command, Command::Doctor) {
        getrandom::fill(&mut [0; 32]).map_err(Fatal::Randomness)?;
    }
    match command {
        Command::Keygen { file, client } => {
            println!("{}", keys::generate(&file, client)?);
        }
        Command::Init { target } => command::init(&target)?,
        Command::AcceptStore { target } => command::accept_store(&target)?,
        Command::Enroll { name, public_key, suites, recovery_kit, target } => {
            let clients = vec![NewClient { name, public_key, suites }];
            command::ask(&target, Request::Enroll { clients, skip_known: false, recovery_kit })?;
        }
        Command::Import { file, target } => command::import(&target, &file)?,
        Command::List { target } => command::list(&target)?,
        Command::Show { name, target } => command::ask(&target, Request::Show { name })?,
        Command::Revoke { names, from, target } => command::revoke(&target, names, from.as_deref())?,
        Command::RecoverKit { name, target } => command::ask(&target, Request::RecoverKit { name })?,
        Command::RotateTicketKey { void_others, target } => {
            command::ask(&target, Request::RotateTicketKey { void_others })?;
        }
        Command::Renew { within, target } => command::ask(&target, Request::Renew { within_s: within })?,
        Command::Audit { last, target } => command::ask(&target, Request::Audit { count: last })?,
        Command::CheckConfig { config } => {
            match run::prepare(config.as_deref()) {
                Ok(prepared) => {
                    println!("ok: {} clients, {} shards", prepared.client_count(), prepared.shard_count());
                }
                // By the server that runs with it, which has checked it.
                Err(Fatal::Store(StoreError::InUse { .. })) => println!("ok: the store is in use"),
                Err(fatal) => return Err(fatal),
            }
        }
        Command::Doctor => doctor::examine().iter().for_each(|finding| println!("{finding}")),
        Command::Run { config } => run::prepare(config.as_deref())?.serve()?,
    }
    Ok(())
}
