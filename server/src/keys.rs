//! The server's key file: made by `keygen`, read at start.

use std::path::Path;

use mvt_proto::{
    constants::KEY_BYTES,
    keyfile::{self, KeyFile},
    login::Identity,
    secret::Secret,
};
use mvt_sys::keystore;

use crate::fatal::Fatal;

/// 32 bytes from the operating system.
///
/// # Errors
/// [`Fatal::Randomness`]: nothing secret can be made, so nothing is.
pub fn random_secret() -> Result<Secret, Fatal> {
    let mut bytes = zeroize::Zeroizing::new([0u8; KEY_BYTES]);
    getrandom::fill(&mut *bytes).map_err(Fatal::Randomness)?;
    Ok(Secret::new(*bytes))
}

/// Makes a new key file at `path`, for a client or a server, and returns its public key as base64.
///
/// # Errors
/// When `path` exists or cannot be written: keys are never overwritten.
pub fn generate(path: &Path, for_client: bool) -> Result<String, Fatal> {
    let file = KeyFile {
        identity: Identity::new(random_secret()?),
        reset_secret: if for_client { None } else { Some(random_secret()?) },
    };
    keystore::create_secret(path, &file.to_text())
        .map_err(|source| Fatal::Write { path: path.to_owned(), source })?;
    Ok(keyfile::key_to_text(file.identity.public()))
}

/// Reads the key file at `path`.
///
/// # Errors
/// When it lets others in, cannot be read, or is no key file.
pub fn read(path: &Path) -> Result<KeyFile, Fatal> {
    let text =
        keystore::read_secret(path).map_err(|source| Fatal::SecretFile { path: path.to_owned(), source })?;
    let text = zeroize::Zeroizing::new(text);
    KeyFile::parse(&text).map_err(|source| Fatal::KeyFile { path: path.to_owned(), source })
}
