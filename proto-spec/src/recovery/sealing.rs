//! HPKE in PSK mode, run by the `hpke` crate with our rules for points and no source of randomness of its own (SPEC §13.1).

use core::convert::Infallible;

use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, PskBundle, Serializable,
    aead::{AeadTag, AesGcm256},
    kdf::HkdfSha256,
    kem::X25519HkdfSha256,
    rand_core::{TryCryptoRng, TryRng},
    setup_receiver, setup_sender_with_rng,
};
use zeroize::Zeroizing;

use crate::{
    ClientId, Reject,
    agreement::is_canonical,
    constants::{KEY_BYTES, TAG_BYTES},
    resume::bound_channel,
    schedule::label,
    secret::Secret,
};

type Tag = AeadTag<AesGcm256>;
const LABEL: &[u8] = b"mvt1 recover";

/// The server's recovery key pair: follows from its reset secret, so every node has it.
#[derive(Debug)]
pub struct RecoveryKey {
    private: Secret,
    public: [u8; KEY_BYTES],
}

impl RecoveryKey {
    /// `DeriveKeyPair(Label(reset secret, "recovery key", "", 32))` (§13).
    #[must_use]
    pub fn new(reset_secret: &Secret) -> Self {
        let material = label(reset_secret, "recovery key", &[]);
        let (private, public) = X25519HkdfSha256::derive_keypair(material.expose());
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        private.write_exact(&mut *bytes);
        Self { private: Secret::new(*bytes), public: public.to_bytes().into() }
    }

    /// The public key, for recovery kits.
    #[must_use]
    pub const fn public(&self) -> &[u8; KEY_BYTES] {
        &self.public
    }
}

/// What both sides know before one of them seals.
pub(super) struct Agreed<'a> {
    pub(super) recovery_secret: &'a Secret,
    pub(super) client: &'a ClientId,
    pub(super) server_public: &'a [u8; KEY_BYTES],
    pub(super) channel_binding: &'a [u8],
    /// The frame before enc.
    pub(super) plain: &'a [u8],
}

impl Agreed<'_> {
    fn bundle(&self) -> PskBundle<'_> {
        PskBundle::new(self.recovery_secret.expose(), self.client.as_bytes()).expect("neither is empty")
    }

    fn context(&self) -> [u8; LABEL.len() + KEY_BYTES] {
        let mut context = [0; LABEL.len() + KEY_BYTES];
        context[..LABEL.len()].copy_from_slice(LABEL);
        context[LABEL.len()..].copy_from_slice(self.server_public);
        context
    }

    fn associated(&self) -> alloc::vec::Vec<u8> {
        let (length, channel) = bound_channel(self.channel_binding);
        [&length[..], channel, self.plain].concat()
    }

    /// Seals `content` in place; gives enc, the tag and the export. `material` is 32 random bytes, used once.
    ///
    /// # Errors
    /// `Recovery` when the server's public key is not a usable point.
    pub(super) fn seal(
        &self,
        recovery_public: &[u8; KEY_BYTES],
        material: &Secret,
        content: &mut [u8],
    ) -> Result<([u8; KEY_BYTES], [u8; TAG_BYTES], Secret), Reject> {
        if !is_canonical(recovery_public) {
            return Err(Reject::Recovery);
        }
        let refused = |_| Reject::Recovery;
        let receiver = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(recovery_public).map_err(refused)?;
        let (enc, mut sender) = setup_sender_with_rng::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Psk(self.bundle()),
            &receiver,
            &self.context(),
            &mut Once(Some(material)),
        )
        .map_err(refused)?;
        let tag = sender.seal_inout_detached(content.into(), &self.associated()).map_err(refused)?;
        let mut exported = Zeroizing::new([0; KEY_BYTES]);
        sender.export(LABEL, &mut *exported).map_err(refused)?;
        Ok((enc.to_bytes().into(), tag.to_bytes().into(), Secret::new(*exported)))
    }

    /// Opens `content` in place; gives the export.
    ///
    /// # Errors
    /// `Recovery`, in one way for all causes.
    pub(super) fn open(
        &self,
        key: &RecoveryKey,
        encapsulated: &[u8; KEY_BYTES],
        content: &mut [u8],
        tag: &[u8],
    ) -> Result<Secret, Reject> {
        // One encoding for each point (§10.3.1); HPKE itself refuses an all-zero shared secret.
        if !is_canonical(encapsulated) {
            return Err(Reject::Recovery);
        }
        let refused = |_| Reject::Recovery;
        let private =
            <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(key.private.expose()).map_err(refused)?;
        let enc = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated).map_err(refused)?;
        let mut receiver = setup_receiver::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Psk(self.bundle()),
            &private,
            &enc,
            &self.context(),
        )
        .map_err(refused)?;
        let tag = Tag::from_bytes(tag).map_err(refused)?;
        receiver.open_inout_detached(content.into(), &self.associated(), &tag).map_err(refused)?;
        let mut exported = Zeroizing::new([0; KEY_BYTES]);
        receiver.export(LABEL, &mut *exported).map_err(refused)?;
        Ok(Secret::new(*exported))
    }
}

/// Randomness that was an argument: gives it once, and nothing ever again.
struct Once<'a>(Option<&'a Secret>);

impl TryRng for Once<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("a key pair is made of one string of bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("a key pair is made of one string of bytes")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.copy_from_slice(self.0.take().expect("one key pair is made").expose());
        Ok(())
    }
}

impl TryCryptoRng for Once<'_> {}
