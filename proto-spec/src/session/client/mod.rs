//! The client's half of a session: seals requests (SPEC §7.1), through its renewals (§11).

mod answer;
mod control;
mod generation;

pub use answer::Answer;
pub use control::Told;

use alloc::vec::Vec;

use mvt_lanes::HmacKey;

use self::generation::{Generation, Previous, Sealing};
use crate::{
    Header, Limits, Suite,
    constants::{HEADER_BYTES, PAYLOAD_BYTES_MAX, TAG_BYTES, U48_MAX},
    header::{Flags, Kind, counter_of},
    lost::LostKey,
    schedule::GenerationKeys,
    suite::{RequestKey, Tag, tag_of},
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
    /// The keys of the generation it begins in: 0 by every login.
    pub keys: GenerationKeys,
    /// Verifies a LOST of this session.
    pub lost_key: LostKey,
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
    pub(super) tag: Tag,
}

impl Pending {
    /// The request's counter, by which its answer finds it.
    #[must_use]
    pub fn counter(&self) -> u64 {
        counter_of(&self.header)
    }

    /// The request's generation, within which its counter counts.
    #[must_use]
    pub const fn generation(&self) -> u16 {
        u16::from_be_bytes([self.header[12], self.header[13]])
    }
}

/// Requests and age, ms, half-way between the soft and the hard limits of a generation.
fn half_way(limits: &Limits) -> (u64, u64) {
    let between = |soft: u32, hard: u32| u64::from(soft) + u64::from(hard - soft) / 2;
    (
        between(limits.renew_after_requests, limits.reject_after_requests),
        between(limits.renew_after_ms, limits.reject_after_ms),
    )
}

/// The client's half of one session.
#[derive(Debug)]
pub struct ClientSession {
    key_id: u64,
    suite: Suite,
    limits: Limits,
    /// The newest generation.
    current: Generation,
    previous: Option<Previous>,
    /// Its keys were erased: nothing is sealed any more.
    is_broken: bool,
    /// Server time at local time 0: added to the caller's monotonic clock (§6.2).
    clock_offset_ms: i64,
    corrected_at_ms: Option<u64>,
    lost_key: LostKey,
    takes_verdicts: bool,
    /// After a SHARE: see [`ClientSession::leave_at_once`].
    stays: bool,
}

impl ClientSession {
    /// A session that was granted at `now_ms` of the caller's monotonic clock, which counts suspension.
    #[must_use]
    pub fn new(granted: Granted, now_ms: u64) -> Self {
        Self {
            key_id: granted.key_id,
            suite: granted.suite,
            limits: granted.limits,
            current: Generation::new(granted.keys, granted.server_time_ms),
            previous: None,
            is_broken: false,
            clock_offset_ms: granted.server_time_ms.cast_signed() - now_ms.cast_signed(),
            corrected_at_ms: None,
            lost_key: granted.lost_key,
            takes_verdicts: false,
            stays: true,
        }
    }

    /// From now on asks that requests be answered together where the server can: to be opened with
    /// [`ClientSession::open_verdicts`] (§7.4).
    pub const fn take_verdicts(&mut self) {
        self.takes_verdicts = true;
    }

    /// From now on goes on with no generation after a SHARE: for callers whose requests travel one at a time until the server has that,
    /// because frames are lost or overtake each other on their way (§11.2.6). They would do so for longer, and the server has the time
    /// of a round trip as it is (§11.3.9).
    pub const fn leave_at_once(&mut self) {
        self.stays = false;
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

    /// Renewals so far.
    #[must_use]
    pub const fn generation(&self) -> u16 {
        self.current.number
    }

    /// Requests sealed so far in the newest generation.
    #[must_use]
    pub const fn counter(&self) -> u64 {
        self.current.counter
    }

    /// The limits of each generation, as granted.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Server time at the caller's `now_ms` (§6.2).
    #[must_use]
    pub const fn server_time_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_add_signed(self.clock_offset_ms)
    }

    /// Whether the session should be replaced by a new one: a soft limit is long passed and no OFFER came (§11.2.1). The point
    /// is half-way between soft and hard limit, so that the server's offer and a replacement do not cross.
    #[must_use]
    pub fn replacement_is_due(&self, now_ms: u64) -> bool {
        let (requests, age_ms) = half_way(&self.limits);
        self.is_exhausted(now_ms) || self.current.counter >= requests || self.age_ms(now_ms) >= age_ms
    }

    /// Whether a hard limit is reached and nothing can be sealed any more (§7.1.3).
    #[must_use]
    pub fn is_exhausted(&self, now_ms: u64) -> bool {
        self.sealable_count(now_ms) == 0
    }

    /// Requests that can be sealed before a hard limit (§7.1.3).
    #[must_use]
    pub fn sealable_count(&self, now_ms: u64) -> u64 {
        let is_over = self.is_broken
            || self.age_ms(now_ms) >= u64::from(self.limits.reject_after_ms)
            || self.server_time_ms(now_ms) > U48_MAX;
        if is_over { 0 } else { self.counters_left(&self.current) }
    }

