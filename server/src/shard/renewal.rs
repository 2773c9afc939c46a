//! Renewal as the shard sees it: offers, SHAREs, commits, bad tags (SPEC §11). Off the path of ordinary requests.

use mvt_proto::{
    Header, Reject,
    constants::{AUTHENTICATION_MS, SLOT_BITS},
    session::{
        self, Agreed, Authentic, BadTags, Exchange, Offering, Refused, Rekey, Renewal, SessionState, Shared,
    },
};

use crate::{
    fatal::Fatal,
    handshakes::Asked,
    keys::random_secret,
    node::Node,
    shard::{Shard, batch::Origin, index::Place, sessions::Generation},
};

/// A session nobody has the key of: frames of key ids we do not hold are judged against it (SPEC §9.2, §11.1.1).
#[derive(Debug)]
pub(super) struct Dummy {
    pub(super) state: SessionState,
    rekey: Rekey,
    /// Says where the slots of a session would begin that nobody has; nobody knows it.
    salt: u64,
    /// Before any time that is judged.
    begun_ms: u64,
}

impl Dummy {
    pub(super) fn new(node: &Node) -> Result<Self, Fatal> {
        let (state, _, rekey) = node.dummy_session()?.into_parts();
        let salt = random_secret()?.expose().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let begun_ms = node.clock.now_ms().saturating_sub(2 << SLOT_BITS);
        Ok(Self { state, rekey, salt, begun_ms })
    }

    /// Time and key of a frame whose key we do not hold.
    #[inline]
    pub(super) fn check(&self, header: &Header, now_ms: u64) -> session::Fresh {
        // The upper bits of a product: an offset within a slot that is the same for each key id.
        let offset_ms = (header.key_id ^ self.salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SLOT_BITS);
        self.state.check_unknown(header, self.begun_ms + offset_ms, now_ms)
    }
}

impl Shard {
    /// Sends an OFFER on the connection of a request that was recorded and calls for one, or the one outstanding once more
    /// (§11.2.1, §11.2.3); where a drain keeps it waiting that can be cut short, that is done first (§11.3.8). Not for a session whose client has to prove its identity again (§11.2.2), is no client any more
    /// (§12.2.1), or is being recovered (§13.4.2).
    #[cold]
    #[inline(never)]
    pub(super) fn offer(&mut self, place: Place, origin: Origin, now_ms: u64) {
        let owner = self.sessions.cold(place).owner;
        let is_old = now_ms.saturating_sub(owner.authenticated_ms) >= AUTHENTICATION_MS;
        let key_id = self.sessions.state(place).key_id();
        if is_old || self.recovering.holds(key_id) || self.node.revocations.load().refuses_owner(&owner) {
            return;
        }
        self.end_joint_answer(now_ms);
        let start = self.answers.bytes.len();
        let (current, renewal) = self.sessions.renewal_mut(place);
        if let Some(renewal) = renewal {
            if current.state.is_spent() {
                renewal.cut(current.state, now_ms);
                self.sessions.note_renewal(place, now_ms);
                self.counters.drains_cut.add(1);
                return;
            }
            let Some(frame) = renewal.offer_again(now_ms) else { return };
            self.answers.bytes.extend_from_slice(frame);
            self.counters.offers_again.add(1);
        } else {
            let ephemeral = if current.rekey.wants_exchange(current.state, now_ms) {
                let Some(pair) = self.handshakes.take_ephemeral() else {
                    self.counters.offers_deferred.add(1);
                    return;
                };
                Some(pair)
            } else {
                None
            };
            // As at a login: a predictable N must never be used.
            let nonce = random_secret().expect("the operating system gives randomness");
            let offering = Offering { nonce, ephemeral };
            let words = current.window.len();
            let renewal = Renewal::offer(current.state, current.rekey, words, offering, now_ms);
            self.answers.bytes.extend_from_slice(renewal.offer_frame());
            self.sessions.begin_renewal(place, renewal, now_ms);
            self.counters.offers.add(1);
        }
        self.answers.note(origin, start, true);
    }

