//! Why a change of the registry is refused.

use crate::store::StoreError;

/// Why a change is refused.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Not a name.
    #[error("a client's name is 1 to 64 of A-Z a-z 0-9 . _ -")]
    Name,
    /// Nobody has it.
    #[error("{0}: no such client")]
    Unknown(String),
    /// Somebody has it.
    #[error("{0}: enrolled already; revoke it first to enrol it anew")]
    NameTaken(String),
    /// Somebody has it.
    #[error("{name}: this public key is {owner}'s")]
    KeyTaken {
        /// Who asks for it.
        name: String,
        /// Who has it.
        owner: String,
    },
    /// Revoked clients get nothing.
    #[error("{0}: revoked")]
    Revoked(String),
    /// The seal key is needed and is not there.
    #[error("recovery secrets are sealed under store.seal_key_file, and there is none")]
    NoSealKey,
    /// No randomness for a secret.
    #[error("no randomness from the operating system: {0}")]
    Randomness(getrandom::Error),
    /// The store's.
    #[error("{0}")]
    Store(#[from] StoreError),
}
