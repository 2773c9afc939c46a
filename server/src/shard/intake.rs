//! How fast new connections are taken in while logins come faster than they are worked off.
//!
//! A connection costs a shard some twenty microseconds before it has shown anything, and whoever is cut off for sending login
//! frames without end comes back with another one. Established sessions do not pay for that: the rest waits in the kernel.

use crate::{
    handshakes::Load,
    limits::{ACCEPTS_PER_INTERVAL_MAX, SWEEP_INTERVAL_MS},
    shard::Shard,
};

/// Connections taken in during one interval.
#[derive(Debug, Default)]
pub(super) struct Intake {
    begun_ms: u64,
    count: u32,
}

impl Intake {
    pub(super) const fn note(&mut self, now_ms: u64) {
        if now_ms >= self.begun_ms + SWEEP_INTERVAL_MS {
            self.begun_ms = now_ms;
            self.count = 0;
        }
        self.count += 1;
    }
}

impl Shard {
    /// Whether the driver is to go on accepting now; if not, then again after [`SWEEP_INTERVAL_MS`].
    pub fn wants_accept(&self) -> bool {
        let is_full = self.intake.count >= ACCEPTS_PER_INTERVAL_MAX;
        let is_paused = is_full && self.handshakes.load(mvt_proto::Kind::Hello) != Load::Low;
        if is_paused {
            self.counters.accepts_paused.add(1);
        }
        !is_paused
    }
}