    /// Judges a CTL of a key id that is ours. Refused ones are not answered, and counted with the connection (§11.1.1).
    #[inline(never)]
    pub(super) fn control(&mut self, origin: Origin, header: &Header, frame: &[u8], now_ms: u64) {
        // Opened in place; the buffer of answers' payloads is free between two requests.
        let mut frame = {
            let mut buffer = std::mem::take(&mut self.answer);
            buffer.clear();
            buffer.extend_from_slice(frame);
            buffer
        };
        let place = self.sessions.find(header.key_id).filter(|place| {
            let state = self.sessions.state(*place);
            now_ms < state.deadline_ms()
        });
        let judged = match place {
            Some(place) => {
                let (mut current, renewal) = self.sessions.renewal_mut(place);
                current.control(renewal, header, &mut frame, now_ms)
            }
            None => Err(self.dummy.rekey.refuse_control(header, &mut frame)),
        };
        zeroize::Zeroize::zeroize(&mut frame);
        self.answer = frame;
        match (judged, place) {
            (Ok(Shared::Taken), Some(place)) => {
                self.counters.shares.add(1);
                self.have_agreed(place);
            }
            (Ok(Shared::Broken), Some(place)) => {
                self.counters.reject(Reject::Control);
                self.sessions.erase(place);
                self.counters.sessions_erased.add(1);
            }
            (Err(reject), place) => {
                self.counters.reject(reject);
                if let Some(place) = place {
                    self.note_bad_tag(place, header.generation);
                }
            }
            _ => {}
        }
        self.note_control(origin, judged.is_ok(), now_ms);
    }

    /// Hands the key agreement that a SHARE asks for to the pool. Without room there it stays with the renewal, like one whose result
    /// does not come in time: the first request that needs it has it computed (§11.2.7).
    fn have_agreed(&mut self, place: Place) {
        let key_id = self.sessions.state(place).key_id();
        let agreement = self.sessions.renewal_mut(place).1.and_then(|renewal| renewal.agreement());
        let Some(agreement) = agreement else { return };
        if !self.handshakes.agree(Asked { shard: self.index, key_id, agreement }) {
            self.counters.agreements_unqueued.add(1);
        }
    }

    /// Takes in what the pool computed, unless the session is gone or did without.
    pub(super) fn take_agreed(&mut self, key_id: u64, agreed: &Agreed, now_ms: u64) {
        let Some(place) = self.sessions.find(key_id) else { return };
        let (current, renewal) = self.sessions.renewal_mut(place);
        if renewal.is_some_and(|renewal| renewal.take_agreed(current.state, current.rekey, agreed)) {
            self.sessions.note_renewal(place, now_ms);
            self.counters.agreements_pooled.add(1);
        }
    }

    /// A CTL has no answer: the connection it came by hears of it all the same.
    fn note_control(&mut self, origin: Origin, is_verified: bool, now_ms: u64) {
        match origin {
            Origin::Here(id) => {
                self.note_answer(id, is_verified, now_ms);
                self.connections.mark_dirty(id);
            }
            // It stands alone in its piece of the turn: no joint answer is under way.
            Origin::Forwarded { .. } => self.answers.note(origin, self.answers.bytes.len(), is_verified),
        }
    }

    /// Counts a bad tag of a generation that is held (§11.3.7).
    #[cold]
    pub(super) fn note_bad_tag(&mut self, place: Place, generation: u16) {
        if self.sessions.note_bad_tag(place, generation) == BadTags::Erase {
            self.sessions.erase(place);
            self.counters.sessions_erased.add(1);
            self.counters.bad_tags_erased.add(1);
        }
    }

    /// How a request is refused that names another generation than the current one, where the pass of checks could not know:
    /// one that is offered needs `ack` (§11.3.2), and one that was offered since is held (§7.2.7).
    #[cold]
    pub(super) fn refused_beside(
        &self,
        (place, checked): (Place, Generation),
        header: &Header,
        reject: Option<Reject>,
        now_ms: u64,
    ) -> Option<Reject> {
        let Some(renewal) = self.sessions.renewal_of(place, header, now_ms) else { return reject };
        if renewal.lacks_ack(header) {
            return Some(Reject::NoSlot);
        }
        let is_held = renewal.state().is_some_and(|state| state.holds_slot_of(header.timestamp));
        let was_missed = reject == Some(Reject::NoSlot) && checked == Generation::Current && is_held;
        // No tag holds under a key that nobody was told yet.
        if was_missed { Some(Reject::BadTag) } else { reject }
    }

    /// Commits a request of either generation of a renewal (§11.3.2, §11.3.3); whether it was the first of its generation.
    #[cold]
    #[inline(never)]
    pub(super) fn commit_renewing(
        &mut self,
        place: Place,
        authentic: Authentic<session::Place>,
        now_ms: u64,
    ) -> (Result<Exchange<session::Place>, Refused<session::Place>>, bool) {
        let (mut current, renewal) = self.sessions.renewal_mut(place);
        let before = (current.state.generation(), current.state.is_confirmed());
        let committed = current.commit(renewal, authentic, now_ms);
        let after = (current.state.generation(), current.state.is_confirmed());
        if before.0 != after.0 {
            self.sessions.note_renewal(place, now_ms);
            self.counters.renewals.add(1);
        }
        (committed, before != after)
    }
}
