//! How fast new connections are taken in while logins come faster than they are worked off, or most that come never log in.
//!
//! A connection costs a shard some twenty microseconds before it has shown anything, and whoever is cut off for sending login
//! frames without end comes back with another one. Established sessions do not pay for that: the rest waits in the kernel.

use std::collections::VecDeque;

use crate::{
    handshakes::Load,
    limits::{ACCEPTS_PER_INTERVAL_MAX, ROOM_AFTER_MS, ROOM_SHARE, SWEEP_INTERVAL_MS},
    shard::{ConnectionId, Shard},
};

/// Connections taken in during one interval.
#[derive(Debug, Default)]
pub(super) struct Intake {
    begun_ms: u64,
    count: u32,
    /// Of those that ended during it, how many never had a session.
    strangers: u32,
    /// The same of the interval before.
    strangers_before: u32,
    /// Those that may be strangers yet, with when they came, the oldest first.
    newcomers: VecDeque<(u64, ConnectionId)>,
}

impl Intake {
    pub(super) fn note(&mut self, now_ms: u64, newcomer: Option<ConnectionId>) {
        self.newcomers.extend(newcomer.map(|id| (now_ms, id)));
        if now_ms >= self.begun_ms + SWEEP_INTERVAL_MS {
            let is_next = now_ms < self.begun_ms + 2 * SWEEP_INTERVAL_MS;
            self.strangers_before = if is_next { self.strangers } else { 0 };
            (self.begun_ms, self.count, self.strangers) = (now_ms, 0, 0);
        }
        self.count += 1;
    }

    pub(super) const fn note_stranger(&mut self) {
        self.strangers += 1;
    }

    const fn is_strange(&self) -> bool {
        self.strangers_before + self.strangers > ACCEPTS_PER_INTERVAL_MAX / 2
    }
}

impl Shard {
    /// While places are few, those strangers that came first give way: whoever takes all of them and says nothing keeps nobody out
    /// (CASES D-04).
    pub(super) fn make_room(&mut self, now_ms: u64, mut abort: impl FnMut(ConnectionId)) {
        let most = self.node.connections_per_shard_max;
        let free = most.saturating_sub(self.connections.len());
        let mut lacking = (most / ROOM_SHARE).saturating_sub(free);
        while let Some((came_ms, id)) = self.intake.newcomers.front().copied() {
            let is_stranger = self.is_open(id) && self.is_stranger(id);
            if is_stranger && (lacking == 0 || now_ms < came_ms + ROOM_AFTER_MS) {
                break;
            }
            self.intake.newcomers.pop_front();
            if is_stranger {
                lacking -= 1;
                self.counters.strangers_evicted.add(1);
                abort(id);
            }
        }
    }

    /// Whether the driver is to go on accepting now; if not, then again after [`SWEEP_INTERVAL_MS`].
    pub fn wants_accept(&self) -> bool {
        let is_full = self.intake.count >= ACCEPTS_PER_INTERVAL_MAX;
        let is_paused = is_full
            && (self.intake.is_strange() || self.handshakes.load(mvt_proto::Kind::Hello) != Load::Low);
        if is_paused {
            self.counters.accepts_paused.add(1);
        }
        !is_paused
    }
}
