//! The client's side of a resume.

use alloc::vec::Vec;

use crate::{
    Reject, Suite,
    agreement::public_of,
    constants::{COOKIE_BYTES, KEY_BYTES, LOGIN_BYTES},
    frame::{
        resume::{self, Mode},
        retry::Retry,
    },
    resume::{Kept, answer, attempt::Attempt, binder},
    secret::Secret,
    session::ClientSession,
};

/// What a client says in its RESUME beside the ticket.
#[derive(Debug)]
pub struct Offer<'a> {
    /// The server's static public key, for mac1.
    pub server_public: &'a [u8; KEY_BYTES],
    /// With a Diffie-Hellman, or without.
    pub mode: Mode,
    /// Tells logins of this client apart, 48 bits.
    pub login_id: u64,
    /// From a RETRY.
    pub cookie: Option<&'a [u8; COOKIE_BYTES]>,
    /// Empty on raw TCP (§10).
    pub channel_binding: &'a [u8],
}

/// A resume whose RESUME was sent. What it resumes stays with the caller until a request under the new keys was answered
/// (§12.4.2).
#[derive(Debug)]
pub struct Initiator {
    attempt: Attempt,
    suite: Suite,
    private: Option<Secret>,
}

impl Initiator {
    /// Writes the RESUME; `nonce` and `ephemeral` are 32 random bytes each, used for this resume only.
    #[must_use]
    pub fn start(
        kept: &Kept,
        offer: &Offer<'_>,
        nonce: &Secret,
        ephemeral: Secret,
    ) -> (Self, [u8; LOGIN_BYTES]) {
        let private = (offer.mode == Mode::DiffieHellman).then_some(ephemeral);
        let point = private.as_ref().map(public_of);
        let mut bytes =
            resume::bound(offer.login_id, offer.cookie, nonce.expose(), point.as_ref(), &kept.ticket);
        bytes.extend_from_slice(&binder(&kept.resume_secret, offer.channel_binding, &bytes));
        let attempt = Attempt::new(
            &answer::RESUME,
            offer.server_public,
            offer.login_id,
            offer.channel_binding,
            Secret::new(*kept.resume_secret.expose()),
            bytes,
        );
        let frame = attempt.frame();
        (Self { attempt, suite: kept.suite, private }, frame)
    }

    /// The number that answers to this resume carry as their counter.
    #[must_use]
    pub const fn login_id(&self) -> u64 {
        self.attempt.login_id()
    }

    /// Reads a RETRY for this resume (§14).
    ///
    /// # Errors
    /// Not a RETRY, or not for this RESUME: the resume goes on waiting.
    pub fn retry(&self, frame: &[u8]) -> Result<Retry, Reject> {
        self.attempt.retry(frame)
    }

    /// Opens the RESUME_R; `now_ms` is the caller's monotonic clock.
    ///
    /// # Errors
    /// `Kind`, `Field`, `Binder`, `BadTag` (§12.4.1): this resume is over.
    pub fn finish(self, frame: &[u8], now_ms: u64) -> Result<ClientSession, Reject> {
        let privates: Vec<&Secret> = self.private.iter().collect();
        self.attempt.finish(&privates, &[self.suite], frame, now_ms)
    }
}
