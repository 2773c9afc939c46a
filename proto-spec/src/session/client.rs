//! The client's half of a session: seals requests, opens their answers (SPEC §7.1).

use alloc::vec::Vec;

use mvt_lanes::HmacKey;

use crate::{
    Header, Limits, Reject, Suite,
    constants::{CLOCK_CORRECTION_INTERVAL_MS, HEADER_BYTES, PAYLOAD_BYTES_MAX, TAG_BYTES, U48_MAX},
    header::{Flags, Kind},
    lost::LostKey,
    reject::ErrReason,
    secret::Secret,
    slot::SlotKeys,
    suite::{RequestKey, Tag, payload_of, tag_of},
};

/// What a login grants, as the client keeps it.
#[derive(Debug)]
pub struct Granted {
    /// Names the session.
    pub key_id: u64,
    /// The suite the server chose.
    pub suite: Suite,
    /// The limits of each generation.
    pub limits: Limits,
    /// T_0: server time when the session began, ms.
    pub server_time_ms: u64,
    /// CK_0.
    pub request_chain: Secret,
    /// Verifies a LOST of this session.
    pub lost_key: LostKey,
    /// For RESUME (§12); empty when the server gives none.
    pub ticket: Vec<u8>,
}

/// Why a request cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A hard limit is reached (§7.1.3): a new session is needed.
    #[error("the key of this session is used up")]
    Exhausted,
    /// The payload is over 16384 bytes.
    #[error("payload is longer than 16384 bytes")]
    PayloadTooLong,
}

/// A request that waits for its answer. Wiped on drop.
#[derive(Debug)]
pub struct Pending {
    pub(super) key: RequestKey,
    pub(super) header: [u8; HEADER_BYTES],
    pub(super) counter: u64,
    pub(super) tag: Tag,
}

impl Pending {
    /// The request's counter, by which its answer finds it.
    #[must_use]
    pub const fn counter(&self) -> u64 {
        self.counter
    }
}

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
}

/// The client's half of one session.
#[derive(Debug)]
pub struct ClientSession {
    key_id: u64,
    generation: u16,
    suite: Suite,
    limits: Limits,
    slots: SlotKeys,
    counter: u64,
    /// Server time at local time 0: added to the caller's monotonic clock (§6.2).
    clock_offset_ms: i64,
    corrected_at_ms: Option<u64>,
    lost_key: LostKey,
    ticket: Vec<u8>,
    takes_verdicts: bool,
}

impl ClientSession {
    /// A session that was granted at `now_ms` of the caller's monotonic clock, which counts suspension.
    #[must_use]
    pub fn new(granted: Granted, now_ms: u64) -> Self {
        Self {
            key_id: granted.key_id,
            generation: 0,
            suite: granted.suite,
            limits: granted.limits,
            slots: SlotKeys::new(granted.request_chain, granted.server_time_ms),
            counter: 0,
            clock_offset_ms: granted.server_time_ms.cast_signed() - now_ms.cast_signed(),
            corrected_at_ms: None,
            lost_key: granted.lost_key,
            ticket: granted.ticket,
            takes_verdicts: false,
        }
    }

    /// From now on asks that requests be answered together where the server can: to be opened with
    /// [`ClientSession::open_verdicts`] (§7.4).
    pub const fn take_verdicts(&mut self) {
        self.takes_verdicts = true;
    }

    /// Names the session.
    #[must_use]
    pub const fn key_id(&self) -> u64 {
        self.key_id
    }

    /// The agreed suite.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Requests sealed so far.
    #[must_use]
    pub const fn counter(&self) -> u64 {
        self.counter
    }

    /// The limits of each generation, as granted.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The ticket for RESUME, empty when there is none (§12).
    #[must_use]
    pub fn ticket(&self) -> &[u8] {
        &self.ticket
    }

