//! The server's side of a resume.

use subtle::ConstantTimeEq;

use crate::{
    Reject,
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

/// A RESUME whose ticket opened. Whether its client is barred or revoked is judged now, before the binder (§12.1.5).
#[derive(Debug)]
#[must_use]
pub struct Opened<'f> {
    resume: Resume<'f>,
    ticket: Ticket,
}

/// A RESUME whose binder held: somebody who holds RS_g is there, or a copy of what they once sent; fresh once they use the
/// session.
#[derive(Debug)]
pub struct Responder<'f> {
    resume: Resume<'f>,
    channel_binding: &'f [u8],
    ticket: Ticket,
}

impl<'f> Opened<'f> {
    /// Opens the ticket of `resume`, whose mac1 held: at most one AEAD (§12.3.1).
    ///
    /// # Errors
    /// `Ticket`.
    pub fn open(resume: Resume<'f>, ring: &TicketRing, now_ms: u64) -> Result<Self, Reject> {
        let ticket = ring.open(resume.ticket, now_ms)?;
        Ok(Self { resume, ticket })
    }

    /// What the ticket says: whose session, in which suite, authenticated when.
    #[must_use]
    pub const fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Checks the binder, and that the ticket allows the mode (§12.3.2).
    ///
    /// # Errors
    /// `Binder`.
    pub fn verify(self, channel_binding: &'f [u8]) -> Result<Responder<'f>, Reject> {
        let Self { resume, ticket } = self;
        let made = binder(&ticket.resume_secret, channel_binding, resume.bound);
        let binder_holds: bool = made.ct_eq(resume.binder).into();
        let mode_is_allowed = resume.mode() == Mode::DiffieHellman || ticket.psk_alone;
        if binder_holds && mode_is_allowed {
            Ok(Responder { resume, channel_binding, ticket })
        } else {
            Err(Reject::Binder)
        }
    }
}

impl Responder<'_> {
    /// What the ticket says.
    #[must_use]
    pub const fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Writes the RESUME_R with `grant`, whose suite is the ticket's, and makes the server's half of the session; `nonce` and
    /// `ephemeral` are 32 random bytes each, used for this resume only.
    ///
    /// # Errors
    /// `Binder` when the client's point is not canonical or of low order (§12.4.4).
    ///
    /// # Panics
    /// If the grant is of another suite than the ticket.
    pub fn admit(self, grant: &Grant, nonce: &Secret, ephemeral: &Secret) -> Result<Admitted, Reject> {
        assert_eq!(grant.suite, self.ticket.suite, "a session keeps its suite");
        let asked = Asked {
            form: &answer::RESUME,
            login_id: self.resume.login_id,
            frame: self.resume.frame,
            channel_binding: self.channel_binding,
            secret: &self.ticket.resume_secret,
        };
        answer::seal(&asked, self.resume.point.as_slice(), grant, nonce, ephemeral)
    }
}
