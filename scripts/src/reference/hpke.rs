//! HPKE (RFC 9180) in mode PSK with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, as its text has it.

use super::{
    hkdf::{array, expand, extract},
    point::shared,
    suite::{gcm_open, gcm_seal},
    x25519::KeyPair,
};

const MODE_PSK: u8 = 1;
/// "KEM" ‖ 0x0020.
const KEM_SUITE: &[u8] = b"KEM\x00\x20";
/// "HPKE" ‖ KEM ‖ KDF ‖ AEAD.
const SUITE: &[u8] = b"HPKE\x00\x20\x00\x01\x00\x02";

/// RFC 9180 §4, `LabeledExtract`.
fn labeled_extract(suite: &[u8], salt: &[u8], label: &str, ikm: &[u8]) -> [u8; 32] {
    extract(salt, &[b"HPKE-v1", suite, label.as_bytes(), ikm].concat())
}

/// RFC 9180 §4, `LabeledExpand`.
fn labeled_expand(suite: &[u8], prk: &[u8; 32], label: &str, info: &[u8], bytes: u16) -> Vec<u8> {
    let length = bytes.to_be_bytes();
    expand(prk, &[&length, b"HPKE-v1".as_slice(), suite, label.as_bytes(), info].concat(), bytes.into())
}

/// RFC 9180 §7.1.3, `DeriveKeyPair` for X25519.
pub fn derive_key_pair(ikm: &[u8]) -> KeyPair {
    let prk = labeled_extract(KEM_SUITE, &[], "dkp_prk", ikm);
    KeyPair::new(array(&labeled_expand(KEM_SUITE, &prk, "sk", &[], 32)))
}

/// RFC 9180 §4.1, `ExtractAndExpand`.
fn extract_and_expand(dh: &[u8; 32], kem_context: &[u8]) -> [u8; 32] {
    let prk = labeled_extract(KEM_SUITE, &[], "eae_prk", dh);
    array(&labeled_expand(KEM_SUITE, &prk, "shared_secret", kem_context, 32))
}

/// Pre-shared key, its id and the info of a context.
#[derive(Debug, Clone, Copy)]
pub struct Psk<'a> {
    /// At least 32 bytes.
    pub key: &'a [u8],
    /// Not empty.
    pub id: &'a [u8],
    /// Of the application.
    pub info: &'a [u8],
}

/// RFC 9180 §5.1, a context of which one message is sealed.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    key: [u8; 32],
    base_nonce: [u8; 12],
    exporter_secret: [u8; 32],
}

impl Context {
    /// `SetupPSKS` with a given ephemeral key; any shared secret goes, vectors need bad ones too.
    pub fn sender(ephemeral: &KeyPair, recipient_public: &[u8; 32], psk: Psk<'_>) -> Self {
        let kem_context = [ephemeral.public, *recipient_public].concat();
        Self::key_schedule(&extract_and_expand(&ephemeral.dh(recipient_public), &kem_context), psk)
    }

    /// `SetupPSKR`; `None` for an enc that §10.3.1 refuses.
    pub fn recipient(enc: &[u8; 32], own: &KeyPair, psk: Psk<'_>) -> Option<Self> {
        Some(Self::of_secret(enc, own, &shared(own, enc)?, psk))
    }

    /// The context of a given shared secret of Diffie-Hellman.
    pub fn of_secret(enc: &[u8; 32], own: &KeyPair, dh: &[u8; 32], psk: Psk<'_>) -> Self {
        Self::key_schedule(&extract_and_expand(dh, &[*enc, own.public].concat()), psk)
    }

    fn key_schedule(shared_secret: &[u8; 32], psk: Psk<'_>) -> Self {
        let psk_id_hash = labeled_extract(SUITE, &[], "psk_id_hash", psk.id);
        let info_hash = labeled_extract(SUITE, &[], "info_hash", psk.info);
        let context = [[MODE_PSK].as_slice(), &psk_id_hash, &info_hash].concat();
        let secret = labeled_extract(SUITE, shared_secret, "secret", psk.key);
        Self {
            key: array(&labeled_expand(SUITE, &secret, "key", &context, 32)),
            base_nonce: array(&labeled_expand(SUITE, &secret, "base_nonce", &context, 12)),
            exporter_secret: array(&labeled_expand(SUITE, &secret, "exp", &context, 32)),
        }
    }

    /// `Seal` of the first message.
    pub fn seal(&self, aad: &[u8], text: &[u8]) -> Vec<u8> {
        gcm_seal(&self.key, self.base_nonce, aad, text)
    }

    /// `Open` of the first message.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        gcm_open(&self.key, self.base_nonce, aad, sealed)
    }

    /// `Export` of 32 bytes.
    pub fn export(&self, exporter_context: &[u8]) -> [u8; 32] {
        array(&labeled_expand(SUITE, &self.exporter_secret, "sec", exporter_context, 32))
    }
}
