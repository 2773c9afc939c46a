//! The Noise pattern, run by `snow`, with our X25519 rules and no source of randomness of its own.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{AeadInOut, Nonce, Tag},
};
use sha2::{Digest, Sha256};
use snow::{
    Builder, Error, HandshakeState,
    params::{CipherChoice, DHChoice, HashChoice, NoiseParams},
    resolvers::CryptoResolver,
    types::{Cipher, Dh, Hash, Random},
};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{
    agreement::{agree, public_of},
    constants::{KEY_BYTES, TAG_BYTES},
    login::Identity,
    secret::Secret,
};

const PATTERN: &str = "Noise_IK_25519_AESGCM_SHA256";
const PROLOGUE_PREFIX: &[u8] = b"mvt1 Noise_IK_25519_AESGCM_SHA256";

/// The pattern's state for an initiator (`remote` is the server's public key) or, without one, a responder.
/// `ephemeral` is this side's ephemeral private key: 32 random bytes.
pub(super) fn start(
    identity: &Identity,
    remote: Option<&[u8; KEY_BYTES]>,
    plain: &[u8],
    channel_binding: &[u8],
    ephemeral: Secret,
) -> Result<HandshakeState, Error> {
    let params: NoiseParams = PATTERN.parse()?;
    let prologue: Vec<u8> = [PROLOGUE_PREFIX, plain, channel_binding].concat();
    let resolver = Resolver { ephemeral: Arc::new(ephemeral), identity: Arc::new(Identity::copy(identity)) };
    let builder = Builder::with_resolver(params, Box::new(resolver))
        .prologue(&prologue)?
        .local_private_key(identity.private().expose())?;
    match remote {
        Some(public) => builder.remote_public_key(public)?.build_initiator(),
        None => builder.build_responder(),
    }
}

struct Resolver {
    ephemeral: Arc<Secret>,
    /// The static pair, both halves: the pattern is told the private one only.
    identity: Arc<Identity>,
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Once(Some(self.ephemeral.clone()))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        matches!(choice, DHChoice::Curve25519).then(|| {
            let (private, public) = (Secret::blank(), [0; KEY_BYTES]);
            Box::new(X25519 { private, public, identity: self.identity.clone() }) as Box<dyn Dh>
        })
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        matches!(choice, HashChoice::SHA256).then(|| Box::new(Sha256Hash::default()) as Box<dyn Hash>)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        matches!(choice, CipherChoice::AESGCM).then(|| Box::new(AesGcm::default()) as Box<dyn Cipher>)
    }
}

/// Randomness that was an argument: gives the ephemeral key once, and nothing ever again.
struct Once(Option<Arc<Secret>>);

impl Random for Once {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        let secret = self.0.take().ok_or(Error::Rng)?;
        if dest.len() != KEY_BYTES {
            return Err(Error::Rng);
        }
        dest.copy_from_slice(secret.expose());
        Ok(())
    }
}

/// SHA-256 of the `sha2` crate.
#[derive(Default)]
struct Sha256Hash(Sha256);

impl Hash for Sha256Hash {
    fn name(&self) -> &'static str {
        "SHA256"
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        KEY_BYTES
    }

    fn reset(&mut self) {
        Digest::reset(&mut self.0);
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        out[..KEY_BYTES].copy_from_slice(&self.0.finalize_reset());
    }
}

/// AES-256-GCM of the `aes-gcm` crate with the Noise nonce: 4 zero bytes, then the counter big-endian.
#[derive(Default, Zeroize, ZeroizeOnDrop)]
struct AesGcm([u8; KEY_BYTES]);

impl AesGcm {
    fn nonce(counter: u64) -> Nonce<Aes256Gcm> {
        let mut nonce = [0u8; 12];
        nonce[4..].copy_from_slice(&counter.to_be_bytes());
        nonce.into()
    }
}

impl Cipher for AesGcm {
    fn name(&self) -> &'static str {
        "AESGCM"
    }

    fn set(&mut self, key: &[u8; KEY_BYTES]) {
        self.0 = *key;
    }

    fn encrypt(&self, nonce: u64, authtext: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let (sealed, rest) = out.split_at_mut(plaintext.len());
        sealed.copy_from_slice(plaintext);
        let tag = Aes256Gcm::new((&self.0).into())
            .encrypt_inout_detached(&Self::nonce(nonce), authtext, sealed.into())
            .expect("a login message is far below GCM's bound");
        rest[..TAG_BYTES].copy_from_slice(&tag);
        plaintext.len() + TAG_BYTES
    }

    fn decrypt(
        &self,
        nonce: u64,
        authtext: &[u8],
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let length = ciphertext.len().checked_sub(TAG_BYTES).ok_or(Error::Decrypt)?;
        let (sealed, tag) = ciphertext.split_at(length);
        let tag = Tag::<Aes256Gcm>::try_from(tag).map_err(|_| Error::Decrypt)?;
        out[..length].copy_from_slice(sealed);
        Aes256Gcm::new((&self.0).into())
            .decrypt_inout_detached(&Self::nonce(nonce), authtext, (&mut out[..length]).into(), &tag)
            .map_err(|_| Error::Decrypt)?;
        Ok(length)
    }
}

/// X25519 by [`agree`], which refuses other encodings and an all-zero result (§10.3.1).
struct X25519 {
    private: Secret,
    public: [u8; KEY_BYTES],
    /// A pair whose public half is known: computing it again would be a quarter of a login's key pairs.
    identity: Arc<Identity>,
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        KEY_BYTES
    }

    fn priv_len(&self) -> usize {
        KEY_BYTES
    }

    fn set(&mut self, privkey: &[u8]) {
        self.private.expose_mut().copy_from_slice(&privkey[..KEY_BYTES]);
        // In constant time: what a private key begins with is not for the clock to tell.
        let is_known: bool = self.private.expose().ct_eq(self.identity.private().expose()).into();
        self.public = if is_known { *self.identity.public() } else { public_of(&self.private) };
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        let mut private = [0u8; KEY_BYTES];
        rng.try_fill_bytes(&mut private)?;
        self.set(&private);
        private.zeroize();
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        self.private.expose()
    }

    fn dh(&self, pubkey: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let point: [u8; KEY_BYTES] = pubkey[..KEY_BYTES].try_into().map_err(|_| Error::Dh)?;
        let shared = agree(&self.private, &point).ok_or(Error::Dh)?;
        out[..KEY_BYTES].copy_from_slice(shared.expose());
        Ok(())
    }
}
