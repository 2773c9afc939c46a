//! The server's side of a resume.

use subtle::ConstantTimeEq;

use crate::{
    Reject,
    constants::{KEY_BYTES, LOGIN_BYTES},
    frame::{
        grant::Grant,
        resume::{Mode, Resume},
    },
    login::Admitted,
    resume::{
        answer::{self, Asked},
        binder,
    },
    secret::Secret,
    ticket::{Ticket, TicketRing},
};

/// A RESUME whose ticket opened and whose binder held: somebody who holds RS_g is there, or a copy of what they once sent;
/// fresh once they use the session.
#[derive(Debug)]
pub struct Responder<'f> {
    login_id: u64,
    frame: &'f [u8],
    channel_binding: &'f [u8],
    point: Option<&'f [u8; KEY_BYTES]>,
    ticket: Ticket,
}

impl<'f> Responder<'f> {
    /// Judges `resume`, whose mac1 held: the ticket, then the binder (§12.3.1).
    ///
    /// # Errors
    /// `Ticket`, or `Binder`, also for a mode that the ticket's policy does not allow (§12.3.2).
    pub fn read(
        resume: &Resume<'f>,
        ring: &TicketRing,
        channel_binding: &'f [u8],
        now_ms: u64,
    ) -> Result<Self, Reject> {
        let ticket = ring.open(resume.ticket, now_ms)?;
        let made = binder(&ticket.resume_secret, channel_binding, resume.bound);
        let binder_holds: bool = made.ct_eq(resume.binder).into();
        let mode_is_allowed = resume.mode() == Mode::DiffieHellman || ticket.psk_alone;
        if !binder_holds || !mode_is_allowed {
            return Err(Reject::Binder);
        }
        debug_assert_eq!(resume.frame.len(), LOGIN_BYTES);
        let Resume { login_id, frame, point, .. } = *resume;
        Ok(Self { login_id, frame, channel_binding, point, ticket })
    }

    /// What the ticket says: whose session, in which suite, authenticated when.
    #[must_use]
    pub const fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Writes the RESUME_R with `grant`, whose suite is the ticket's, and makes the server's half of the session; `nonce` and
    /// `ephemeral` are 32 random bytes each, used for this resume only.
    ///
    /// # Errors
    /// `Field` when the client's point is not canonical or of low order (§12.4.1).
    ///
    /// # Panics
    /// If the grant is of another suite than the ticket.
    pub fn admit(self, grant: &Grant, nonce: &Secret, ephemeral: &Secret) -> Result<Admitted, Reject> {
        assert_eq!(grant.suite, self.ticket.suite, "a session keeps its suite");
        let asked = Asked {
            form: &answer::RESUME,
            login_id: self.login_id,
            frame: self.frame,
            channel_binding: self.channel_binding,
            secret: &self.ticket.resume_secret,
        };
        answer::seal(&asked, self.point, grant, nonce, ephemeral)
    }
}
