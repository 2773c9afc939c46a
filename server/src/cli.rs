//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::command::Target;

/// The MVT verification server.
#[derive(Debug, Parser)]
#[command(name = "mvt-server", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a key file (mode 600) and print its public key.
    Keygen {
        /// Where to write it; never overwritten.
        file: PathBuf,
        /// For a client: without a reset secret.
        #[arg(long)]
        client: bool,
    },
    /// Make an empty store with its seal key, as the configuration names them.
    Init {
        /// Where.
        #[command(flatten)]
        target: Target,
    },
    /// Take a store that was put back to an older copy, with what it forgot: everybody logs in anew, and whom it no longer knows as
    /// revoked has to be revoked again. No server may run on it.
    AcceptStore {
        /// Where.
        #[command(flatten)]
        target: Target,
    },
    /// Let a client in; makes the store if there is none. A revoked client is enrolled anew.
    Enroll {
        /// A name for the client: 1 to 64 of A-Z a-z 0-9 . _ -
        name: String,
        /// The client's public key, as `keygen` prints it.
        public_key: String,
        /// The suites it may use, with commas; all by default.
        #[arg(long, default_value = "")]
        suites: String,
        /// Print a recovery kit, once: who has it is the client.
        #[arg(long)]
        recovery_kit: bool,
        /// Where.
        #[command(flatten)]
        target: Target,
    },
    /// Enrol the clients of an authorized file: `name public-key [suites=…]` a line.
    Import {
        /// The file.
        file: PathBuf,
        /// Where.
        #[command(flatten)]
        target: Target,
    },
    /// Print every client.
    List {
        /// Where.
        #[command(flatten)]
        target: Target,
    },
    /// Print one client.
    Show {
        /// Its name.
        name: String,
        /// Where.
        #[command(flatten)]
        target: Target,
    },
    /// Shut clients out: their sessions have ended everywhere on this server when this returns.
    Revoke {
        /// Their names. Up to thousands are revoked all or none, more in pieces, each acknowledged by a line.
        #[arg(required_unless_present = "from")]
        names: Vec<String>,
        /// A file of names, one a line. One that no client has is told with its line and passed over; the status is 2 then.
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
        /// Where.
        #[command(flatten)]
        target: Target,
    },
    /// Print a new recovery kit for a client, once; the one before is void.
    RecoverKit {
        /// Its name.
        name: String,
        /// Where.
        #[command(flatten)]
        target: Target,
    },
    /// Make a new ticket key; it seals once every node had the time to read it, and tickets that are out stay good.
    RotateTicketKey {
        /// The ring was stolen: take the other keys out of it, so that no ticket that is out is good. Clients log in once more;
        /// sessions that stand go on, `revoke` ends them.
        #[arg(long)]
        void_others: bool,
        /// Where.
        #[command(flatten)]
        target: Target,
    },
    /// Have every session of this server renew its keys, a few at a time: each with its next request.
    Renew {
        /// Seconds over which that is spread; a shard does two thousand a second at most.
        #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=3600))]
        within: u32,
        /// Where.
        #[command(flatten)]
        target: Target,
    },
    /// Print the last changes: number, time, user, command.
    Audit {
        /// How many at most, up to 512.
        #[arg(long, default_value_t = 100)]
        last: usize,
        /// Where.
        #[command(flatten)]
        target: Target,
    },
    /// Read the configuration and every file it names, and say what is wrong.
    CheckConfig {
        /// The configuration file.
        #[arg(long, short)]
        config: Option<PathBuf>,
    },
    /// Print what this host allows, and how to mend what it does not.
    Doctor,
    /// Serve until SIGTERM or SIGINT.
    Run {
        /// The configuration file; without it the defaults hold and files are looked for here.
        #[arg(long, short)]
        config: Option<PathBuf>,
    },
}
