//! The generation a server keeps beside the current one: first offered, then draining (SPEC §11).
//!
//! A request of the current generation knows nothing of it. What names another generation is judged here, in the same
//! steps: [`Renewal::check`], the lanes, [`Renewal::commit`].

mod agreeing;
mod commit;
mod offer;
mod rekey;
mod share;

pub use agreeing::{Agreed, Agreement};
pub use commit::Current;
pub use offer::Offering;
pub use rekey::{BadTags, Rekey};
pub use share::Shared;

use alloc::{boxed::Box, sync::Arc};

use crate::{
    Header,
    agreement::Ephemeral,
    constants::{KEY_BYTES, OFFER_BYTES_MAX},
    secret::Secret,
    session::{Fresh, SessionState},
};

/// All a server keeps of one generation.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) state: SessionState,
    pub(super) rekey: Rekey,
    pub(super) window: Box<[u64]>,
}

/// A form-1 OFFER whose generation is not derived yet: N and the server's half.
#[derive(Debug)]
struct Awaited {
    nonce: Secret,
    pair: Arc<Ephemeral>,
}

/// A renewal under way. Wiped on drop.
///
/// Invariants: `until_ms` is `None` while the next generation is offered: then `beside` is that one, and `None` only while
/// `awaited` is there: for a SHARE, or once `share` is there for what comes of the agreement. From the commit on it is the end of the drain, and `beside` the generation before.
#[derive(Debug)]
pub struct Renewal {
    beside: Option<Generation>,
    awaited: Option<Awaited>,
    /// e_c, once a SHARE gave it.
    share: Option<[u8; KEY_BYTES]>,
    /// T_{g+1}.
    offered_ms: u64,
    sent_ms: u64,
    offer: [u8; OFFER_BYTES_MAX],
    offer_bytes: u8,
    window_words: u16,
    until_ms: Option<u64>,
}

impl Renewal {
    /// When the generation before is to be erased; `None` before the commit.
    #[must_use]
    pub const fn until_ms(&self) -> Option<u64> {
        self.until_ms
    }

    /// Whether the drain is over: then this is to be dropped, and [`Renewal::end`] called for the current state.
    #[must_use]
    pub fn is_over(&self, now_ms: u64) -> bool {
        self.until_ms.is_some_and(|until| now_ms >= until)
    }

    /// Tells the current state that its renewal was dropped.
    pub const fn end(state: &mut SessionState) {
        use super::state::Phase;
        state.leave(Phase::OFFERED | Phase::DRAINING | Phase::SPENT | Phase::CUT);
    }

    /// The state of the generation kept beside the current one, against which a frame that was checked here is opened.
    #[must_use]
    pub fn state(&self) -> Option<&SessionState> {
        self.beside.as_ref().map(|beside| &beside.state)
    }

    /// Its state with its control keys.
    pub fn parts_mut(&mut self) -> Option<(&mut SessionState, &mut Rekey)> {
        self.beside.as_mut().map(|beside| (&mut beside.state, &mut beside.rekey))
    }

    /// Moves its slot keys to `now_ms` (§5.2.2); gives when to come again, ms.
    pub fn advance(&mut self, now_ms: u64) -> Option<u64> {
        let next_slot_ms = self.beside.as_mut().map(|beside| {
            beside.state.advance(now_ms);
            beside.state.next_slot_ms()
        });
        match (next_slot_ms, self.until_ms) {
            (Some(slot), Some(until)) => Some(slot.min(until)),
            (slot, until) => slot.or(until),
        }
    }

    /// Time and key of a frame that does not name the generation of `current`, of which `rekey` is; `None` when this is not the
    /// generation it names either: then `current` refuses it. Whether it [`Renewal::lacks_ack`] is judged by itself. The keys of the next
    /// generation are derived for it where that was put off (§11.2.7).
    pub fn check(
        &mut self,
        current: &SessionState,
        rekey: &mut Rekey,
        header: &Header,
        now_ms: u64,
    ) -> Option<Fresh> {
        if self.is_agreeing() {
            self.agree_for(current, rekey, header, now_ms);
        }
        if !self.holds(current, header, now_ms) {
            return None;
        }
        let until_ms = self.end_ms(current);
        self.beside.as_mut().map(|beside| beside.state.check_until(header, now_ms, until_ms))
    }

    /// Whether the generation kept here is the one that a frame names.
    #[must_use]
    pub fn holds(&self, current: &SessionState, header: &Header, now_ms: u64) -> bool {
        let names_it = self.state().is_some_and(|state| state.generation() == header.generation);
        names_it && now_ms < self.end_ms(current)
    }

    /// Whether a frame of the generation kept here is refused as one whose key is not held: it is offered, and the frame does
    /// not say `ack` (§11.3.2).
    #[must_use]
    pub const fn lacks_ack(&self, header: &Header) -> bool {
        self.until_ms.is_none() && !header.flags.ack()
    }

    /// §11.3.5: what is offered ends with the generation that offered it.
    fn end_ms(&self, current: &SessionState) -> u64 {
        self.until_ms.unwrap_or_else(|| current.hard_deadline_ms())
    }
}
