//! What the server keeps of a session beside its replay window, in 192 bytes (SPEC §5, §7.2).

use mvt_lanes::HmacKey;

use crate::{
    Header, Limits, Reject, Suite,
    constants::{FIRST_USE_MS, SLOT_BITS},
    header::Flags,
    replay,
    secret::Secret,
    session::{Authentic, Exchange, Fresh, Refused, exchange::Answering, in_time},
    slot::{HeldKeys, Slot, slot_key, slot_of},
    suite::{RequestKey, tag_of},
};

/// The server's half of one session of one generation, without the words of its replay window: those are kept by the
/// caller, in as many as the limits say, all zero at the start, and lent to [`SessionState::commit`].
///
/// Three cache lines: the chain with everything small, the current slot key, the previous one. Wiped on drop.
///
/// Invariants: `chain` is CK of slot `index + 1`; `top` is one past the highest accepted counter, which is below
/// `reject_after_requests`, and 0 until the client has proved the key; `index` is at most the slot of the hard limit, so
/// 16 bits hold it.
#[derive(Debug)]
#[repr(C)]
pub struct SessionState {
    chain: Secret,
    key_id: u64,
    /// Origin in the upper 48 bits, generation in the lower 16.
    origin_generation: u64,
    top: u32,
    reject_after_requests: u32,
    reject_after_ms: u32,
    index: u16,
    suite: SuiteByte,
    phase: Phase,
    keys: HeldKeys,
}

/// A suite in one byte.
#[derive(Debug, Clone, Copy)]
struct SuiteByte(u8);

impl SuiteByte {
    const fn new(suite: Suite) -> Self {
        Self(suite as u8)
    }

    #[inline]
    const fn suite(self) -> Suite {
        if self.0 == Suite::Gcm256 as u8 { Suite::Gcm256 } else { Suite::Hs256 }
    }
}

/// What a request needs to know of a renewal under way, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Phase(u8);

impl Phase {
    /// The next generation is offered.
    pub(super) const OFFERED: u8 = 0x01;
    /// The generation before drains.
    pub(super) const DRAINING: u8 = 0x02;
    /// A `last` was verified.
    pub(super) const ENDED: u8 = 0x04;
    /// Bad tags, or an operator, ask for a renewal.
    pub(super) const SUSPECT: u8 = 0x08;
    /// Nothing of the generation that drains can be accepted any more (§11.3.8).
    pub(super) const SPENT: u8 = 0x10;
    /// Its drain was cut short, and is over with this millisecond.
    pub(super) const CUT: u8 = 0x20;
}

const _: () = assert!(size_of::<SessionState>() == 192, "three cache lines");

/// Bytes at the front of a [`SessionState`] that a request needs as long as its slot is the current one.
pub const STATE_BYTES_HOT: usize = 128;

impl SessionState {
    /// A session that begins in `generation` at `origin_ms` on the server's timescale with `chain` = CK_0.
    pub(super) fn new(
        key_id: u64,
        suite: Suite,
        limits: Limits,
        mut chain: Secret,
        (generation, origin_ms): (u16, u64),
    ) -> Self {
        let keys = HeldKeys::new(&mut chain);
        Self {
            chain,
            key_id,
            origin_generation: origin_ms << 16 | u64::from(generation),
            top: 0,
            reject_after_requests: limits.reject_after_requests,
            reject_after_ms: limits.reject_after_ms,
            index: 0,
            suite: SuiteByte::new(suite),
            phase: Phase(0),
            keys,
        }
    }

    /// No session: key id 0, no key. For places of a table that are free.
    #[must_use]
    pub const fn vacant() -> Self {
        Self {
            chain: Secret::new([0; 32]),
            key_id: 0,
            origin_generation: 0,
            top: 0,
            reject_after_requests: 0,
            reject_after_ms: 0,
            index: 0,
            suite: SuiteByte::new(Suite::Hs256),
            phase: Phase(0),
            keys: HeldKeys { current: HmacKey::blank(), previous: HmacKey::blank() },
        }
    }

    /// Names the session.
    #[must_use]
    #[inline]
    pub const fn key_id(&self) -> u64 {
        self.key_id
    }

