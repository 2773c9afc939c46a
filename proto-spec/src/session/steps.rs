//! The typed order of judgement: `Fresh`, then `Authentic`, then `Exchange` or `Refused` (SPEC §7.2).

use crate::{
    Reject, Suite,
    reject::{ErrReason, Visible},
    session::{
        Exchange,
        exchange::{Addressed, Answering},
    },
    slot::Slot,
};

/// A frame whose bounds and time were judged and whose key is chosen; nothing is believed yet.
#[derive(Debug)]
#[must_use]
pub struct Fresh {
    pub(super) key_id: u64,
    pub(super) counter: u64,
    pub(super) generation: u16,
    pub(super) suite: Suite,
    pub(super) slot: Slot,
    /// Refused whatever the tag says: no key was held. The tag is computed all the same (§9.2).
    pub(super) refused: Option<Reject>,
    pub(super) stale: bool,
    /// May be answered together with others (§7.4).
    pub(super) joint: bool,
    /// The flag of that name (§11.3.1).
    pub(super) last: bool,
}

impl Fresh {
    /// What an answer repeats.
    #[inline]
    pub(super) const fn addressed(&self) -> Addressed {
        let Self { suite, key_id, generation, counter, .. } = *self;
        Addressed { suite, key_id, generation, counter }
    }

    /// What follows from whether the tag held; `key` is what the answer is sealed with.
    ///
    /// # Errors
    /// `UnknownKey`, `NoSlot` or `BadTag`.
    #[inline]
    pub(super) fn conclude<K>(&self, tag_holds: bool, key: K) -> Result<Authentic<K>, Reject> {
        if let Some(reject) = self.refused {
            return Err(reject);
        }
        if !tag_holds {
            return Err(Reject::BadTag);
        }
        let Self { counter, generation, stale, last, .. } = *self;
        Ok(Authentic { counter, generation, stale, last, key })
    }
}

/// A frame whose tag held. Its counter was not looked at yet. `K` is what its answer is sealed with.
///
/// Small, as [`Exchange`] is: both pass through registers, and a batch keeps the rest.
#[derive(Debug)]
#[must_use]
pub struct Authentic<K = Answering> {
    pub(super) counter: u64,
    pub(super) generation: u16,
    pub(super) stale: bool,
    pub(super) last: bool,
    pub(super) key: K,
}

/// A verified request that is not executed: answered with an ERR.
#[derive(Debug)]
pub struct Refused<K = Answering> {
    /// The counted reason: `Stale`, `Limit`, `Ended`, `Replay` or `TooOld`.
    pub reject: Reject,
    /// Seals the ERR.
    pub exchange: Exchange<K>,
}

impl<K> Refused<K> {
    /// The reason the client is told.
    #[must_use]
    pub fn reason(&self) -> ErrReason {
        match self.reject.visible() {
            Visible::Err(reason) => reason,
            _ => unreachable!("a verified request is refused with an ERR"),
        }
    }
}