    fn counters_left(&self, generation: &Generation) -> u64 {
        u64::from(self.limits.reject_after_requests).saturating_sub(generation.counter)
    }

    fn age_ms(&self, now_ms: u64) -> u64 {
        self.server_time_ms(now_ms).saturating_sub(self.current.slots.origin_ms())
    }

    /// Erases every key: nothing is sealed any more.
    fn erase(&mut self) {
        let Generation { number, slots, .. } = &self.current;
        self.current = Generation::new(GenerationKeys::blank(*number), slots.origin_ms());
        self.previous = None;
        self.is_broken = true;
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
        self.may_seal(payload.len(), now_ms)?;
        Ok(self.seal_one(op, payload, now_ms, out))
    }

    /// Judges whether a request can be sealed, and forgets what no answer can need any more.
    ///
    /// # Errors
    /// [`SealError`]; then nothing changed.
    #[inline]
    pub(super) fn may_seal(&mut self, payload_bytes: usize, now_ms: u64) -> Result<(), SealError> {
        if payload_bytes > PAYLOAD_BYTES_MAX {
            return Err(SealError::PayloadTooLong);
        }
        if self.is_exhausted(now_ms) {
            return Err(SealError::Exhausted);
        }
        if self.previous.is_some() {
            self.forget_previous(now_ms);
        }
        Ok(())
    }

    /// A request was sealed: if it was the last of the generation before, that one's keys are erased.
    #[inline]
    pub(super) fn leave_previous(&mut self) {
        if let Some(previous) = self.previous.as_mut().filter(|previous| previous.sealing == Sealing::Last) {
            previous.leave();
        }
    }

    /// Seals a request that may be sealed.
    fn seal_one(&mut self, op: u16, payload: &[u8], now_ms: u64, out: &mut Vec<u8>) -> Pending {
        let header = self.next_header(op, payload.len(), now_ms);
        let suite = self.suite;
        let key = RequestKey::derive(suite, self.sealing_key(&header), header.generation, header.counter);
        self.leave_previous();

        let header_bytes = header.to_bytes();
        let start = out.len();
        out.extend_from_slice(&header_bytes);
        out.extend_from_slice(payload);
        out.extend_from_slice(&[0; TAG_BYTES]);
        key.seal(&mut out[start..], &[]);
        let tag = tag_of(&out[start..]);
        Pending { key, header: header_bytes, tag }
    }

    /// The header of the next request; its counter is used up (§7.1.1). The one after an OFFER, or after the moment that follows a
    /// SHARE (§11.3.9), is the last of the generation that ends, if that can still seal (§11.3.1).
    #[inline]
    pub(super) fn next_header(&mut self, op: u16, payload_bytes: usize, now_ms: u64) -> Header {
        let server_time_ms = self.server_time_ms(now_ms);
        let limits = &self.limits;
        let before = self.previous.as_mut().and_then(|previous| {
            let is_last = *previous.next(limits, server_time_ms, now_ms)? == Sealing::Last;
            Some((&mut previous.generation, is_last))
        });
        let flags = self.suite.flags().with(if self.takes_verdicts { Flags::JOINT } else { 0 });
        let (generation, flags) = match before {
            Some((generation, true)) => (generation, flags.with(Flags::LAST)),
            Some((generation, false)) => (generation, flags),
            None => {
                if let Some(previous) = &mut self.previous {
                    previous.leave();
                    previous.left_ms.get_or_insert(now_ms);
                }
                let is_offered = self.current.number > 0 && !self.current.is_confirmed;
                (&mut self.current, if is_offered { flags.with(Flags::ACK) } else { flags })
            }
        };
        let header = Header {
            kind: Kind::Req,
            flags,
            key_id: self.key_id,
            generation: generation.number,
            op,
            counter: generation.counter,
            // §11.3.1: not below T_g, also when our clock is.
            timestamp: server_time_ms.max(generation.slots.origin_ms()),
            payload_bytes,
        };
        generation.counter += 1;
        header
    }

    /// Uses up to `most` counters more for requests like the one whose header was just made, of `generation`: how many. None of a
    /// generation that has ended with it.
    #[inline]
    pub(super) fn take_counters(&mut self, generation: u16, most: usize) -> usize {
        let (generation, limit) = match &mut self.previous {
            Some(previous) if previous.generation.number == generation => match previous.sealing {
                Sealing::Until(_) => (&mut previous.generation, half_way(&self.limits).0),
                _ => return 0,
            },
            _ => (&mut self.current, u64::from(self.limits.reject_after_requests)),
        };
        let left = usize::try_from(limit.saturating_sub(generation.counter)).unwrap_or(usize::MAX);
        let count = most.min(left);
        generation.counter += count as u64;
        count
    }

    /// The slot key of a request that is about to be sealed.
    pub(super) fn sealing_key(&mut self, header: &Header) -> &HmacKey {
        let generation = match &mut self.previous {
            Some(previous) if header.generation == previous.generation.number => &mut previous.generation,
            _ => &mut self.current,
        };
        generation.slots.advance(header.timestamp);
        // A clock corrected backwards over a slot's edge finds the key of the slot before still held.
        generation.slots.held_key(header.timestamp)
    }
}
