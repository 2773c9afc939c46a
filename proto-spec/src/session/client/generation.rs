//! What a client keeps of one generation (SPEC §5, §11).

use alloc::{boxed::Box, vec::Vec};

use super::half_way;
use crate::{Limits, schedule::GenerationKeys, secret::Secret, slot::SlotKeys};

/// The keys of one generation at the client. Wiped on drop.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) number: u16,
    pub(super) slots: SlotKeys,
    /// Requests sealed so far.
    pub(super) counter: u64,
    /// An answer under it verified (§11.3.1).
    pub(super) is_confirmed: bool,
    /// RT_g; blank once the next generation is derived.
    pub(super) ratchet: Secret,
    /// RS_g; blank once handed to the caller with its ticket.
    pub(super) resume: Option<Secret>,
    pub(super) control_s2c: Secret,
    pub(super) control_c2s: Secret,
}

impl Generation {
    pub(super) fn new(keys: GenerationKeys, origin_ms: u64) -> Self {
        let GenerationKeys { generation, ratchet, resume, control_c2s, control_s2c, request_chain, .. } =
            keys;
        Self {
            number: generation,
            slots: SlotKeys::new(request_chain, origin_ms),
            counter: 0,
            is_confirmed: false,
            ratchet,
            resume: Some(resume),
            control_s2c,
            control_c2s,
        }
    }
}

/// What is still sealed under the generation before the newest one (§11.3.1).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sealing {
    /// Every request up to this time of the caller's clock, ms, and a last one after it.
    Until(u64),
    /// The request that was begun, its last.
    Last,
    /// Nothing: its slot keys are erased.
    Over,
}

/// The generation before the newest one.
#[derive(Debug)]
pub(super) struct Previous {
    pub(super) generation: Generation,
    /// The OFFER that ended it, as received (§11.2.5).
    pub(super) offer: Box<[u8]>,
    /// The SHARE that answered it; empty with form 0.
    pub(super) share: Vec<u8>,
    pub(super) sealing: Sealing,
    /// When the first request of the newest generation was sealed, by the caller's clock, ms.
    pub(super) left_ms: Option<u64>,
}

impl Previous {
    /// How the next request is sealed under it, given the limits of a generation; none is where `None` comes back.
    pub(super) fn next(&mut self, limits: &Limits, server_time_ms: u64, now_ms: u64) -> Option<&Sealing> {
        let Self { sealing, generation, .. } = self;
        let Sealing::Until(until_ms) = *sealing else { return None };
        let left = u64::from(limits.reject_after_requests).saturating_sub(generation.counter);
        let age_ms = server_time_ms.saturating_sub(generation.slots.origin_ms());
        if left == 0 || age_ms >= u64::from(limits.reject_after_ms) {
            return None;
        }
        if now_ms >= until_ms || generation.counter >= half_way(limits).0 {
            *sealing = Sealing::Last;
        }
        Some(sealing)
    }

    /// Nothing is sealed under it any more: its slot keys are erased, the control keys stay for what comes late.
    pub(super) fn leave(&mut self) {
        if core::mem::replace(&mut self.sealing, Sealing::Over) != Sealing::Over {
            self.generation.slots = SlotKeys::new(Secret::blank(), self.generation.slots.origin_ms());
        }
    }
}
