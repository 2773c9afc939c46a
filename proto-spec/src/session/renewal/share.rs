//! The client's half of a Diffie-Hellman (SPEC §11.2.6).

use crate::{
    Header, Reject, Role, agreement,
    constants::KEY_BYTES,
    frame::control::{self, Says},
    secret::Secret,
    session::{Current, Rekey, renewal::Renewal},
};

/// What a SHARE did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shared {
    /// It decides: the offered generation can be used. Its keys are derived by who needs them first, or by
    /// [`Renewal::take_agreed`].
    Taken,
    /// Nothing: it came before.
    Again,
    /// The client's point breaks §10.3.1: the session is to be erased.
    Broken,
}

/// # Errors
/// `Control`: it does not open under this key, or is no SHARE (§11.1.1).
fn open(control_c2s: &Secret, header: &Header, frame: &mut [u8]) -> Result<[u8; KEY_BYTES], Reject> {
    match control::open(Role::Server, control_c2s, header, frame)? {
        Says::Share(share) => Ok(share),
        Says::Offer(_) | Says::Ticket(_) => Err(Reject::Control),
    }
}

impl Rekey {
    /// Opens `frame`, a CTL of a key id the server does not hold, with this dummy's key (§11.1.1): one refusal costs as much as
    /// another.
    pub fn refuse_control(&self, header: &Header, frame: &mut [u8]) -> Reject {
        let _ = open(&self.control_c2s, header, frame);
        Reject::Control
    }
}

impl Current<'_> {
    /// Judges `frame`, a CTL from the client of this session.
    ///
    /// # Errors
    /// `Control`: it does not open, or is not due; nothing changed.
    pub fn control(
        &mut self,
        renewal: Option<&mut Renewal>,
        header: &Header,
        frame: &mut [u8],
        now_ms: u64,
    ) -> Result<Shared, Reject> {
        let draining = match &renewal {
            Some(Renewal { until_ms: Some(until_ms), beside: Some(beside), .. }) if now_ms < *until_ms => {
                Some(beside)
            }
            _ => None,
        };
        let is_draining = draining.is_some_and(|beside| beside.state.generation() == header.generation);
        let (offering, control_c2s) = match draining {
            Some(beside) if is_draining => (&beside.state, &beside.rekey.control_c2s),
            _ => (&*self.state, &self.rekey.control_c2s),
        };
        let is_held = header.generation == offering.generation() && now_ms < offering.hard_deadline_ms();
        let share = open(control_c2s, header, frame)?;
        let Some(renewal) = renewal.filter(|_| is_held) else { return Err(Reject::Control) };
        if is_draining != renewal.until_ms.is_some() {
            return Err(Reject::Control);
        }
        renewal.take_share(header, share)
    }
}

impl Renewal {
    /// All judgement of e_c is here; the agreement is computed later (§11.2.7).
    fn take_share(&mut self, header: &Header, share: [u8; KEY_BYTES]) -> Result<Shared, Reject> {
        if header.timestamp != self.offered_ms {
            return Err(Reject::Control);
        }
        if let Some(taken) = self.share {
            return if taken == share { Ok(Shared::Again) } else { Err(Reject::Control) };
        }
        if self.awaited.is_none() {
            return Err(Reject::Control);
        }
        if !agreement::is_usable(&share) {
            return Ok(Shared::Broken);
        }
        self.share = Some(share);
        Ok(Shared::Taken)
    }
}
