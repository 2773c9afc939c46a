//! Login: Noise IK from nothing to a session on both sides (SPEC §10).

pub(crate) mod established;
mod initiator;
mod mac1;
mod noise;
mod responder;

pub use established::Admitted;
pub use initiator::{Initiator, Offer};
pub use mac1::{CookieSecret, Mac1};
pub use responder::Responder;

use crate::{Reject, Suite, agreement::public_of, constants::KEY_BYTES, schedule, secret::Secret};

/// A static X25519 key pair.
#[derive(Debug)]
pub struct Identity {
    private: Secret,
    public: [u8; KEY_BYTES],
}

impl Identity {
    /// The pair of 32 random bytes.
    #[must_use]
    pub fn new(private: Secret) -> Self {
        let public = public_of(&private);
        Self { private, public }
    }

    /// The same pair once more, for a handshake to keep; both wipe themselves.
    fn copy(other: &Self) -> Self {
        Self { private: Secret::new(*other.private.expose()), public: other.public }
    }

    /// The private key.
    #[must_use]
    pub const fn private(&self) -> &Secret {
        &self.private
    }

    /// The public key.
    #[must_use]
    pub const fn public(&self) -> &[u8; KEY_BYTES] {
        &self.public
    }
}

/// The first suite of a client's list that is in `allowed` (§10.1.3).
pub(crate) fn choose_suite(offered: &[Suite], allowed: &[Suite]) -> Result<Suite, Reject> {
    offered.iter().copied().find(|suite| allowed.contains(suite)).ok_or(Reject::NoSuite)
}

/// `GS_0 = HKDF-Extract(h, k1 ‖ k2)` of a finished handshake (§10.3).
fn generation_secret(handshake: &mut snow::HandshakeState) -> Secret {
    let (mut k1, mut k2) = handshake.dangerously_get_raw_split();
    let mut ikm = zeroize::Zeroizing::new([0u8; 2 * KEY_BYTES]);
    ikm[..KEY_BYTES].copy_from_slice(&k1);
    ikm[KEY_BYTES..].copy_from_slice(&k2);
    zeroize::Zeroize::zeroize(&mut k1);
    zeroize::Zeroize::zeroize(&mut k2);
    schedule::extract(handshake.get_handshake_hash(), &*ikm)
}
