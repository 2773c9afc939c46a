//! In Rust alone, for any target.

use x25519_dalek::{PublicKey, StaticSecret};

use crate::BYTES;

pub(crate) fn public_of(private: &[u8; BYTES]) -> [u8; BYTES] {
    PublicKey::from(&StaticSecret::from(*private)).to_bytes()
}

pub(crate) fn agree(private: &[u8; BYTES], public: &[u8; BYTES], shared: &mut [u8; BYTES]) -> bool {
    let secret = StaticSecret::from(*private).diffie_hellman(&PublicKey::from(*public));
    shared.copy_from_slice(secret.as_bytes());
    secret.was_contributory()
}
