//! Deadlines: of sessions by the wheel, of connections by a look around, both in bounded pieces.

use mvt_proto::secret::scrub_stack;

use crate::{
    limits::{RECLAIM_COUNT_MAX, SWEEP_COUNT_MAX, SWEEP_INTERVAL_MS},
    shard::{ConnectionId, Shard},
};

/// Where the next sweep over connections begins.
#[derive(Debug, Default)]
pub struct SweepHand(usize);

impl Shard {
    /// Erases sessions past their deadline, and the keys of slots that passed (SPEC §5.2.2), up to [`RECLAIM_COUNT_MAX`]
    /// sessions; true when more are due, which is to be called for again after the next turn.
    pub fn reclaim(&mut self, now_ms: u64) -> bool {
        let swept = self.sessions.sweep(RECLAIM_COUNT_MAX, now_ms);
        self.counters.sessions_erased.add(swept.erased_count);
        self.counters.agreements_inline.add(self.sessions.take_agreed_count());
        self.counters.drains_ended.add(self.sessions.sweep_renewals(RECLAIM_COUNT_MAX, now_ms));
        self.scrub_now_and_then(now_ms);
        !swept.is_done
    }

    /// Overwrites what logins, renewals and steps of slots left on this stack, at most once in [`SWEEP_INTERVAL_MS`]: it takes two
    /// microseconds and the first-level cache, for which requests would wait if each step of a renewal did it.
    pub(super) fn scrub_now_and_then(&mut self, now_ms: u64) {
        if now_ms >= self.scrub_ms {
            self.scrub_ms = now_ms + SWEEP_INTERVAL_MS;
            scrub_stack();
        }
    }

    /// Ends connections past their deadline; `abort` is called for those that are to be cut off at once because they had
    /// their time to close.
    pub fn sweep(&mut self, hand: &mut SweepHand, now_ms: u64, mut abort: impl FnMut(ConnectionId)) {
        self.pass_interval(now_ms);
        self.sweep_recoveries();
        self.rotate_in_tick(now_ms);
        self.sweep_held(now_ms);
        self.handshakes.relax(now_ms);
        self.make_room(now_ms, &mut abort);
        let resumed_count = self.resumed.len();
        let places = self.connections.place_count();
        for _ in 0..places.min(SWEEP_COUNT_MAX) {
            hand.0 = (hand.0 + 1) % places;
            let Some(id) = self.connections.id_at(hand.0) else { continue };
            let Some(connection) = self.connections.get_mut(id) else { continue };
            connection.look_at(now_ms);
            if connection.is_lingering_too_long(now_ms) {
                abort(id);
            } else if connection.owes_too_long(now_ms) {
                self.give_up(id, now_ms);
            } else if !connection.is_closing() && connection.is_overdue(now_ms, self.node.idle_ms) {
                self.counters.deadline_closed.add(1);
                self.give_up(id, now_ms);
            } else if connection.ends_pause(now_ms) {
                self.resumed.push_back(id);
            }
        }
        if self.resumed.len() > resumed_count {
            self.mailboxes[self.index].wake();
        }
    }
}
