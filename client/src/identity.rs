//! A client's secrets from files that only their owner can read.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

use mvt_proto::{
    keyfile::{KeyFile, KeyFileError},
    login::Identity,
    recovery::{KitError, RecoveryKit},
};
use zeroize::Zeroizing;

/// A key file is a few lines; nothing longer is read.
pub const KEY_FILE_BYTES_MAX: u64 = 4_096;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It cannot be read.
    #[error("cannot read the key file: {0}")]
    Io(#[from] io::Error),
    /// It is a folder, a pipe, or longer than a key file can be.
    #[error("not a regular file of at most {KEY_FILE_BYTES_MAX} bytes")]
    NotAFile,
    /// Others than its owner may read or write it.
    #[error("mode {mode:03o} lets others than the owner at the key file: chmod 600 it")]
    Exposed {
        /// Its permission bits.
        mode: u32,
    },
    /// It is not text.
    #[error("not text")]
    NotText,
    /// Its lines are not those of a key file.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// Its lines are not those of a recovery kit.
    #[error(transparent)]
    Kit(#[from] KitError),
}

/// Reads the key file at `path`.
///
/// # Errors
/// [`IdentityError`].
pub fn load(path: impl AsRef<Path>) -> Result<Identity, IdentityError> {
    Ok(KeyFile::parse(&read_private(path.as_ref())?)?.identity)
}

/// Reads the recovery kit at `path`.
///
/// # Errors
/// [`IdentityError`].
pub fn load_kit(path: impl AsRef<Path>) -> Result<RecoveryKit, IdentityError> {
    Ok(RecoveryKit::parse(&read_private(path.as_ref())?)?)
}

fn read_private(path: &Path) -> Result<Zeroizing<String>, IdentityError> {
    let file = File::open(path)?;
    // Judged on the open file, so that nobody can swap it in between.
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > KEY_FILE_BYTES_MAX {
        return Err(IdentityError::NotAFile);
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::Exposed { mode });
    }
    // As large as it can get: growing would leave copies of the key behind.
    let mut bytes = Vec::with_capacity(KEY_FILE_BYTES_MAX as usize + 1);
    let read = file.take(KEY_FILE_BYTES_MAX).read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        IdentityError::NotText
    });
    let text = Zeroizing::new(text?);
    read?;
    Ok(text)
}
