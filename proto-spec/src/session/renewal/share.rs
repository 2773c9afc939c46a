//! The client's half of a Diffie-Hellman (SPEC §11.2.6).

use crate::{
    Header, Reject, agreement,
    constants::KEY_BYTES,
    frame::control::{self, Control},
    session::{Rekey, SessionState, renewal::Renewal},
};

/// What a SHARE did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shared {
    /// The offered generation can be used.
    Taken,
    /// Nothing: it came before.
    Again,
    /// The client's point breaks §10.3.1: the session is to be erased.
    Broken,
}

impl Renewal {
    /// Judges `frame`, a CTL from the client of the session whose current generation is `state` and `rekey`.
    ///
    /// # Errors
    /// `Control`: it does not open, or is not due.
    pub fn control(
        &mut self,
        state: &SessionState,
        rekey: &mut Rekey,
        header: &Header,
        frame: &mut [u8],
        now_ms: u64,
    ) -> Result<Shared, Reject> {
        let offering = match (&self.beside, self.until_ms) {
            (_, None) => (state.generation(), &rekey.control_c2s),
            (Some(beside), Some(_)) => (beside.state.generation(), &beside.rekey.control_c2s),
            (None, Some(_)) => return Err(Reject::Control),
        };
        let is_due = Control::from_op(header.op)? == Control::Share
            && header.generation == offering.0
            && header.timestamp == self.offered_ms
            && now_ms < self.until_ms.unwrap_or_else(|| state.hard_deadline_ms());
        if !is_due {
            return Err(Reject::Control);
        }
        let share: [u8; KEY_BYTES] =
            control::open(offering.1, frame)?.try_into().map_err(|_| Reject::Control)?;
        if let Some(taken) = self.share {
            return if taken == share { Ok(Shared::Again) } else { Err(Reject::Control) };
        }
        let awaited = self.awaited.take().ok_or(Reject::Control)?;
        let Some(shared) = agreement::agree(&awaited.private, &share) else { return Ok(Shared::Broken) };
        self.share = Some(share);
        self.derive(state, rekey, &awaited.nonce, Some(&shared));
        Ok(Shared::Taken)
    }
}
