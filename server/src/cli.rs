//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

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
    /// Add a client to the file of enrolled clients.
    Enroll {
        /// The file, as in `identity.clients_file`; made if need be.
        clients_file: PathBuf,
        /// A name for the client: 1 to 64 of A-Z a-z 0-9 . _ -
        client_id: String,
        /// The client's public key, as `keygen` prints it.
        public_key: String,
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
