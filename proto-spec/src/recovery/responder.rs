//! The server's side of a recovery.

use zeroize::Zeroizing;

use crate::{
    ClientId, Reject, Suite,
    agreement::is_canonical,
    constants::{KEY_BYTES, LOGIN_BYTES, TAG_BYTES},
    frame::{
        grant::Grant,
        recover::{Content, Recover},
    },
    login::{Admitted, choose_suite},
    recovery::{RecoveryKey, sealing::Agreed},
    resume::answer::{self, Asked},
    secret::Secret,
};

/// A RECOVER that opened: somebody who holds the recovery secret is there, or was. Without effect until they use the session
/// (§13.4.1).
#[derive(Debug)]
pub struct Responder<'f> {
    login_id: u64,
    frame: &'f [u8],
    channel_binding: &'f [u8],
    client: ClientId,
    content: Content,
    exported: Secret,
}

impl<'f> Responder<'f> {
    /// Opens `recover`, whose mac1 and cookie held. For a client that is unknown, revoked or without a recovery secret,
    /// `recovery_secret` is random: the work is the same (§13.2.2).
    ///
    /// # Errors
    /// `Recovery` when it does not open, its content is malformed or the new public key is not canonical (§13.2.4).
    pub fn read(
        recover: &Recover<'f>,
        key: &RecoveryKey,
        server_public: &[u8; KEY_BYTES],
        recovery_secret: &Secret,
        channel_binding: &'f [u8],
    ) -> Result<Self, Reject> {
        let Recover { login_id, client, plain, encapsulated, sealed, frame, .. } = *recover;
        let agreed = Agreed { recovery_secret, client: &client, server_public, channel_binding, plain };
        let (content, tag) = sealed.split_at_checked(sealed.len() - TAG_BYTES).ok_or(Reject::Field)?;
        let mut opened = Zeroizing::new([0u8; LOGIN_BYTES]);
        let opened = &mut opened[..content.len()];
        opened.copy_from_slice(content);
        let exported = agreed.open(key, encapsulated, opened, tag)?;
        let content = Content::parse(opened)?;
        if !is_canonical(&content.new_public) {
            return Err(Reject::Recovery);
        }
        Ok(Self { login_id, frame, channel_binding, client, content, exported })
    }

    /// Whose identity is to be replaced.
    #[must_use]
    pub const fn client(&self) -> &ClientId {
        &self.client
    }

    /// The static public key that is to take the old one's place.
    #[must_use]
    pub const fn new_public(&self) -> &[u8; KEY_BYTES] {
        &self.content.new_public
    }

    /// The first suite of the client's list that is in `allowed` (§10.1.3).
    ///
    /// # Errors
    /// `NoSuite`.
    pub fn choose_suite(&self, allowed: &[Suite]) -> Result<Suite, Reject> {
        choose_suite(&self.content.suites, allowed)
    }

    /// Writes the RECOVER_R with `grant` and makes the server's half of the session; `nonce` and `ephemeral` are 32 random
    /// bytes each, used for this recovery only.
    ///
    /// # Errors
    /// `Recovery` when a point of the client is not canonical or of low order (§10.3.1).
    pub fn admit(self, grant: &Grant, nonce: &Secret, ephemeral: &Secret) -> Result<Admitted, Reject> {
        let asked = Asked {
            form: &answer::RECOVER,
            login_id: self.login_id,
            frame: self.frame,
            channel_binding: self.channel_binding,
            secret: &self.exported,
        };
        let points = [&self.content.point, &self.content.new_public];
        answer::seal(&asked, &points, grant, nonce, ephemeral)
    }
}
