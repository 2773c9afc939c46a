//! The server's key files: made by commands, read at start.

use std::path::Path;

use mvt_proto::{
    constants::KEY_BYTES,
    keyfile::{self, KeyFile},
    login::Identity,
    secret::Secret,
};
use mvt_sys::keystore::{self, SecretFileError};

use crate::{fatal::Fatal, store::seal::SealKey};

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

const SEAL_KEY: &str = "mvt-seal-key";

/// Reads the seal key at `path`; `None` when there is no such file.
///
/// # Errors
/// When it lets others in, cannot be read, or is no seal key.
pub fn read_seal_key(path: &Path) -> Result<Option<SealKey>, Fatal> {
    let text = match keystore::read_secret(path) {
        Ok(text) => zeroize::Zeroizing::new(text),
        Err(SecretFileError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Fatal::SecretFile { path: path.to_owned(), source }),
    };
    let mut words = text.split_ascii_whitespace();
    let (name, value, rest) = (words.next(), words.next(), words.next());
    let key = value.filter(|_| name == Some(SEAL_KEY) && rest.is_none()).and_then(keyfile::key_from_text);
    let key = key.map(zeroize::Zeroizing::new).ok_or_else(|| Fatal::SealKey { path: path.to_owned() })?;
    Ok(Some(SealKey::new(Secret::new(*key))))
}

/// Makes a seal key at `path`, unless there is a good one.
///
/// # Errors
/// As [`read_seal_key`], and when it cannot be written.
pub fn ensure_seal_key(path: &Path) -> Result<(), Fatal> {
    if read_seal_key(path)?.is_some() {
        return Ok(());
    }
    let value = zeroize::Zeroizing::new(keyfile::key_to_text(random_secret()?.expose()));
    let text = zeroize::Zeroizing::new(format!("{SEAL_KEY} {}\n", *value));
    keystore::create_secret(path, &text).map_err(|source| Fatal::Write { path: path.to_owned(), source })
}
