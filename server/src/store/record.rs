//! What the records say: one JSON object each, of known fields alone.

use base64ct::{Base64, Encoding};
use mvt_proto::{ClientId, Suite, constants::KEY_BYTES, keyfile};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::store::seal::Sealed;

/// Most bytes of a client's name.
pub const NAME_BYTES_MAX: usize = 64;

/// Whether `text` may name a client: 1 to 64 of `A-Z a-z 0-9 . _ -`, so it needs no escape anywhere.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Whether a client may log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It may.
    Enabled,
    /// It may not; its name is kept.
    Revoked,
}

/// `identity/NAME`: one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Its name in logs, commands and policies.
    pub name: String,
    /// Its static public key.
    #[serde(with = "key_text")]
    pub public_key: [u8; KEY_BYTES],
    /// The suites it may use.
    #[serde(serialize_with = "write_suites", deserialize_with = "read_suites")]
    pub suites: Vec<Suite>,
    /// Whether it may log in.
    pub state: State,
    /// When this identity was enrolled, ms since the epoch.
    pub created_ms: u64,
    /// When its key, suites or state last changed, ms since the epoch.
    pub changed_ms: u64,
}

/// `recovery/NAME`: what proves a client that lost its key (SPEC §13).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// Grows with every new secret of this client.
    pub serial: u64,
    /// The recovery secret, sealed; empty when it is void.
    #[serde(with = "blob_text")]
    pub sealed: Sealed,
}

/// `revocation/CLIENT-ID`: what the client authenticated up to a time is void (SPEC §12.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// The client.
    #[serde(serialize_with = "write_id", deserialize_with = "read_id")]
    pub client: ClientId,
    /// Everything authenticated up to this server time is refused, ms.
    pub not_before_ms: u64,
    /// From this server time on nothing it could refuse is left, ms (§12.2.2).
    pub until_ms: u64,
}

/// `floor`: the same for every client, from revocations there was no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// Everything authenticated up to this server time is refused, ms.
    pub not_before_ms: u64,
    /// From this server time on nothing it could refuse is left, ms.
    pub until_ms: u64,
}

/// A line of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// When, ms since the epoch.
    pub at_ms: u64,
    /// Who: the user of the process that asked.
    pub uid: u32,
    /// What: a command and the names it was about.
    pub what: String,
}

/// What a record is, by its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// `identity/NAME`
    Identity(Identity),
    /// `recovery/NAME`, with the name.
    Recovery(String, Recovery),
    /// `revocation/CLIENT-ID`
    Revocation(Revocation),
    /// `floor`
    Floor(Floor),
}

/// The key of the one [`Floor`].
pub const FLOOR_KEY: &str = "floor";

/// The key of an identity.
#[must_use]
pub fn identity_key(name: &str) -> String {
    format!("identity/{name}")
}

/// The key of a recovery secret.
#[must_use]
pub fn recovery_key(name: &str) -> String {
    format!("recovery/{name}")
}

/// The key of a revocation.
#[must_use]
pub fn revocation_key(client: &ClientId) -> String {
    format!("revocation/{client}")
}

/// The client of a revocation's key.
#[must_use]
pub fn client_of_key(key: &str) -> Option<ClientId> {
    id_from_text(key.strip_prefix("revocation/")?)
}

fn id_from_text(text: &str) -> Option<ClientId> {
    let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32)?;
    Some(ClientId::new(number.to_be_bytes()))
}

impl Content {
    /// Reads a record.
    ///
    /// # Errors
    /// What is wrong with it, without its bytes.
    pub fn read(key: &str, value: &[u8]) -> Result<Self, String> {
        let wrong = |error: serde_json::Error| format!("record {}: {error}", key.escape_debug());
        let unfit = || format!("record {}: not what its key says", key.escape_debug());
        match key.split_once('/') {
            Some(("identity", name)) => {
                let identity: Identity = serde_json::from_slice(value).map_err(wrong)?;
                let fits = identity.name == name && is_name(name) && !identity.suites.is_empty();
                if fits { Ok(Self::Identity(identity)) } else { Err(unfit()) }
            }
            Some(("recovery", name)) => {
                let recovery = serde_json::from_slice(value).map_err(wrong)?;
                if is_name(name) { Ok(Self::Recovery(name.to_owned(), recovery)) } else { Err(unfit()) }
            }
            Some(("revocation", client)) => {
                let revocation: Revocation = serde_json::from_slice(value).map_err(wrong)?;
                let fits = revocation.client.to_string() == client;
                if fits { Ok(Self::Revocation(revocation)) } else { Err(unfit()) }
            }
            None if key == FLOOR_KEY => Ok(Self::Floor(serde_json::from_slice(value).map_err(wrong)?)),
            _ => Err(format!("record {}: of no known kind", key.escape_debug())),
        }
    }
}

/// The bytes of a record.
#[must_use]
pub fn to_value(record: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(record).expect("records are plain data")
}

fn write_suites<S: Serializer>(suites: &[Suite], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(suites.iter().map(|suite| suite.name()))
}

fn read_suites<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Suite>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let suites: Option<Vec<_>> = names.iter().map(|name| Suite::from_name(name)).collect();
    suites.ok_or_else(|| D::Error::custom("unknown suite"))
}

fn write_id<S: Serializer>(client: &ClientId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(client)
}

fn read_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ClientId, D::Error> {
    let text = String::deserialize(deserializer)?;
    id_from_text(&text).ok_or_else(|| D::Error::custom("not a client id"))
}

/// 32-byte keys as base64.
mod key_text {
    use super::*;

    pub(super) fn serialize<S: Serializer>(key: &[u8; KEY_BYTES], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&keyfile::key_to_text(key))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; KEY_BYTES], D::Error> {
        let text = String::deserialize(deserializer)?;
        keyfile::key_from_text(&text).ok_or_else(|| D::Error::custom("not the base64 of a key"))
    }
}

/// Bytes as base64.
mod blob_text {
    use super::*;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Base64::encode_string(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        Base64::decode_vec(&text).map_err(|_| D::Error::custom("not base64"))
    }
}
