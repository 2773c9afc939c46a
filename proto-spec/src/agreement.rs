//! X25519 that refuses what RFC 7748 leaves to the protocol: other encodings, and an all-zero result (SPEC §10.3.1).

use x25519_dalek::{PublicKey, StaticSecret};

use crate::{constants::KEY_BYTES, secret::Secret};

/// A key pair that serves one agreement.
#[derive(Debug)]
pub struct Ephemeral {
    pub(crate) private: Secret,
    pub(crate) public: [u8; KEY_BYTES],
}

impl Ephemeral {
    /// The pair of 32 random bytes.
    #[must_use]
    pub fn new(private: Secret) -> Self {
        let public = public_of(&private);
        Self { private, public }
    }
}

/// The public key of a private one.
#[must_use]
pub fn public_of(private: &Secret) -> [u8; KEY_BYTES] {
    PublicKey::from(&StaticSecret::from(*private.expose())).to_bytes()
}

/// The shared secret; `None` when `public` is not canonical, or the secret would be all zero.
#[must_use]
pub fn agree(private: &Secret, public: &[u8; KEY_BYTES]) -> Option<Secret> {
    if !is_canonical(public) {
        return None;
    }
    let shared = StaticSecret::from(*private.expose()).diffie_hellman(&PublicKey::from(*public));
    shared.was_contributory().then(|| Secret::new(shared.to_bytes()))
}

/// Whether a u-coordinate is below 2^255 − 19, its one encoding. Public keys only: may branch.
#[must_use]
pub fn is_canonical(point: &[u8; KEY_BYTES]) -> bool {
    let all_ones = point[1..31].iter().all(|byte| *byte == 0xff);
    point[31] < 0x7f || (point[31] == 0x7f && !(all_ones && point[0] >= 0xed))
}
