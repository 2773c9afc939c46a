//! HPKE (RFC 9180) in mode PSK with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, as its text has it.

use super::{
    hkdf::{array, expand, extract},
    point::shared,
    suite::{gcm_open, gcm_seal},
    x25519::KeyPair,
};

const MODE_BASE: u8 = 0;
const MODE_PSK: u8 = 1;
/// "KEM" ‖ 0x0020.
const KEM_SUITE: &[u8] = b"KEM\x00\x20";
/// "HPKE" ‖ KEM ‖ KDF, before the AEAD.
const SUITE: &[u8] = b"HPKE\x00\x20\x00\x01";
/// AEAD id of AES-256-GCM, and the bytes of its key.
const AES_256_GCM: (u16, u16) = (2, 32);

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
    /// At least 32 bytes; empty, with its id, in mode Base.
    pub key: &'a [u8],
    /// Not empty in mode PSK.
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
        let (key, base_nonce, exporter_secret) = key_schedule(AES_256_GCM, shared_secret, psk);
        Self { key: array(&key), base_nonce, exporter_secret }
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
        export(AES_256_GCM.0, &self.exporter_secret, exporter_context)
    }
}

/// RFC 9180 §5.3, 32 bytes.
fn export(aead: u16, exporter_secret: &[u8; 32], context: &[u8]) -> [u8; 32] {
    let suite = [SUITE, &aead.to_be_bytes()].concat();
    array(&labeled_expand(&suite, exporter_secret, "sec", context, 32))
}

/// RFC 9180 §5.1, `KeySchedule`: key, base nonce, exporter secret; mode PSK, or mode Base without a key.
fn key_schedule(
    (aead, key_bytes): (u16, u16),
    shared_secret: &[u8; 32],
    psk: Psk<'_>,
) -> (Vec<u8>, [u8; 12], [u8; 32]) {
    let suite = [SUITE, &aead.to_be_bytes()].concat();
    let psk_id_hash = labeled_extract(&suite, &[], "psk_id_hash", psk.id);
    let info_hash = labeled_extract(&suite, &[], "info_hash", psk.info);
    let mode = if psk.key.is_empty() { MODE_BASE } else { MODE_PSK };
    let context = [[mode].as_slice(), &psk_id_hash, &info_hash].concat();
    let secret = labeled_extract(&suite, shared_secret, "secret", psk.key);
    (
        labeled_expand(&suite, &secret, "key", &context, key_bytes),
        array(&labeled_expand(&suite, &secret, "base_nonce", &context, 12)),
        array(&labeled_expand(&suite, &secret, "exp", &context, 32)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex::{decode, encode};

    /// RFC 9180, appendix A.1.2: the same KEM, KDF and mode; its AEAD is AES-128-GCM, so id and key length differ.
    #[test]
    fn hpke_agrees_with_rfc9180_case_a_1_2() {
        let hex = |text: &str| decode(text).unwrap();
        let recipient =
            derive_key_pair(&hex("d4a09d09f575fef425905d2ab396c1449141463f698f8efdb7accfaff8995098"));
        assert_eq!(
            encode(&recipient.public),
            "9fed7e8c17387560e92cc6462a68049657246a09bfa8ade7aefe589672016366"
        );
        let ephemeral =
            KeyPair::new(array(&hex("463426a9ffb42bb17dbe6044b9abd1d4e4d95f9041cef0e99d7824eef2b6f588")));
        assert_eq!(
            encode(&ephemeral.public),
            "0ad0950d9fb9588e59690b74f1237ecdf1d775cd60be2eca57af5a4b0471c91b"
        );
        let kem_context = [ephemeral.public, recipient.public].concat();
        let secret = extract_and_expand(&ephemeral.dh(&recipient.public), &kem_context);
        assert_eq!(encode(&secret), "727699f009ffe3c076315019c69648366b69171439bd7dd0807743bde76986cd");
        let psk = Psk {
            key: &hex("0247fd33b913760fa1fa51e1892d9f307fbe65eb171e8132c2af18555a738b82"),
            id: &hex("456e6e796e20447572696e206172616e204d6f726961"),
            info: &hex("4f6465206f6e2061204772656369616e2055726e"),
        };
        let (key, _, exporter_secret) = key_schedule((1, 16), &secret, psk);
        assert_eq!(encode(&key), "15026dba546e3ae05836fc7de5a7bb26");
        assert_eq!(
            encode(&export(1, &exporter_secret, b"")),
            "dff17af354c8b41673567db6259fd6029967b4e1aad13023c2ae5df8f4f43bf6"
        );
    }

    #[test]
    fn both_sides_of_a_context_agree() {
        let recipient = derive_key_pair(&[7; 32]);
        let psk = Psk { key: &[1; 32], id: b"id", info: b"info" };
        let ephemeral = KeyPair::new([9; 32]);
        let sender = Context::sender(&ephemeral, &recipient.public, psk);
        let other = Context::recipient(&ephemeral.public, &recipient, psk).unwrap();
        assert_eq!(other.open(b"aad", &sender.seal(b"aad", b"text")).unwrap(), b"text");
        assert_eq!(other.export(b"x"), sender.export(b"x"));
    }
}
