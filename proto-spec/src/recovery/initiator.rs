//! The client's side of a recovery.

use alloc::vec::Vec;

use crate::{
    Reject, Suite,
    agreement::public_of,
    constants::{COOKIE_BYTES, LOGIN_BYTES},
    frame::{
        recover::{self, Content},
        retry::Retry,
    },
    login::Identity,
    recovery::{RecoveryKit, sealing::Agreed},
    resume::{answer, attempt::Attempt},
    secret::Secret,
    session::ClientSession,
};

/// What a client says in its RECOVER beside who it is.
#[derive(Debug)]
pub struct Offer<'a> {
    /// The key pair that is to take the lost one's place; kept safe by the caller before this is sent (§13.4.4).
    pub new_identity: &'a Identity,
    /// Acceptable suites, best first; 1 to 8, no repetition.
    pub suites: &'a [Suite],
    /// Tells logins of this client apart, 48 bits.
    pub login_id: u64,
    /// From a RETRY, which always comes first (§13.2.1).
    pub cookie: Option<&'a [u8; COOKIE_BYTES]>,
    /// Empty on raw TCP (§10).
    pub channel_binding: &'a [u8],
}

/// A recovery whose RECOVER was sent.
#[derive(Debug)]
pub struct Initiator {
    attempt: Attempt,
    suites: Vec<Suite>,
    ephemeral: Secret,
    new_private: Secret,
}

impl Initiator {
    /// Writes the RECOVER; `material` and `ephemeral` are 32 random bytes each, used for this RECOVER only.
    ///
    /// # Errors
    /// `Recovery` when the kit's keys of the server are not usable points.
    pub fn start(
        kit: &RecoveryKit,
        offer: &Offer<'_>,
        material: &Secret,
        ephemeral: Secret,
    ) -> Result<(Self, [u8; LOGIN_BYTES]), Reject> {
        let client = kit.client();
        let mut bytes = recover::plain(offer.login_id, offer.cookie, &client);
        let content = Content {
            new_public: *offer.new_identity.public(),
            point: public_of(&ephemeral),
            suites: offer.suites.to_vec(),
        };
        let mut content = content.to_bytes(bytes.len());
        let agreed = Agreed {
            recovery_secret: &kit.recovery_secret,
            client: &client,
            server_public: &kit.server_public,
            channel_binding: offer.channel_binding,
            plain: &bytes,
        };
        let (enc, tag, exported) = agreed.seal(&kit.recovery_public, material, &mut content)?;
        bytes.extend_from_slice(&enc);
        bytes.extend_from_slice(&content);
        bytes.extend_from_slice(&tag);
        let attempt = Attempt::new(
            &answer::RECOVER,
            &kit.server_public,
            offer.login_id,
            offer.channel_binding,
            exported,
            bytes,
        );
        let frame = attempt.frame();
        let new_private = Secret::new(*offer.new_identity.private().expose());
        Ok((Self { attempt, suites: offer.suites.to_vec(), ephemeral, new_private }, frame))
    }

    /// The number that answers to this recovery carry as their counter.
    #[must_use]
    pub const fn login_id(&self) -> u64 {
        self.attempt.login_id()
    }

    /// Reads a RETRY for this RECOVER (§14).
    ///
    /// # Errors
    /// Not a RETRY, or not for this RECOVER: the recovery goes on waiting.
    pub fn retry(&self, frame: &[u8]) -> Result<Retry, Reject> {
        self.attempt.retry(frame)
    }

    /// Opens the RECOVER_R; `now_ms` is the caller's monotonic clock.
    ///
    /// # Errors
    /// `Kind`, `Field`, `Recovery`, `BadTag` (§13.3): this recovery is over.
    pub fn finish(self, frame: &[u8], now_ms: u64) -> Result<ClientSession, Reject> {
        self.attempt.finish(&[&self.ephemeral, &self.new_private], &self.suites, frame, now_ms)
    }
}
