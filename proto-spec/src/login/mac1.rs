//! mac1 and cookies: what a HELLO, a RESUME or a RECOVER must show before any work on it (SPEC §10.1, §14).

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    Reject,
    constants::{COOKIE_BYTES, HEADER_BYTES, KEY_BYTES, TAG_BYTES},
    frame::cookie_of,
    schedule::hmac,
    secret::Secret,
    suite::Tag,
};

/// The key everybody has who knows the server's public key: `SHA-256("mvt1 mac1" ‖ public key)`.
#[derive(Debug, Clone)]
pub struct Mac1([u8; KEY_BYTES]);

impl Mac1 {
    /// For the server of this static public key.
    #[must_use]
    pub fn new(server_public: &[u8; KEY_BYTES]) -> Self {
        Self(Sha256::new().chain_update(b"mvt1 mac1").chain_update(server_public).finalize().into())
    }

    /// The tag of a login frame, from all bytes before it.
    #[must_use]
    pub fn tag(&self, before_tag: &[u8]) -> Tag {
        truncate(hmac(&self.0, &[before_tag]))
    }

    /// Checks the tag of `frame`, one whole HELLO, RESUME or RECOVER (§10.1.2).
    ///
    /// # Errors
    /// `Mac1`.
    pub fn verify(&self, frame: &[u8]) -> Result<(), Reject> {
        let (before_tag, tag) = frame.split_at(frame.len() - TAG_BYTES);
        if self.tag(before_tag).ct_eq(tag).into() { Ok(()) } else { Err(Reject::Mac1) }
    }

    pub(crate) fn retry_tag(&self, before_tag: &[u8], hello_tag: &Tag) -> Tag {
        truncate(hmac(&self.0, &[b"mvt1 retry", before_tag, hello_tag]))
    }
}

/// A server's secret for cookies; replaced every 120 s, the one before still accepted (§14.2).
#[derive(Debug)]
pub struct CookieSecret(Secret);

impl CookieSecret {
    /// From 32 random bytes.
    #[must_use]
    pub const fn new(random: Secret) -> Self {
        Self(random)
    }

    /// The cookie for `frame`, one whole login frame, from `address`, the peer's IP address and port in any fixed encoding
    /// (§14.2).
    #[must_use]
    pub fn cookie(&self, frame: &[u8], address: &[u8]) -> [u8; COOKIE_BYTES] {
        let header = &frame[..HEADER_BYTES];
        truncate(hmac(self.0.expose(), &[b"mvt1 cookie", &[address.len() as u8], address, header]))
    }

    /// Whether `frame` carries its cookie.
    #[must_use]
    pub fn accepts(&self, frame: &[u8], address: &[u8]) -> bool {
        cookie_of(frame).is_some_and(|cookie| self.cookie(frame, address).ct_eq(cookie).into())
    }
}

fn truncate(mac: [u8; KEY_BYTES]) -> Tag {
    mac[..TAG_BYTES].try_into().expect("16 of 32 bytes")
}
