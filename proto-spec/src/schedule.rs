//! The key schedule: one generation secret to independent keys (SPEC §5.1).

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroize;

use crate::{constants::KEY_BYTES, secret::Secret};

/// `Label(key, label, context, 32)` of §1.
#[must_use]
pub fn label(key: &Secret, label: &str, context: &[u8]) -> Secret {
    let mut out = Secret::new([0; KEY_BYTES]);
    label_into(key.expose(), label, context, out.expose_mut());
    out
}

/// `Label(key, label, context, out.len())` of §1, for any length HKDF can give.
///
/// # Panics
/// If `out` is longer than 255 × 32 bytes, or a label or context longer than its length byte can say.
pub fn label_into(key: &[u8; KEY_BYTES], label: &str, context: &[u8], out: &mut [u8]) {
    expand(&scheduled(key), label, context, out);
}

/// `key`, from which labels are derived; two of the four compressions that one takes.
fn scheduled(key: &[u8; KEY_BYTES]) -> Hkdf<Sha256> {
    Hkdf::from_prk(key).expect("a 32-byte key is a pseudorandom key of SHA-256")
}

fn expand(key: &Hkdf<Sha256>, label: &str, context: &[u8], out: &mut [u8]) {
    const PREFIX: &[u8] = b"mvt1 ";
    let length = (out.len() as u16).to_be_bytes();
    let label_bytes = u8::try_from(PREFIX.len() + label.len()).expect("label fits its length byte");
    let context_bytes = u8::try_from(context.len()).expect("context fits its length byte");
    key.expand_multi_info(
        &[&length, &[label_bytes], PREFIX, label.as_bytes(), &[context_bytes], context],
        out,
    )
    .expect("output length is within HKDF's bound");
}

/// `HKDF-Extract(salt, ikm)`.
#[must_use]
pub fn extract(salt: &[u8], ikm: &[u8]) -> Secret {
    let (mut prk, _) = Hkdf::<Sha256>::extract(Some(salt), ikm);
    let secret = Secret::new(prk.into());
    prk.as_mut_slice().zeroize();
    secret
}

/// HMAC-SHA256 with a key that is not worth keeping as midstates.
#[must_use]
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; KEY_BYTES] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// The keys of one generation, straight from its secret.
#[derive(Debug)]
pub struct GenerationKeys {
    /// g: the number of renewals before.
    pub generation: u16,
    /// RT_g, from which the next generation is extracted (§11).
    pub ratchet: Secret,
    /// RS_g, sealed into tickets (§12).
    pub resume: Secret,
    /// CTLc_g, control frames client to server (§11).
    pub control_c2s: Secret,
    /// CTLs_g, control frames server to client (§11).
    pub control_s2c: Secret,
    /// CK_0, start of the slot chain (§5.2).
    pub request_chain: Secret,
    /// CF_g, confirms the login (§10.2).
    pub confirm: Secret,
}

impl GenerationKeys {
    /// Derives the keys of `generation` and consumes, hence erases, its secret (§5.1.1).
    #[must_use]
    pub fn derive(generation_secret: Secret, key_id: u64, generation: u16) -> Self {
        let mut context = [0u8; 10];
        context[..8].copy_from_slice(&key_id.to_be_bytes());
        context[8..].copy_from_slice(&generation.to_be_bytes());
        let scheduled = scheduled(generation_secret.expose());
        let key = |name| {
            let mut out = Secret::blank();
            expand(&scheduled, name, &context, out.expose_mut());
            out
        };
        Self {
            generation,
            ratchet: key("ratchet"),
            resume: key("resume"),
            control_c2s: key("ctl c2s"),
            control_s2c: key("ctl s2c"),
            request_chain: key("request"),
            confirm: key("confirm"),
        }
    }

    /// No keys: what is left of `generation` after an erasure.
    pub(crate) const fn blank(generation: u16) -> Self {
        Self {
            generation,
            ratchet: Secret::blank(),
            resume: Secret::blank(),
            control_c2s: Secret::blank(),
            control_s2c: Secret::blank(),
            request_chain: Secret::blank(),
            confirm: Secret::blank(),
        }
    }

    /// The keys of `generation`, one past that of `ratchet`, from what its OFFER agreed (§11). RT_g is consumed, hence erased.
    #[must_use]
    pub fn renew(
        ratchet: Secret,
        nonce: &Secret,
        exchange: Option<&Exchanged>,
        key_id: u64,
        generation: u16,
    ) -> Self {
        let mut ikm = zeroize::Zeroizing::new([0u8; 4 * KEY_BYTES]);
        let mut length = 0;
        let mut put = |part: &[u8; KEY_BYTES]| {
            ikm[length..length + KEY_BYTES].copy_from_slice(part);
            length += KEY_BYTES;
        };
        put(nonce.expose());
        if let Some(Exchanged { shared, client_public, server_public }) = exchange {
            put(shared.expose());
            put(client_public);
            put(server_public);
        }
        Self::derive(extract(ratchet.expose(), &ikm[..length]), key_id, generation)
    }
}

/// A Diffie-Hellman of a renewal (§11).
#[derive(Debug)]
pub struct Exchanged {
    /// X25519(e_c, e_s).
    pub shared: Secret,
    /// e_c.
    pub client_public: [u8; KEY_BYTES],
    /// e_s.
    pub server_public: [u8; KEY_BYTES],
}
