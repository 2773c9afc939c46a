//! The server's side of a login.

use alloc::vec::Vec;

use crate::{
    Header, Reject, Suite,
    constants::{HEADER_BYTES, HELLO_BYTES, HELLO_R_BYTES_MAX, KEY_BYTES, TAG_BYTES},
    frame::{grant::Grant, hello::Hello},
    header::{Flags, Kind},
    login::{Admitted, Identity, choose_suite, established, generation_secret, noise},
    schedule::GenerationKeys,
    secret::Secret,
};

/// A HELLO that opened: the client of `client_public` is there, and fresh once it uses the session.
#[derive(Debug)]
pub struct Responder {
    handshake: snow::HandshakeState,
    login_id: u64,
    client_public: [u8; KEY_BYTES],
    suites: Vec<Suite>,
}

impl Responder {
    /// Opens `hello`, whose mac1 held; `ephemeral` is 32 random bytes, used for this login only.
    ///
    /// # Errors
    /// `Noise` when it does not open, `Field` when its padding is not zero.
    pub fn read(
        identity: &Identity,
        hello: Hello<'_>,
        channel_binding: &[u8],
        ephemeral: Secret,
    ) -> Result<Self, Reject> {
        let mut handshake = noise::start(identity, None, hello.plain, channel_binding, ephemeral)
            .map_err(|_| Reject::Noise)?;
        let mut padding = [0u8; HELLO_BYTES];
        let length = handshake.read_message(hello.noise, &mut padding).map_err(|_| Reject::Noise)?;
        if padding[..length].iter().any(|byte| *byte != 0) {
            return Err(Reject::Field);
        }
        let client_public =
            handshake.get_remote_static().and_then(|public| public.try_into().ok()).ok_or(Reject::Noise)?;
        Ok(Self { handshake, login_id: hello.login_id, client_public, suites: hello.suites })
    }

    /// The client's static public key, proved by the handshake.
    #[must_use]
    pub const fn client_public(&self) -> &[u8; KEY_BYTES] {
        &self.client_public
    }

    /// The first suite of the client's list that is in `allowed` (§10.1.3).
    ///
    /// # Errors
    /// `NoSuite`.
    pub fn choose_suite(&self, allowed: &[Suite]) -> Result<Suite, Reject> {
        choose_suite(&self.suites, allowed)
    }

    /// Writes the HELLO_R with `grant` and makes the server's half of the session.
    ///
    /// # Errors
    /// `Noise` when the client's public key is not a usable point.
    pub fn admit(mut self, grant: &Grant) -> Result<Admitted, Reject> {
        let mut noise = [0u8; HELLO_R_BYTES_MAX];
        let length =
            self.handshake.write_message(&grant.to_bytes()[..], &mut noise).map_err(|_| Reject::Noise)?;
        let header = Header {
            kind: Kind::HelloR,
            flags: Flags(0),
            key_id: 0,
            generation: 0,
            op: 0,
            counter: self.login_id,
            timestamp: 0,
            payload_bytes: length,
        };
        let keys = GenerationKeys::derive(generation_secret(&mut self.handshake), grant.key_id, 0);
        let mut answer = Vec::with_capacity(HEADER_BYTES + length + TAG_BYTES);
        answer.extend_from_slice(&header.to_bytes());
        answer.extend_from_slice(&noise[..length]);
        Ok(established::admitted(answer, grant, keys))
    }
}
