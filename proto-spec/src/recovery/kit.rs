//! The recovery kit: what a client puts into a drawer at enrolment, as text (SPEC §13).

use alloc::string::String;

use zeroize::Zeroizing;

use crate::{
    ClientId,
    constants::KEY_BYTES,
    keyfile::{key_from_text, key_to_text},
    secret::Secret,
};

/// Most bytes of a name of enrolment in a kit.
const NAME_BYTES_MAX: usize = 64;
const NAMES: [&str; 4] =
    ["mvt-recovery-name", "mvt-recovery-secret", "mvt-server-public-key", "mvt-recovery-public-key"];
const HEADING: &str =
    "# MVT recovery kit: whoever has it is the client. Keep it where the client's key is not.\n";

/// Why a text is no kit. Lines count from 1. Never quotes the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KitError {
    /// A line is not `name value`.
    #[error("line {0}: expected `name value`")]
    Line(usize),
    /// A name is not known, or stands twice.
    #[error("line {0}: unknown or repeated name")]
    Name(usize),
    /// A value is not the base64 of 32 bytes, all zero, or no name of a client.
    #[error("line {0}: expected the base64 of 32 bytes that are not all zero, or a client's name")]
    Value(usize),
    /// A line is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
}

/// What is left to a client that lost its static key.
#[derive(Debug)]
pub struct RecoveryKit {
    /// The name as enrolled, 1 to 64 bytes of A-Z a-z 0-9 . _ -
    pub name: String,
    /// The psk of HPKE. Whoever has it is the client, until it is revoked.
    pub recovery_secret: Secret,
    /// The server's static public key.
    pub server_public: [u8; KEY_BYTES],
    /// The server's recovery public key.
    pub recovery_public: [u8; KEY_BYTES],
}

impl RecoveryKit {
    /// The client id of the name (§12.1.1).
    #[must_use]
    pub fn client(&self) -> ClientId {
        ClientId::of_name(&self.name)
    }

    /// The text of this kit.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        // As long as it can get: growing would leave copies of the secret behind.
        let mut text = Zeroizing::new(String::with_capacity(512));
        text.push_str(HEADING);
        let secret = Zeroizing::new(key_to_text(self.recovery_secret.expose()));
        let (server, recovery) = (key_to_text(&self.server_public), key_to_text(&self.recovery_public));
        for (name, value) in NAMES.iter().zip([&self.name, &*secret, &server, &recovery]) {
            text.push_str(name);
            text.push(' ');
            text.push_str(value);
            text.push('\n');
        }
        text
    }

    /// Reads the text of a kit.
    ///
    /// # Errors
    /// [`KitError`] with the line at fault.
    pub fn parse(text: &str) -> Result<Self, KitError> {
        let mut name = None;
        let mut keys: [Option<Secret>; 3] = [None, None, None];
        for (index, line) in text.lines().enumerate() {
            let (number, line) = (index + 1, line.trim());
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.split_ascii_whitespace();
            let (Some(word), Some(value), None) = (words.next(), words.next(), words.next()) else {
                return Err(KitError::Line(number));
            };
            let place = NAMES.iter().position(|known| *known == word).ok_or(KitError::Name(number))?;
            let is_repeated = if place == 0 { name.is_some() } else { keys[place - 1].is_some() };
            if is_repeated {
                return Err(KitError::Name(number));
            }
            if place == 0 {
                name = Some(is_name(value).then(|| String::from(value)).ok_or(KitError::Value(number))?);
            } else {
                let key = Zeroizing::new(key_from_text(value).ok_or(KitError::Value(number))?);
                keys[place - 1] = Some(Secret::new(*key));
            }
        }
        let [secret, server, recovery] = keys;
        Ok(Self {
            name: name.ok_or(KitError::Missing(NAMES[0]))?,
            recovery_secret: secret.ok_or(KitError::Missing(NAMES[1]))?,
            server_public: *server.ok_or(KitError::Missing(NAMES[2]))?.expose(),
            recovery_public: *recovery.ok_or(KitError::Missing(NAMES[3]))?.expose(),
        })
    }
}

fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn kit() -> RecoveryKit {
        RecoveryKit {
            name: "alice".into(),
            recovery_secret: Secret::new([7; 32]),
            server_public: [8; 32],
            recovery_public: [9; 32],
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let read = RecoveryKit::parse(&kit().to_text()).unwrap();
        assert_eq!((read.name.as_str(), read.recovery_secret.expose()), ("alice", &[7; 32]));
        assert_eq!((read.server_public, read.recovery_public), ([8; 32], [9; 32]));
        assert!(format!("{read:?}").contains("[redacted]"));
    }

    #[test]
    fn a_bad_line_is_named() {
        let text = kit().to_text();
        for (bad, error) in [
            (text.replace("alice", "a/b"), KitError::Value(2)),
            (text.replace("mvt-recovery-secret ", "mvt-recovery-secret x "), KitError::Line(3)),
            (text.replace("mvt-recovery-secret", "mvt-secret"), KitError::Name(3)),
            (text.replace("mvt-recovery-secret", "mvt-recovery-name"), KitError::Name(3)),
            (text.replace("mvt-recovery-public-key", "#"), KitError::Missing(NAMES[3])),
            (format!("{}{}", *text, *text), KitError::Name(7)),
            (text.replace(&key_to_text(&[7; 32]), &key_to_text(&[0; 32])), KitError::Value(3)),
        ] {
            assert_eq!(RecoveryKit::parse(&bad).unwrap_err(), error, "{bad}");
        }
    }
}
