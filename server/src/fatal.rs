//! What ends the process: the environment's fault or the operator's, each with its own exit status.

use std::path::PathBuf;

use mvt_proto::{keyfile::KeyFileError, ticket::RingTextError};
use mvt_sys::keystore::SecretFileError;

use crate::{config::ConfigError, store::StoreError};

/// A reason not to start, or not to go on. Printed once, by `main`, as [`Fatal::line`].
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The configuration is wrong.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The store cannot be had.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A key file is no key file.
    #[error("{path}: {source}")]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyFileError,
    },
    /// A ring file is no ring.
    #[error("{path}: {source}")]
    Ring {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: RingTextError,
    },
    /// A key file must not be, or cannot be, read.
    #[error("{path}: {source}")]
    SecretFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: SecretFileError,
    },
    /// A file of the TLS certificate cannot be used.
    #[error("{path}: {source}")]
    CertificateFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// TLS refuses the certificate.
    #[error("{path}: {source}")]
    Certificate {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// A file cannot be written.
    #[error("{path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The OS's reason.
        source: std::io::Error,
    },
    /// A seal key file is none.
    #[error("{path}: expected one line, `mvt-seal-key` with the base64 of 32 bytes that are not all zero")]
    SealKey {
        /// The file.
        path: PathBuf,
    },
    /// The admin socket cannot be had.
    #[error("admin.socket {path}: {source}")]
    AdminSocket {
        /// The socket.
        path: PathBuf,
        /// The OS's reason.
        source: std::io::Error,
    },
    /// The server behind the admin socket does not answer.
    #[error("{path}: {source}; whether it was done is not known")]
    Unanswered {
        /// The socket.
        path: PathBuf,
        /// The OS's reason.
        source: std::io::Error,
    },
    /// A command was refused.
    #[error("{text}")]
    Refused {
        /// The exit status.
        status: u8,
        /// Why.
        text: String,
    },
    /// The listening address cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The OS's reason.
        source: std::io::Error,
    },
    /// The I/O backend the configuration insists on is not to be had.
    #[error("io.backend = \"{backend}\" is not possible: {source}; {cure}")]
    Backend {
        /// As configured.
        backend: &'static str,
        /// The kernel's reason.
        source: std::io::Error,
        /// What to do.
        cure: &'static str,
    },
    /// The OS gives no randomness: no key can be made.
    #[error("no randomness from the operating system: {0}")]
    Randomness(getrandom::Error),
    /// The limit on open files is too low to start.
    #[error(
        "too few open files: {limit} are allowed, and each of {shards} shards takes {each} to listen, some more to run, and one for each \
         connection; raise the hard limit (LimitNOFILE= of systemd, ulimit -Hn)"
    )]
    OpenFiles {
        /// What is allowed.
        limit: u64,
        /// How many shards there are to be.
        shards: usize,
        /// Listening sockets of each.
        each: usize,
    },
    /// Something else the OS refused at start.
    #[error("{what}: {source}")]
    Os {
        /// What was tried.
        what: &'static str,
        /// The OS's reason.
        source: std::io::Error,
    },
}

impl Fatal {
    /// What is printed: one line, whatever a file or a name it quotes has in it.
    #[must_use]
    pub fn line(&self) -> String {
        let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
        self.to_string().chars().map(escaped).collect()
    }

    /// The exit status: 2 the operator's input, 66 a missing input, 69 an address or a server that does not answer, 71 the OS, 73 an output, 77 permissions,
    /// 78 the backend (after sysexits.h where it has a number); and those of [`StoreError::exit_status`].
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Config(ConfigError::Read { .. }) => 66,
            Self::Store(error) => error.exit_status(),
            Self::SecretFile { source: SecretFileError::Io(_), .. } => 66,
            Self::CertificateFile { source, .. } if source.kind() == std::io::ErrorKind::NotFound => 66,
            Self::CertificateFile { .. } | Self::Certificate { .. } => 2,
            Self::Config(_) | Self::KeyFile { .. } | Self::Ring { .. } | Self::SealKey { .. } => 2,
            Self::SecretFile { .. } => 77,
            Self::Write { .. } => 73,
            Self::AdminSocket { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => 77,
            Self::Listen { .. } | Self::AdminSocket { .. } | Self::Unanswered { .. } => 69,
            Self::Refused { status, .. } => *status,
            Self::Backend { .. } => 78,
            Self::Randomness(_) | Self::OpenFiles { .. } | Self::Os { .. } => 71,
        }
    }
}
