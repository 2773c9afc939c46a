//! Answers: opened under the key of the request they belong to, of whatever generation (SPEC §7.1.2, §9.3).

use super::ClientSession;
use crate::{
    Header, Reject,
    constants::{CLOCK_CORRECTION_INTERVAL_MS, SLOT_BITS},
    header::Kind,
    reject::ErrReason,
    session::Waiting,
    suite::payload_of,
};

/// A verified answer to one request.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer<'f> {
    /// The server executed the request.
    Response {
        /// The service's status.
        status: u16,
        /// The service's payload.
        payload: &'f [u8],
    },
    /// The server verified the request and refused it.
    Refused(ErrReason),
    /// The server does not hold the key any more: log in again (§9.3).
    Lost,
    /// The keys of this request may have ended at the server, those of newer ones need not: its generation, since a newer one is
    /// in use (§11.3.6), or its slot (§9.3). Whether it was executed is unknown, and the session goes on.
    Ended,
}

impl ClientSession {
    /// Opens `frame`, whose header was parsed, as the answer to `pending`, in place.
    ///
    /// # Errors
    /// `BadTag` or `Field`: not an answer to this request; `pending` goes on waiting (§7.1.2).
    pub fn open_answer<'p, 'f>(
        &mut self,
        pending: impl Into<Waiting<'p>>,
        header: &Header,
        frame: &'f mut [u8],
        now_ms: u64,
    ) -> Result<Answer<'f>, Reject> {
        let pending = pending.into();
        if !self.names_the_request(pending, header, header.counter) {
            return Err(Reject::Field);
        }
        match header.kind {
            Kind::Resp | Kind::Err => {
                let holds = pending.key.open(frame, pending.tag).is_ok();
                self.conclude_answer(pending, header, frame, holds, now_ms)
            }
            Kind::Lost => {
                self.lost_key.verify(frame, pending.header, pending.tag)?;
                Ok(self.meaning_of_lost(pending, now_ms))
            }
            _ => Err(Reject::Kind),
        }
    }

    /// §9.3, §11.3.6.
    fn meaning_of_lost(&self, pending: Waiting<'_>, now_ms: u64) -> Answer<'static> {
        let age_ms = self.server_time_ms(now_ms).saturating_sub(pending.timestamp());
        if age_ms >= 1 << SLOT_BITS {
            return Answer::Ended;
        }
        // Used: then what comes after this one in the newest generation shows whether the session is lost as well. An offer for
        // the newest but one proved that one.
        match self.current.number.saturating_sub(pending.generation()) {
            0 => Answer::Lost,
            1 if self.current.counter == 0 => Answer::Lost,
            _ => Answer::Ended,
        }
    }

    pub(in crate::session) fn names_the_request(
        &self,
        pending: Waiting<'_>,
        header: &Header,
        counter: u64,
    ) -> bool {
        header.key_id == self.key_id
            && header.generation == pending.generation()
            && counter == pending.counter()
    }

    /// An answer under this generation verified (§11.3.1).
    pub(in crate::session) const fn note_verified(&mut self, generation: u16) {
        if generation == self.current.number {
            self.current.is_confirmed = true;
        }
    }

    /// What a RESP or an ERR says, its tag checked and its payload opened.
    ///
    /// # Errors
    /// `BadTag` or `Field`.
    pub(in crate::session) fn conclude_answer<'f>(
        &mut self,
        pending: Waiting<'_>,
        header: &Header,
        frame: &'f [u8],
        tag_holds: bool,
        now_ms: u64,
    ) -> Result<Answer<'f>, Reject> {
        if !self.names_the_request(pending, header, header.counter) {
            return Err(Reject::Field);
        }
        if !tag_holds {
            return Err(Reject::BadTag);
        }
        self.note_verified(header.generation);
        if header.kind == Kind::Resp {
            return Ok(Answer::Response { status: header.op, payload: payload_of(frame) });
        }
        let reason = ErrReason::from_status(header.op).ok_or(Reject::Field)?;
        if reason == ErrReason::Stale {
            self.correct_clock(header.timestamp, now_ms);
        }
        Ok(Answer::Refused(reason))
    }

    /// §6.4: at most once in 10 s, and only to a time whose slot key is held: an answer held back for slots would
    /// leave nothing to seal with.
    fn correct_clock(&mut self, server_time_ms: u64, now_ms: u64) {
        let too_soon =
            self.corrected_at_ms.is_some_and(|at| now_ms.saturating_sub(at) < CLOCK_CORRECTION_INTERVAL_MS);
        if !too_soon && self.current.slots.select(server_time_ms).is_ok() {
            self.clock_offset_ms = server_time_ms.cast_signed() - now_ms.cast_signed();
            self.corrected_at_ms = Some(now_ms);
        }
    }
}
