//! What a client keeps of a session to resume it (SPEC §12).

use alloc::vec::Vec;

use zeroize::Zeroizing;

use crate::{
    Reject, Suite,
    constants::{KEY_BYTES, TICKET_BYTES},
    frame::Reader,
    secret::Secret,
    ticket::SealedTicket,
};

/// Bytes of [`Kept::to_bytes`].
pub const KEPT_BYTES_MAX: usize = 1 + 2 + KEY_BYTES + TICKET_BYTES;
/// The form of those bytes.
const FORM: u8 = 1;

/// A ticket and the secret that belongs to it.
#[derive(Debug)]
pub struct Kept {
    /// Opaque; sent in a RESUME.
    pub ticket: SealedTicket,
    /// RS_g of the session that got the ticket.
    pub resume_secret: Secret,
    /// Its suite, which the new session has too (§12.4.1).
    pub suite: Suite,
}

impl Kept {
    /// All of it, to be sealed by the caller before it is written anywhere: whoever has these bytes can be the client until
    /// the ticket expires.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(KEPT_BYTES_MAX));
        bytes.push(FORM);
        bytes.extend_from_slice(&(self.suite as u16).to_be_bytes());
        bytes.extend_from_slice(self.resume_secret.expose());
        bytes.extend_from_slice(&self.ticket);
        bytes
    }

    /// Reads what [`Kept::to_bytes`] gave.
    ///
    /// # Errors
    /// `Field` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Reject> {
        let mut reader = Reader::new(bytes);
        if reader.uint(1)? != u64::from(FORM) {
            return Err(Reject::Field);
        }
        let suite = Suite::from_id(reader.uint(2)? as u16).ok_or(Reject::Field)?;
        let resume_secret = Secret::new(*reader.array()?);
        let ticket = *reader.array()?;
        reader.end()?;
        Ok(Self { ticket, resume_secret, suite })
    }
}
