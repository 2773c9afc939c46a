//! Renewal of every session's keys because an operator asks for it (SPEC §11.2.1): a few at a time, so that requests under way
//! hardly notice.
//!
//! A session is only told to renew, which it does with its next request. So the shard goes round until no generation of
//! before can be left, for one that was being offered when it was told, too.

use crate::{
    limits::{ROTATION_PER_SECOND_MAX, ROTATION_PER_TICK_MAX, ROTATION_PER_TURN_MAX},
    shard::Shard,
};

/// One rotation. Invariant: `looked` ≤ [`Rotation::due`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Rotation {
    /// Generations that began before are to go.
    begun_ms: u64,
    end_ms: u64,
    per_second: u64,
    /// Places looked at so far, all rounds together.
    looked: u64,
}

impl Rotation {
    /// Places that should have been looked at by now.
    const fn due(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.begun_ms) * self.per_second / 1000
    }
}

impl Shard {
    /// Begins to have every session renew within about `within_ms`, or in the time that [`ROTATION_PER_SECOND_MAX`] takes where that
    /// is longer. One asked for meanwhile begins anew.
    pub(super) fn rotate(&mut self, within_ms: u64, now_ms: u64) {
        let per_second = (self.sessions.place_count() as u64 * 1000).div_ceil(within_ms.max(1));
        self.rotation = Some(Rotation {
            begun_ms: now_ms,
            // By then whatever was there at the beginning has renewed, or has met its hard limit.
            end_ms: now_ms + u64::from(self.node.limits.reject_after_ms),
            per_second: per_second.clamp(1, ROTATION_PER_SECOND_MAX),
            looked: 0,
        });
    }

    /// After each turn.
    #[inline]
    pub(super) fn rotate_in_turn(&mut self, now_ms: u64) {
        if self.rotation.is_some() {
            self.go_on_rotating(ROTATION_PER_TURN_MAX, now_ms);
        }
    }

    /// At each tick: for a shard that has few turns.
    pub(super) fn rotate_in_tick(&mut self, now_ms: u64) {
        self.go_on_rotating(ROTATION_PER_TICK_MAX, now_ms);
    }

    #[cold]
    fn go_on_rotating(&mut self, most: u64, now_ms: u64) {
        let Some(mut rotation) = self.rotation else { return };
        let places = self.sessions.place_count() as u64;
        if now_ms >= rotation.end_ms || places == 0 {
            self.rotation = None;
            return;
        }
        let count = most.min(rotation.due(now_ms) - rotation.looked).min(places);
        let from = (rotation.looked % places) as usize;
        let asked = self.sessions.ask_renewals(from, count as usize, rotation.begun_ms);
        self.counters.rotations_asked.add(asked);
        rotation.looked += count;
        self.rotation = Some(rotation);
    }
}
