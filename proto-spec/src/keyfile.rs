//! Keys as text: one `name base64` pair a line, `#` begins a comment line. Reading files is the caller's.

use alloc::{string::String, vec::Vec};

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::{constants::KEY_BYTES, login::Identity, secret::Secret};

/// Bytes of a 32-byte key as base64.
pub const KEY_TEXT_BYTES: usize = 44;

const IDENTITY: &str = "mvt-private-key-x25519";
const RESET: &str = "mvt-reset-secret";

/// Why a key file is not one. Lines count from 1. Never quotes the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// A line is not `name base64`.
    #[error("line {0}: expected `name base64`")]
    Line(usize),
    /// A name is not known, or stands twice.
    #[error("line {0}: unknown or repeated name")]
    Name(usize),
    /// A value is not the base64 of 32 bytes, or all zero.
    #[error("line {0}: expected the base64 of 32 bytes that are not all zero")]
    Value(usize),
    /// A name the reader needs is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
}

/// The private keys of one party: a client has an identity, a server also a reset secret (§9).
#[derive(Debug)]
pub struct KeyFile {
    /// The static X25519 key pair.
    pub identity: Identity,
    /// From which lost keys derive; servers only.
    pub reset_secret: Option<Secret>,
}

impl KeyFile {
    /// Reads the text of a key file.
    ///
    /// # Errors
    /// [`KeyFileError`] with the line at fault.
    pub fn parse(text: &str) -> Result<Self, KeyFileError> {
        let (mut identity, mut reset_secret) = (None, None);
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.split_ascii_whitespace();
            let (Some(name), Some(value), None) = (words.next(), words.next(), words.next()) else {
                return Err(KeyFileError::Line(line_number));
            };
            let place = match name {
                IDENTITY => &mut identity,
                RESET => &mut reset_secret,
                _ => return Err(KeyFileError::Name(line_number)),
            };
            if place.is_some() {
                return Err(KeyFileError::Name(line_number));
            }
            let key = Zeroizing::new(key_from_text(value).ok_or(KeyFileError::Value(line_number))?);
            *place = Some(Secret::new(*key));
        }
        let identity = identity.ok_or(KeyFileError::Missing(IDENTITY))?;
        Ok(Self { identity: Identity::new(identity), reset_secret })
    }

    /// The reset secret of a server.
    ///
    /// # Errors
    /// `Missing`: this is a client's key file.
    pub fn reset_secret(&self) -> Result<&Secret, KeyFileError> {
        self.reset_secret.as_ref().ok_or(KeyFileError::Missing(RESET))
    }

    /// The text of this key file; the public key stands in a comment.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(256));
        let mut line = |name: &str, key: &[u8; KEY_BYTES]| {
            text.push_str(name);
            text.push(' ');
            text.push_str(&Zeroizing::new(key_to_text(key)));
            text.push('\n');
        };
        line("# public key:", self.identity.public());
        line(IDENTITY, self.identity.private().expose());
        if let Some(reset) = &self.reset_secret {
            line(RESET, reset.expose());
        }
        text
    }
}

/// A 32-byte key as base64 (standard alphabet, padded).
#[must_use]
pub fn key_to_text(key: &[u8; KEY_BYTES]) -> String {
    Base64::encode_string(key)
}

/// The 32 bytes of a base64 text; `None` for anything else, and for 32 zero bytes.
#[must_use]
pub fn key_from_text(text: &str) -> Option<[u8; KEY_BYTES]> {
    let bytes: Zeroizing<Vec<u8>> = Zeroizing::new(Base64::decode_vec(text).ok()?);
    let key: [u8; KEY_BYTES] = bytes.as_slice().try_into().ok()?;
    (key != [0; KEY_BYTES]).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let file = KeyFile {
            identity: Identity::new(Secret::new([3; 32])),
            reset_secret: Some(Secret::new([4; 32])),
        };
        let read = KeyFile::parse(&file.to_text()).unwrap();
        assert_eq!(read.identity.public(), file.identity.public());
        assert_eq!(read.reset_secret().unwrap().expose(), &[4; 32]);
    }

    #[test]
    fn a_bad_line_is_named() {
        let good = key_to_text(&[3; 32]);
        let zero = key_to_text(&[0; 32]);
        for (text, error) in [
            ("", KeyFileError::Missing(IDENTITY)),
            ("\nmvt-private-key-x25519", KeyFileError::Line(2)),
            ("what AAAA", KeyFileError::Name(1)),
            ("mvt-private-key-x25519 AAAA", KeyFileError::Value(1)),
            (&alloc::format!("mvt-private-key-x25519 {zero}"), KeyFileError::Value(1)),
            (&alloc::format!("{IDENTITY} {good}\n{IDENTITY} {good}"), KeyFileError::Name(2)),
        ] {
            assert_eq!(KeyFile::parse(text).unwrap_err(), error, "{text}");
        }
    }
}
