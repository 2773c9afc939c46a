//! Sessions of recoveries that are not recorded yet: their requests are answered ERR PENDING (SPEC §13.4).

use hashbrown::HashMap;
use mvt_proto::constants::KEY_BYTES;

use crate::{
    admin::claims::Claim,
    owner::Owner,
    shard::{Shard, batch::Origin, index::Place},
};

#[derive(Debug)]
struct Unrecorded {
    owner: Owner,
    new_public: [u8; KEY_BYTES],
    /// The control thread has it.
    is_posted: bool,
    /// Where the last request came from: the TICKET goes there.
    origin: Option<Origin>,
}

/// The sessions of this shard that are being recovered, by key id. Nearly always empty, so a request only looks whether it is.
#[derive(Debug, Default)]
pub(super) struct Recovering {
    by_key_id: HashMap<u64, Unrecorded>,
}

impl Recovering {
    pub(super) fn begin(&mut self, key_id: u64, owner: Owner, new_public: [u8; KEY_BYTES]) {
        let unrecorded = Unrecorded { owner, new_public, is_posted: false, origin: None };
        self.by_key_id.insert(key_id, unrecorded);
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.by_key_id.is_empty()
    }

    #[inline]
    pub(super) fn holds(&self, key_id: u64) -> bool {
        !self.by_key_id.is_empty() && self.by_key_id.contains_key(&key_id)
    }

    /// Forgets those whose session is gone.
    pub(super) fn retain(&mut self, is_held: impl Fn(u64) -> bool) {
        self.by_key_id.retain(|key_id, _| is_held(*key_id));
    }
}

impl Shard {
    /// A request of a session that is being recovered was recorded: that proves the new key (§13.4.1).
    pub(super) fn note_proof(&mut self, key_id: u64, origin: Origin) {
        let Some(unrecorded) = self.recovering.by_key_id.get_mut(&key_id) else { return };
        unrecorded.origin = Some(origin);
        if !unrecorded.is_posted {
            let Unrecorded { owner, new_public, .. } = *unrecorded;
            let claim = Claim { shard: self.index, key_id, owner, new_public };
            // Where the queue is full, the client's next request tries again.
            unrecorded.is_posted = self.node.claims.post(claim).is_ok();
        }
    }

    /// The control thread recorded the recovery, so its session is authenticated after all others of its client; or it did not,
    /// and the session is erased (§13.4.3).
    pub(super) fn conclude_recovery(&mut self, key_id: u64, authenticated_ms: Option<u64>, now_ms: u64) {
        // What was received before is judged before: places of the batch under way must not change.
        self.turn(now_ms);
        let Some(place) = self.sessions.find(key_id) else { return };
        match authenticated_ms {
            Some(time_ms) => self.sessions.cold_mut(place).owner.authenticated_ms = time_ms,
            None => {
                self.recovering.by_key_id.remove(&key_id);
                self.sessions.erase(place);
                self.counters.recoveries_refused.add(1);
            }
        }
    }

    /// What the client had before has ended on every shard: its requests are executed from now on, and it gets its ticket.
    pub(super) fn complete_recovery(&mut self, key_id: u64, now_ms: u64) {
        self.turn(now_ms);
        let Some(unrecorded) = self.recovering.by_key_id.remove(&key_id) else { return };
        let Some(place) = self.sessions.find(key_id) else { return };
        self.counters.recoveries.add(1);
        if let Some(origin) = unrecorded.origin {
            self.give_ticket(place, origin, now_ms);
            self.deliver();
        }
    }

    /// Forgets recoveries whose session met its deadline.
    pub(super) fn sweep_recoveries(&mut self) {
        if !self.recovering.is_empty() {
            let sessions = &self.sessions;
            self.recovering.retain(|key_id| sessions.find(key_id).is_some());
        }
    }

    /// Sends the ticket of the current generation of the session at `place`, once (§11.1.3). Costs about as much as a few
    /// requests: two hashes' worth of key derivation and an AEAD of 72 bytes, for a session that took a key agreement.
    #[inline(never)]
    pub(super) fn give_ticket(&mut self, place: Place, origin: Origin, now_ms: u64) {
        let Some(ticket) = self.sessions.issue_ticket(place, &self.node.tickets, now_ms) else { return };
        self.end_joint_answer(now_ms);
        let start = self.answers.bytes.len();
        self.sessions.seal_ticket(place, &ticket, now_ms, &mut self.answers.bytes);
        self.answers.note(origin, start, true);
        self.counters.tickets.add(1);
    }
}
