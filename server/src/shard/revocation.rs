//! Sessions that end by what the control thread decided (SPEC §12.2.1, §13.4): a bounded number at a time.
//!
//! The node's snapshot refuses a revoked owner before the shard is told, so no session of it is kept any more: those that
//! stood when the scan began are all there are, wherever new ones are put.

use std::sync::Arc;

use crossbeam::channel::Sender;

use crate::{
    limits::{REVOKE_COUNT_MAX, REVOKE_ERASED_MAX},
    owner::Owner,
    revocations::Revoked,
    shard::Shard,
};

/// One walk over all sessions.
#[derive(Debug)]
pub(super) struct Scan {
    revoked: Arc<Revoked>,
    confirm: Sender<usize>,
    next_place: usize,
}

impl Scan {
    pub(super) const fn new(revoked: Arc<Revoked>, confirm: Sender<usize>) -> Self {
        Self { revoked, confirm, next_place: 0 }
    }
}

impl Shard {
    /// One step of the scan under way; while there is more to do, our own mailbox wakes us for it.
    pub(super) fn go_on_revoking(&mut self, now_ms: u64) {
        let Some(mut scan) = self.revoking.pop_front() else { return };
        // What was received before is judged before: places of the batch under way must not change.
        self.turn(now_ms);
        let is_void = |owner: &Owner| scan.revoked.refuses(&owner.client, owner.authenticated_ms);
        let (erased, next) =
            self.sessions.revoke(scan.next_place, (REVOKE_COUNT_MAX, REVOKE_ERASED_MAX), is_void);
        self.counters.sessions_revoked.add(erased);
        match next {
            Some(place) => {
                scan.next_place = place;
                self.revoking.push_front(scan);
            }
            None => {
                let Scan { revoked, confirm, .. } = scan;
                // Before we confirm: whoever lets go of it last frees it, and that is not to be a shard.
                drop(revoked);
                // Nobody listens any more when the control thread has given up waiting.
                let _ = confirm.try_send(self.index);
            }
        }
        if !self.revoking.is_empty() {
            self.mailboxes[self.index].wake();
        }
    }
}