    /// Server time at the caller's `now_ms` (§6.2).
    #[must_use]
    pub const fn server_time_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_add_signed(self.clock_offset_ms)
    }

    /// Whether a soft limit is reached and the session should be replaced (§2).
    #[must_use]
    pub fn renewal_is_due(&self, now_ms: u64) -> bool {
        self.counter >= u64::from(self.limits.renew_after_requests)
            || self.age_ms(now_ms) >= u64::from(self.limits.renew_after_ms)
    }

    /// Whether a hard limit is reached and nothing can be sealed any more (§7.1.3).
    #[must_use]
    pub fn is_exhausted(&self, now_ms: u64) -> bool {
        self.is_exhausted_by(1, now_ms)
    }

    /// Whether `count` more requests would pass a hard limit.
    pub(super) fn is_exhausted_by(&self, count: u64, now_ms: u64) -> bool {
        self.counter + count > u64::from(self.limits.reject_after_requests)
            || self.age_ms(now_ms) >= u64::from(self.limits.reject_after_ms)
            || self.server_time_ms(now_ms) > U48_MAX
    }

    fn age_ms(&self, now_ms: u64) -> u64 {
        self.server_time_ms(now_ms).saturating_sub(self.slots.origin_ms())
    }

    /// Seals a request under the next counter, which is never used again (§7.1.1), and appends it to `out`.
    ///
    /// # Errors
    /// [`SealError`]; then nothing changed.
    pub fn seal_request(
        &mut self,
        op: u16,
        payload: &[u8],
        now_ms: u64,
        out: &mut Vec<u8>,
    ) -> Result<Pending, SealError> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(SealError::PayloadTooLong);
        }
        if self.is_exhausted(now_ms) {
            return Err(SealError::Exhausted);
        }
        let header = self.next_header(op, payload.len(), now_ms);
        let suite = self.suite;
        let (slot_key, generation) = self.sealing_key(now_ms);
        let key = RequestKey::derive(suite, slot_key, generation, header.counter);

        let header_bytes = header.to_bytes();
        let start = out.len();
        out.extend_from_slice(&header_bytes);
        out.extend_from_slice(payload);
        out.extend_from_slice(&[0; TAG_BYTES]);
        key.seal(&mut out[start..], &[]);
        let tag = tag_of(&out[start..]);
        Ok(Pending { key, header: header_bytes, counter: header.counter, tag })
    }

    /// The header of the next request; its counter is used up (§7.1.1).
    pub(super) fn next_header(&mut self, op: u16, payload_bytes: usize, now_ms: u64) -> Header {
        let joint = if self.takes_verdicts { Flags::JOINT } else { 0 };
        let header = Header {
            kind: Kind::Req,
            flags: Flags(self.suite.flags().0 | joint),
            key_id: self.key_id,
            generation: self.generation,
            op,
            counter: self.counter,
            timestamp: self.server_time_ms(now_ms),
            payload_bytes,
        };
        self.counter += 1;
        header
    }

    /// The slot key and generation of requests sealed at `now_ms`.
    pub(super) fn sealing_key(&mut self, now_ms: u64) -> (&HmacKey, u16) {
        let timestamp = self.server_time_ms(now_ms);
        self.slots.advance(timestamp);
        // A clock corrected backwards over a slot's edge finds the key of the slot before still held.
        (self.slots.held_key(timestamp), self.generation)
    }

    /// Opens `frame`, whose header was parsed, as the answer to `pending`, in place.
    ///
    /// # Errors
    /// `BadTag` or `Field`: not an answer to this request; `pending` goes on waiting (§7.1.2).
    pub fn open_answer<'f>(
        &mut self,
        pending: &Pending,
        header: &Header,
        frame: &'f mut [u8],
        now_ms: u64,
    ) -> Result<Answer<'f>, Reject> {
        if !self.names_the_request(pending, header, header.counter) {
            return Err(Reject::Field);
        }
        match header.kind {
            Kind::Resp | Kind::Err => {
                let holds = pending.key.open(frame, &pending.tag).is_ok();
                self.conclude_answer(pending, header, frame, holds, now_ms)
            }
            Kind::Lost => {
                self.lost_key.verify(frame, &pending.header, &pending.tag)?;
                Ok(Answer::Lost)
            }
            _ => Err(Reject::Kind),
        }
    }

    pub(super) fn names_the_request(&self, pending: &Pending, header: &Header, counter: u64) -> bool {
        header.key_id == self.key_id && header.generation == self.generation && counter == pending.counter
    }

    /// What a RESP or an ERR says, its tag checked and its payload opened.
    ///
    /// # Errors
    /// `BadTag` or `Field`.
    pub(super) fn conclude_answer<'f>(
        &mut self,
        pending: &Pending,
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
        if !too_soon && self.slots.select(server_time_ms).is_ok() {
            self.clock_offset_ms = server_time_ms.cast_signed() - now_ms.cast_signed();
            self.corrected_at_ms = Some(now_ms);
        }
    }
}
