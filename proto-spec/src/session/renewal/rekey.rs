//! What the server keeps of a generation for its renewal: touched by no ordinary request (SPEC §11).

use alloc::vec::Vec;

use crate::{
    constants::{BAD_TAGS_ERASE, BAD_TAGS_RENEW, EXCHANGE_GENERATIONS, EXCHANGE_MS},
    frame::control::{About, Control},
    schedule::GenerationKeys,
    secret::Secret,
    session::{SessionState, state::Phase},
};

/// The control keys of a generation, RT_g for the next one, RS_g for its ticket. Wiped on drop.
#[derive(Debug)]
pub struct Rekey {
    /// RT_g; blank once the next generation is derived.
    pub(super) ratchet: Secret,
    /// RS_g; blank once a ticket took it.
    resume: Secret,
    pub(super) control_s2c: Secret,
    pub(super) control_c2s: Secret,
    /// When the session's last Diffie-Hellman was, server time, ms; 0 if there was none.
    pub(super) exchanged_ms: u64,
    bad_tag_count: u32,
    /// The counter of the last request of this generation; `u32::MAX` while no `last` was verified.
    pub(super) last: u32,
}

const _: () = assert!(size_of::<Rekey>() == 144, "the cold part of a session");

/// What follows from one more bad tag (§11.3.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadTags {
    /// Nothing.
    Few,
    /// The generation is renewed with its next verified request (§11.2.1).
    Renew,
    /// The session is to be erased.
    Erase,
}

impl Rekey {
    /// What `keys` hold for later, and CK_0; `exchanged_ms` is the time of the session's last Diffie-Hellman.
    pub(in crate::session) fn split(keys: GenerationKeys, exchanged_ms: u64) -> (Self, Secret) {
        let GenerationKeys { ratchet, resume, control_c2s, control_s2c, request_chain, .. } = keys;
        let rekey = Self {
            ratchet,
            resume,
            control_s2c,
            control_c2s,
            exchanged_ms,
            bad_tag_count: 0,
            last: u32::MAX,
        };
        (rekey, request_chain)
    }

    /// No keys: for places of a table that are free.
    #[must_use]
    pub const fn vacant() -> Self {
        Self {
            ratchet: Secret::blank(),
            resume: Secret::blank(),
            control_s2c: Secret::blank(),
            control_c2s: Secret::blank(),
            exchanged_ms: 0,
            bad_tag_count: 0,
            last: u32::MAX,
        }
    }

    pub(in crate::session) fn exchanged_at(mut self, exchanged_ms: u64) -> Self {
        self.exchanged_ms = exchanged_ms;
        self
    }

    /// Whether the next OFFER carries a Diffie-Hellman (§11.2.4).
    #[must_use]
    pub const fn wants_exchange(&self, state: &SessionState, now_ms: u64) -> bool {
        state.generation().wrapping_add(1).is_multiple_of(EXCHANGE_GENERATIONS)
            || now_ms.saturating_sub(self.exchanged_ms) >= EXCHANGE_MS
    }

    /// Counts a frame of this generation whose tag did not hold (§11.3.7).
    pub const fn note_bad_tag(&mut self, state: &mut SessionState) -> BadTags {
        self.bad_tag_count = self.bad_tag_count.saturating_add(1);
        if self.bad_tag_count >= BAD_TAGS_ERASE {
            return BadTags::Erase;
        }
        if self.bad_tag_count < BAD_TAGS_RENEW || state.generation() == u16::MAX {
            return BadTags::Few;
        }
        state.enter(Phase::SUSPECT);
        BadTags::Renew
    }

    /// RS_g, for the one ticket of this generation (§11.1.2); `None` when it was taken.
    #[must_use]
    pub fn take_resume(&mut self) -> Option<Secret> {
        let resume = self.resume.take();
        (*resume.expose() != [0; 32]).then_some(resume)
    }

    /// Appends the TICKET with this ticket to `out` (§11.1.3).
    pub fn seal_ticket(&self, state: &SessionState, ticket: &[u8], now_ms: u64, out: &mut Vec<u8>) {
        let about = About { key_id: state.key_id(), generation: state.generation(), timestamp: now_ms };
        Control::Ticket.seal(&self.control_s2c, about, ticket, out);
    }
}
