//! Secrets at rest: each sealed under a key of its own, bound to its store, its record and the change that made it.

use aes_gcm::{
    Aes256Gcm, Nonce,
    aead::{Aead, KeyInit, Payload},
};
use mvt_proto::{constants::KEY_BYTES, schedule::label, secret::Secret};
use zeroize::Zeroizing;

/// Bytes of a nonce, random for each sealing.
const NONCE_BYTES: usize = 12;

/// A sealed 32-byte secret: nonce, ciphertext, tag.
pub type Sealed = Vec<u8>;

/// The key of the key file under which a store's secrets are sealed.
#[derive(Debug)]
pub struct SealKey(Secret);

/// What a sealed secret belongs to; opened as anything else it does not open.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The store.
    pub store_id: &'a [u8; 16],
    /// The record.
    pub key: &'a str,
    /// A number that grows with every sealing of that record.
    pub serial: u64,
}

impl Place<'_> {
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = self.store_id.to_vec();
        bytes.extend_from_slice(&self.serial.to_be_bytes());
        bytes.extend_from_slice(self.key.as_bytes());
        bytes
    }
}

impl SealKey {
    /// From the key file.
    #[must_use]
    pub const fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// A key used for one record and one serial: the few sealings it sees cannot exhaust random nonces.
    fn cipher(&self, place: Place<'_>) -> Aes256Gcm {
        let mut context = place.serial.to_be_bytes().to_vec();
        context.extend_from_slice(place.key.as_bytes());
        Aes256Gcm::new(label(&self.0, "store seal", &context).expose().into())
    }

    /// Seals `secret` with `nonce`, which is random.
    #[must_use]
    pub fn seal(&self, place: Place<'_>, secret: &Secret, nonce: [u8; NONCE_BYTES]) -> Sealed {
        let payload = Payload { msg: secret.expose(), aad: &place.to_bytes() };
        let sealed = self.cipher(place).encrypt(&Nonce::from(nonce), payload);
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&sealed.expect("32 bytes are not too long for AES-GCM"));
        bytes
    }

    /// Opens what was sealed for `place`; `None` for anything else.
    #[must_use]
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Option<Secret> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: sealed, aad: &place.to_bytes() };
        let opened = Zeroizing::new(self.cipher(place).decrypt(&Nonce::from(*nonce), payload).ok()?);
        let bytes: &[u8; KEY_BYTES] = opened.as_slice().try_into().ok()?;
        Some(Secret::new(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_in_its_place_alone() {
        let key = SealKey::new(Secret::new([7; 32]));
        let here = Place { store_id: &[1; 16], key: "recovery/alice", serial: 4 };
        let sealed = key.seal(here, &Secret::new([9; 32]), [5; 12]);
        assert_eq!(key.open(here, &sealed).unwrap().expose(), &[9; 32]);
        for elsewhere in [
            Place { store_id: &[2; 16], ..here },
            Place { key: "recovery/alicf", ..here },
            Place { serial: 5, ..here },
        ] {
            assert!(key.open(elsewhere, &sealed).is_none(), "{elsewhere:?}");
        }
        assert!(SealKey::new(Secret::new([8; 32])).open(here, &sealed).is_none());
        for index in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[index] ^= 1;
            assert!(key.open(here, &bent).is_none(), "byte {index}");
            assert!(key.open(here, &sealed[..index]).is_none(), "cut at {index}");
        }
        assert!(!sealed.windows(8).any(|window| window == [9; 8]), "the secret is not in it");
    }
}
