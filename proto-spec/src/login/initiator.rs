//! The client's side of a login.

use alloc::{vec, vec::Vec};

use crate::{
    Header, Reject, Suite,
    constants::{COOKIE_BYTES, HELLO_BYTES, HELLO_R_BYTES_MAX, KEY_BYTES, TAG_BYTES},
    frame::{grant::Grant, hello, retry::Retry},
    header::{Kind, Role},
    login::{Identity, Mac1, established, generation_secret, noise},
    schedule::GenerationKeys,
    secret::Secret,
    session::ClientSession,
    suite::{Tag, payload_of},
};

/// A login whose HELLO was sent.
#[derive(Debug)]
pub struct Initiator {
    handshake: snow::HandshakeState,
    login_id: u64,
    suites: Vec<Suite>,
    hello_tag: Tag,
    mac1: Mac1,
}

/// What a client says in its HELLO.
#[derive(Debug)]
pub struct Offer<'a> {
    /// The server's static public key.
    pub server_public: &'a [u8; KEY_BYTES],
    /// Acceptable suites, best first; 1 to 8, no repetition.
    pub suites: &'a [Suite],
    /// Tells logins of this client apart, 48 bits.
    pub login_id: u64,
    /// From a RETRY.
    pub cookie: Option<&'a [u8; COOKIE_BYTES]>,
    /// Empty on raw TCP (§10).
    pub channel_binding: &'a [u8],
}

impl Initiator {
    /// Writes the HELLO; `ephemeral` is 32 random bytes, used for this login only.
    ///
    /// # Errors
    /// `Noise` when the server's public key is not a usable point.
    pub fn start(
        identity: &Identity,
        offer: &Offer<'_>,
        ephemeral: Secret,
    ) -> Result<(Self, [u8; HELLO_BYTES]), Reject> {
        let ids: Vec<u16> = offer.suites.iter().map(|suite| *suite as u16).collect();
        let plain = hello::plain(offer.login_id, offer.cookie, &ids);
        let mut handshake =
            noise::start(identity, Some(offer.server_public), &plain, offer.channel_binding, ephemeral)
                .map_err(|_| Reject::Noise)?;

        let mut frame = [0u8; HELLO_BYTES];
        frame[..plain.len()].copy_from_slice(&plain);
        let padding = vec![0u8; hello::padding_bytes(plain.len())];
        let written = handshake
            .write_message(&padding, &mut frame[plain.len()..HELLO_BYTES - TAG_BYTES])
            .map_err(|_| Reject::Noise)?;
        debug_assert_eq!(plain.len() + written + TAG_BYTES, HELLO_BYTES);
        let mac1 = Mac1::new(offer.server_public);
        let hello_tag = mac1.tag(&frame[..HELLO_BYTES - TAG_BYTES]);
        frame[HELLO_BYTES - TAG_BYTES..].copy_from_slice(&hello_tag);
        let suites = offer.suites.to_vec();
        Ok((Self { handshake, login_id: offer.login_id, suites, hello_tag, mac1 }, frame))
    }

    /// The number that answers to this login carry as their counter.
    #[must_use]
    pub const fn login_id(&self) -> u64 {
        self.login_id
    }

    /// Reads a RETRY for this login (§14).
    ///
    /// # Errors
    /// Not a RETRY, or not for this HELLO: the login goes on waiting.
    pub fn retry(&self, frame: &[u8]) -> Result<Retry, Reject> {
        Retry::parse(frame, self.login_id, &self.hello_tag, &self.mac1)
    }

    /// Opens the HELLO_R; `now_ms` is the caller's monotonic clock.
    ///
    /// # Errors
    /// `Kind`, `Field`, `Noise`, `BadTag` (§10.2): this login is over.
    pub fn finish(mut self, frame: &[u8], now_ms: u64) -> Result<ClientSession, Reject> {
        let header = Header::parse(frame, Role::Client)?;
        if header.kind != Kind::HelloR {
            return Err(Reject::Kind);
        }
        if header.counter != self.login_id || frame.len() > HELLO_R_BYTES_MAX {
            return Err(Reject::Field);
        }
        let mut plaintext = [0u8; HELLO_R_BYTES_MAX];
        let length =
            self.handshake.read_message(payload_of(frame), &mut plaintext).map_err(|_| Reject::Noise)?;
        let grant = Grant::parse(&plaintext[..length]);
        zeroize::Zeroize::zeroize(&mut plaintext);
        let grant = grant?;
        if !self.suites.contains(&grant.suite) {
            return Err(Reject::Field);
        }
        let secret = generation_secret(&mut self.handshake);
        let keys = GenerationKeys::derive(secret, grant.key_id, 0);
        established::granted(frame, &header, grant, keys, now_ms)
    }
}
