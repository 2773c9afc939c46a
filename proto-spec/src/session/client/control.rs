//! What a client does with a CTL: takes the next generation, keeps a ticket (SPEC §11).

use alloc::vec::Vec;

use super::{
    ClientSession,
    generation::{Generation, Previous, Sealing},
    half_way,
};
use crate::{
    Header, Reject, Role,
    agreement::{self, Ephemeral},
    constants::{EXCHANGE_GENERATIONS, KEPT_MS_MAX, STAY_MS},
    frame::control::{self, About, Control, Says},
    header::Kind,
    resume::Kept,
    schedule::{Exchanged, GenerationKeys},
    secret::Secret,
};

/// What a CTL told the client.
#[derive(Debug)]
pub enum Told {
    /// The next generation is taken: what is sealed from here on is of it, but for one last request, and after a SHARE those of a
    /// moment (§11.3.9).
    Renewed,
    /// Nothing new.
    Nothing,
    /// A ticket with its RS_g, to be kept for RESUME (§11.1.3, §12).
    Ticket(Kept),
    /// The server offered two generations for one, or a point that §10.3.1 refuses: the keys are erased, log in anew (§11.2.5).
    Broken,
}

impl ClientSession {
    /// Takes in `frame`, a CTL whose header was parsed. `random` is 32 random bytes for one call; a SHARE to be sent on the
    /// connection of the OFFER, before anything else, is appended to `out`.
    ///
    /// # Errors
    /// `Field`, `Kind` or `Control`: not for this session, or not authentic; nothing changed.
    pub fn control(
        &mut self,
        header: &Header,
        frame: &mut [u8],
        random: Secret,
        now_ms: u64,
        out: &mut Vec<u8>,
    ) -> Result<Told, Reject> {
        if header.kind != Kind::Ctl {
            return Err(Reject::Kind);
        }
        if header.key_id != self.key_id {
            return Err(Reject::Field);
        }
        // Erased keys are blank: whoever knows that could seal under them.
        if self.is_broken {
            return Err(Reject::Control);
        }
        self.forget_previous(now_ms);
        let told = match Control::from_op(header.op)? {
            Control::Offer if header.generation == self.current.number => {
                self.take_offer(header, frame, random, now_ms, out)?
            }
            Control::Offer => self.see_offer_again(header, frame, out)?,
            Control::Ticket => self.take_ticket(header, frame)?,
            Control::Share => return Err(Reject::Control),
        };
        if matches!(told, Told::Broken) {
            self.erase();
        }
        Ok(told)
    }

    /// §11.2.5, for the newest generation.
    fn take_offer(
        &mut self,
        header: &Header,
        frame: &mut [u8],
        random: Secret,
        now_ms: u64,
        out: &mut Vec<u8>,
    ) -> Result<Told, Reject> {
        let as_received = frame.to_vec().into_boxed_slice();
        let said = control::open(Role::Client, &self.current.control_s2c, header, frame)?;
        let (Says::Offer(offer), Some(number)) = (said, header.generation.checked_add(1)) else {
            return Err(Reject::Control);
        };
        control::wipe(frame);
        // §11.2.4: the server cannot leave out the Diffie-Hellman for ever.
        let lacks_exchange = offer.public.is_none() && number.is_multiple_of(EXCHANGE_GENERATIONS);
        if lacks_exchange || header.timestamp < self.current.slots.origin_ms() {
            return Err(Reject::Control);
        }
        let mut share = Vec::new();
        let mut exchanged = None;
        if let Some(public) = offer.public {
            let pair = Ephemeral::new(random);
            let Some(shared) = agreement::agree(&pair.private, &public) else { return Ok(Told::Broken) };
            exchanged = Some(Exchanged { shared, client_public: pair.public, server_public: public });
            let about =
                About { key_id: self.key_id, generation: header.generation, timestamp: header.timestamp };
            Control::Share.seal(&self.current.control_c2s, about, &pair.public, &mut share);
        }
        out.extend_from_slice(&share);
        let stays_until_ms = self.stays_until_ms(now_ms);
        let ratchet = self.current.ratchet.take();
        let keys = GenerationKeys::renew(ratchet, &offer.nonce, exchanged.as_ref(), self.key_id, number);
        let next = Generation::new(keys, header.timestamp);
        let generation = core::mem::replace(&mut self.current, next);
        let sealing = Sealing::Until(if share.is_empty() { 0 } else { stays_until_ms });
        self.previous = Some(Previous { generation, offer: as_received, share, sealing, left_ms: None });
        Ok(Told::Renewed)
    }

    /// §11.3.9: until when to go on with the newest generation, whose successor the server has yet to agree. Not where it is half-way
    /// to its hard limit, by which the next one must be in use (§11.3.5), nor for callers that wait as it is.
    fn stays_until_ms(&self, now_ms: u64) -> u64 {
        let ends_soon = self.age_ms(now_ms) + STAY_MS >= half_way(&self.limits).1;
        if ends_soon || !self.stays { 0 } else { now_ms + STAY_MS }
    }

    /// §11.2.5, for a generation that is not the newest: only the one before can have been offered from.
    fn see_offer_again(
        &mut self,
        header: &Header,
        frame: &mut [u8],
        out: &mut Vec<u8>,
    ) -> Result<Told, Reject> {
        let Some(previous) = &self.previous else { return Err(Reject::Control) };
        if header.generation != previous.generation.number {
            return Err(Reject::Control);
        }
        if *frame == *previous.offer {
            if !self.current.is_confirmed {
                out.extend_from_slice(&previous.share);
            }
            return Ok(Told::Nothing);
        }
        control::open(Role::Client, &previous.generation.control_s2c, header, frame)?;
        control::wipe(frame);
        Ok(Told::Broken)
    }

    fn take_ticket(&mut self, header: &Header, frame: &mut [u8]) -> Result<Told, Reject> {
        // §11.1.3: the ticket of the greatest generation stays.
        let is_late = header.generation != self.current.number && self.current.resume.is_none();
        let of = match &mut self.previous {
            Some(previous) if previous.generation.number == header.generation => &mut previous.generation,
            _ if self.current.number == header.generation => &mut self.current,
            _ => return Err(Reject::Control),
        };
        let Says::Ticket(ticket) = control::open(Role::Client, &of.control_s2c, header, frame)? else {
            return Err(Reject::Control);
        };
        let ticket = *ticket;
        let secret = of.resume.take().filter(|_| !is_late);
        let kept = secret.map(|resume_secret| Kept { ticket, resume_secret, suite: self.suite });
        Ok(kept.map_or(Told::Nothing, Told::Ticket))
    }

    /// The SHARE of the newest generation as long as no answer under it verified: it may be sent again before a request, where
    /// the transport loses frames (§11.2.6); empty when there is none.
    #[must_use]
    pub fn share(&self) -> &[u8] {
        match &self.previous {
            Some(previous) if !self.current.is_confirmed => &previous.share,
            _ => &[],
        }
    }

    /// §11.3.6: the generation before is kept for 30 s after the first request of the newest.
    pub(in crate::session) fn forget_previous(&mut self, now_ms: u64) {
        let left_ms = self.previous.as_ref().and_then(|previous| previous.left_ms);
        if left_ms.is_some_and(|left| now_ms.saturating_sub(left) >= KEPT_MS_MAX) {
            self.previous = None;
        }
    }
}