    /// The agreed suite.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite.suite()
    }

    /// T_g on the server's timescale, ms.
    #[must_use]
    #[inline]
    pub const fn origin_ms(&self) -> u64 {
        self.origin_generation >> 16
    }

    /// Number of renewals so far.
    #[must_use]
    #[inline]
    pub const fn generation(&self) -> u16 {
        self.origin_generation as u16
    }

    /// The state of the generation after this one, that begins at `origin_ms` with `chain` = CK_0.
    pub(super) fn next(&self, mut chain: Secret, origin_ms: u64) -> Self {
        let keys = HeldKeys::new(&mut chain);
        Self {
            chain,
            key_id: self.key_id,
            origin_generation: origin_ms << 16 | u64::from(self.generation() + 1),
            top: 0,
            reject_after_requests: self.reject_after_requests,
            reject_after_ms: self.reject_after_ms,
            index: 0,
            suite: self.suite,
            phase: Phase(0),
            keys,
        }
    }

    #[inline]
    pub(super) const fn is_in(&self, phase: u8) -> bool {
        self.phase.0 & phase != 0
    }

    pub(super) const fn enter(&mut self, phase: u8) {
        self.phase.0 |= phase;
    }

    pub(super) const fn leave(&mut self, phase: u8) {
        self.phase.0 &= !phase;
    }

    /// Whether another generation of this session is kept beside this one: offered, or draining (§11).
    #[must_use]
    #[inline]
    pub const fn is_renewing(&self) -> bool {
        self.is_in(Phase::OFFERED | Phase::DRAINING)
    }

    /// Whether the generation before drains, can accept nothing any more, and was not cut short yet (§11.3.8).
    #[must_use]
    pub const fn is_spent(&self) -> bool {
        self.is_in(Phase::SPENT) && !self.is_in(Phase::CUT)
    }

    /// Whether a drain was cut short and is to be looked at: it may be over.
    #[must_use]
    #[inline]
    pub const fn is_cut(&self) -> bool {
        self.is_in(Phase::CUT)
    }

    /// Has the next recorded request call for an OFFER, whatever the limits (§11.2.1).
    pub const fn ask_renewal(&mut self) {
        if self.generation() < u16::MAX {
            self.enter(Phase::SUSPECT);
        }
    }

    /// Whether a verified request of this generation calls for an OFFER, or for the one outstanding again (§11.2.1,
    /// §11.2.3), or for the end of a drain that only keeps the next OFFER waiting (§11.3.8): `soft` are the node's limits. The
    /// time is spread by the key id over its last tenth.
    #[must_use]
    #[inline]
    pub const fn wants_offer(&self, soft: &Limits, now_ms: u64) -> bool {
        if self.is_in(Phase::OFFERED) {
            return true;
        }
        if self.is_in(Phase::DRAINING) && !self.is_spent() {
            // §11.2.2: not while the generation before drains.
            return false;
        }
        if self.is_in(Phase::SUSPECT) {
            return true;
        }
        let spread = (soft.renew_after_ms as u64 / 10 * (self.key_id & 0xffff)) >> 16;
        self.generation() < u16::MAX
            && (self.top >= soft.renew_after_requests
                || now_ms.saturating_sub(self.origin_ms()) >= soft.renew_after_ms as u64 - spread)
    }

    /// Whether a counter of this generation would be recorded; changes nothing.
    ///
    /// # Errors
    /// `Limit`, `Replay` or `TooOld`.
    pub(super) fn test(&self, window: &[u64], counter: u64) -> Result<(), Reject> {
        if counter >= u64::from(self.reject_after_requests) {
            return Err(Reject::Limit);
        }
        replay::test(u64::from(self.top), window, counter)
    }

    /// Whether every counter below `end`, which is at most `top`, was recorded or is too old to be.
    pub(super) fn has_recorded_all(&self, window: &[u64], end: u64) -> bool {
        replay::has_all(u64::from(self.top), window, end)
    }

    /// When nothing of this generation is accepted any more, ms (§7.2.3).
    #[must_use]
    #[inline]
    pub const fn hard_deadline_ms(&self) -> u64 {
        self.origin_ms() + self.reject_after_ms as u64
    }

    /// Whether the client has proved the key by a first verified request (§10.3.2).
    #[must_use]
    #[inline]
    pub const fn is_confirmed(&self) -> bool {
        self.top > 0
    }

    /// When the session is to be erased: the hard limit, or 10 s while nobody has used it. Server time, ms.
    #[must_use]
    #[inline]
    pub const fn deadline_ms(&self) -> u64 {
        let hard_ms = self.reject_after_ms as u64;
        let first_use_is_due = !self.is_confirmed() && self.generation() == 0 && FIRST_USE_MS < hard_ms;
        self.origin_ms() + if first_use_is_due { FIRST_USE_MS } else { hard_ms }
    }

    /// Moves the slot keys to `now_ms`, erasing those that passed (§5.2). For a sweep over idle sessions too. From the hard
    /// limit on nothing moves: the session is to be erased.
    #[inline]
    pub fn advance(&mut self, now_ms: u64) {
        let age_ms = now_ms.saturating_sub(self.origin_ms());
        let age_ms_max = u64::from(self.reject_after_ms).saturating_sub(1);
        let now_index = (age_ms.min(age_ms_max) >> SLOT_BITS) as u16;
        while self.index < now_index {
            self.index += 1;
            self.keys.step(&mut self.chain, u32::from(self.index));
        }
    }

    /// When [`SessionState::advance`] has something to erase next, ms.
    #[must_use]
    pub const fn next_slot_ms(&self) -> u64 {
        self.origin_ms() + ((self.index as u64 + 1) << SLOT_BITS)
    }

    /// Time and key: judges the timestamp and chooses the slot key. A frame that cannot pass goes on with a key all the
    /// same, so that every refusal costs one verification.
    #[inline]
    pub fn check(&mut self, header: &Header, now_ms: u64) -> Fresh {
        self.check_until(header, now_ms, self.deadline_ms())
    }

    /// [`SessionState::check`] for a generation that ends at `until_ms`.
    #[inline]
    pub(super) fn check_until(&mut self, header: &Header, now_ms: u64, until_ms: u64) -> Fresh {
        self.advance(now_ms);
        let slot = slot_of(self.origin_ms(), header.timestamp)
            .and_then(|asked| Slot::of(u32::from(self.index), asked));
        let is_held = header.generation == self.generation() && now_ms < until_ms;
        let refused = if is_held { slot.err() } else { Some(Reject::NoSlot) };
        // Of another generation too: a key is derived or not by the timestamp alone.
        let slot = slot.unwrap_or(Slot::Current);
        Fresh { stale: in_time(header.timestamp, now_ms).is_err(), ..self.fresh(header, slot, refused) }
    }

    /// Whether the key of a timestamp's slot is held (§5.2.2).
    #[must_use]
    pub fn holds_slot_of(&self, timestamp: u64) -> bool {
        let asked = slot_of(self.origin_ms(), timestamp);
        asked.and_then(|asked| Slot::of(u32::from(self.index), asked)).is_ok()
    }

    /// The same for a key id the server does not hold; `self` is then a dummy session (§9.2). Its slots are pretended to begin at
    /// `origin_ms`, so that a timestamp for which a session there would derive a key has one derived here.
    #[inline]
    pub fn check_unknown(&self, header: &Header, origin_ms: u64, now_ms: u64) -> Fresh {
        let slot = slot_of(origin_ms, now_ms)
            .and_then(|index| Slot::of(index, slot_of(origin_ms, header.timestamp)?))
            .unwrap_or(Slot::Current);
        self.fresh(header, slot, Some(Reject::UnknownKey))
    }

    /// Computed with the suite of the frame's flag, whoever's it is: what a frame costs tells nothing of the session it names. One of
    /// another suite than the session's has a bad tag (§4.2).
    #[inline]
    fn fresh(&self, header: &Header, slot: Slot, refused: Option<Reject>) -> Fresh {
        let suite = if header.flags.sealed() { Suite::Gcm256 } else { Suite::Hs256 };
        let bad_tag = (suite != self.suite()).then_some(Reject::BadTag);
        Fresh {
            key_id: self.key_id,
            counter: header.counter,
            generation: self.generation(),
            suite,
            slot,
            refused: refused.or(bad_tag),
            stale: false,
            joint: header.flags.joint(),
            last: header.flags.0 & Flags::LAST != 0,
        }
    }

    /// The slot key of a frame that was checked against this session; `None` for the next slot's, which is not held.
    #[inline]
    pub(super) const fn held_key(&self, fresh: &Fresh) -> Option<&HmacKey> {
        match fresh.slot {
            Slot::Previous => Some(&self.keys.previous),
            Slot::Current => Some(&self.keys.current),
            Slot::Next => None,
        }
    }

    /// The key of the next slot, for one frame.
    pub(super) fn next_key(&self) -> HmacKey {
        slot_key(&self.chain, u32::from(self.index) + 1)
    }

    /// Tag: derives K_req and opens `frame` in place. Changes no state (§7.2.2).
    ///
    /// # Errors
    /// `UnknownKey`, `NoSlot` or `BadTag`.
    #[inline]
    pub fn open(&self, fresh: Fresh, frame: &mut [u8]) -> Result<Authentic, Reject> {
        let next;
        let slot_key = match self.held_key(&fresh) {
            Some(key) => key,
            None => {
                next = self.next_key();
                &next
            }
        };
        let key = RequestKey::derive(fresh.suite, slot_key, fresh.generation, fresh.counter);
        let opened = key.open(frame, &[]);
        let sealer = Answering { request_key: key, request_tag: tag_of(frame), addressed: fresh.addressed() };
        fresh.conclude(opened.is_ok(), sealer)
    }

    /// Whether [`SessionState::commit`] judges this frame: of this generation, which no `last` ended or ends. The others are
    /// for [`Renewal`](crate::session::Renewal).
    #[inline]
    #[must_use]
    pub const fn judges<K>(&self, authentic: &Authentic<K>) -> bool {
        authentic.generation == self.generation() && !authentic.last && !self.is_in(Phase::ENDED)
    }

    /// Replay: records the counter of a verified frame of this generation in `window`, its words (§7.2.4,
    /// §8.5). What comes back may be executed.
    ///
    /// # Errors
    /// [`Refused`]: `Limit`, `Replay` or `TooOld`, and then nothing changed, or `Stale`, in this order.
    #[inline]
    pub fn commit<K>(
        &mut self,
        window: &mut [u64],
        authentic: Authentic<K>,
    ) -> Result<Exchange<K>, Refused<K>> {
        let Authentic { counter, generation, stale, key, .. } = authentic;
        debug_assert_eq!(generation, self.generation());
        let exchange = Exchange { key };
        let mut top = u64::from(self.top);
        let verdict = if counter >= u64::from(self.reject_after_requests) {
            Err(Reject::Limit)
        } else {
            replay::test_and_set(&mut top, window, counter)
        };
        // At most one past a counter below a 32-bit limit.
        self.top = top as u32;
        // Recorded all the same: what was answered STALE was not executed and never will be (§7.2.1).
        let verdict = if verdict.is_ok() && stale { Err(Reject::Stale) } else { verdict };
        match verdict {
            Ok(()) => Ok(exchange),
            Err(reject) => Err(Refused { reject, exchange }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Limits, schedule::GenerationKeys, session::ServerSession};

    /// §9.2: by what a request costs nobody learns whether the session it names is there, of which suite, of which generation.
    #[test]
    fn suite_and_slot_follow_from_the_frame_alone() {
        const ORIGIN_MS: u64 = 1_700_000_000_000;
        let session = |suite| {
            let keys = GenerationKeys::derive(Secret::new([1; 32]), 7, 0);
            ServerSession::new(7, suite, Limits::DEFAULT, keys, ORIGIN_MS).into_parts().0
        };
        let now_ms = ORIGIN_MS + 70_000;
        for (flags, generation, off_ms) in [Suite::Hs256, Suite::Gcm256]
            .into_iter()
            .flat_map(|suite| [0, 5].map(|generation| (suite.flags(), generation)))
            .flat_map(|(flags, generation)| [0, -30_000, 65_536, 400_000].map(|ms| (flags, generation, ms)))
        {
            let timestamp = now_ms.saturating_add_signed(off_ms);
            let (kind, payload_bytes) = (Kind::Req, 0);
            let header =
                Header { kind, flags, key_id: 7, generation, op: 0, counter: 0, timestamp, payload_bytes };
            let none = session(Suite::Hs256).check_unknown(&header, ORIGIN_MS, now_ms);
            for suite in [Suite::Hs256, Suite::Gcm256] {
                let there = session(suite).check(&header, now_ms);
                assert_eq!((there.suite, there.slot), (none.suite, none.slot), "{header:?}, {suite:?}");
            }
        }
    }
}
