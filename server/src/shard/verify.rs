//! One request whose tag was checked: commit, execute, write its answer (SPEC §7.2).

use mvt_proto::{
    Header, Reject, constants::UNVERIFIED_PER_CONNECTION_MAX, header::node_slot_of, session,
    suite::payload_of,
};

use crate::shard::{ConnectionId, Shard, batch::Origin, index::Place, sessions::Generation};

/// What the order of judgement made of a request.
enum Verdict {
    Accepted(session::Exchange<session::Place>),
    Refused(session::Refused<session::Place>),
    Unverified(Reject),
}

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    Executed,
    Refused,
    Unverified,
}

/// What a request means for its session.
#[derive(PartialEq, Eq)]
enum News {
    None,
    /// It was recorded.
    Recorded(Place),
    /// It was the first of its generation that was recorded (SPEC §11.1.3).
    FirstUse(Place),
    /// It was recorded while a recovery is not (SPEC §13.4.2).
    Proof,
}

#[inline]
fn news(verdict: &Verdict, place: Place, is_first: bool) -> News {
    match verdict {
        _ if is_first => News::FirstUse(place),
        Verdict::Accepted(_) => News::Recorded(place),
        Verdict::Refused(refused) if refused.reject == Reject::Stale => News::Recorded(place),
        _ => News::None,
    }
}

impl Shard {
    /// Judges an opened request and appends its one answer, unsealed.
    #[inline]
    pub(super) fn request(
        &mut self,
        origin: &Origin,
        header: &Header,
        number: usize,
        held: Option<(Place, Generation)>,
        frame: &[u8],
        now_ms: u64,
    ) -> Judged {
        let continues = self.answers.continues(origin);
        if !continues {
            self.end_joint_answer(now_ms);
        }
        let start = self.answers.bytes.len();
        let (verdict, news) = self.verdict(header, number, held, now_ms);
        let judged = match verdict {
            Verdict::Accepted(exchange) => {
                self.answer.clear();
                let status = self.service.execute(header.op, payload_of(frame), &mut self.answer);
                self.lanes.respond(exchange, status, &self.answer, now_ms, &mut self.answers.bytes);
                Judged::Executed
            }
            Verdict::Refused(refused) => {
                self.counters.reject(refused.reject);
                self.lanes.refuse(refused, now_ms, &mut self.answers.bytes);
                Judged::Refused
            }
            Verdict::Unverified(reject) => {
                self.counters.reject(reject);
                self.lanes.end_joint(now_ms, &mut self.answers.bytes);
                let is_lost = node_slot_of(header.key_id) == self.node.node_slot && reject != Reject::BadTag;
                self.answers.bytes.extend_from_slice(&self.node.lost_keys.answer(frame, is_lost));
                if let (Reject::BadTag, Some((place, _))) = (reject, held) {
                    self.note_bad_tag(place, header.generation);
                }
                Judged::Unverified
            }
        };
        if continues {
            self.answers.extend_last();
        } else {
            self.answers.note(*origin, start, judged != Judged::Unverified);
        }
        match news {
            News::None => {}
            News::Recorded(place) => self.offer_if_due(place, header, origin, now_ms),
            News::FirstUse(place) => {
                self.give_ticket(place, *origin, now_ms);
                self.offer_if_due(place, header, origin, now_ms);
            }
            News::Proof => self.note_proof(header.key_id, *origin),
        }
        judged
    }

    /// Ends an answer to several requests (SPEC §7.4) whose connection gets no more of them for now.
    pub(super) fn end_joint_answer(&mut self, now_ms: u64) {
        if self.lanes.end_joint(now_ms, &mut self.answers.bytes) {
            self.answers.extend_last();
        }
    }

    fn verdict(
        &mut self,
        header: &Header,
        number: usize,
        held: Option<(Place, Generation)>,
        now_ms: u64,
    ) -> (Verdict, News) {
        let taken = self.lanes.take(number);
        let Some((place, checked)) = held else {
            return (Verdict::Unverified(Reject::UnknownKey), News::None);
        };
        let state = self.sessions.state(place);
        if state.key_id() != header.key_id {
            // Erased by a frame before it.
            return (Verdict::Unverified(Reject::UnknownKey), News::None);
        }
        let mut reject = taken.as_ref().err().copied();
        if state.is_renewing() && header.generation != state.generation() {
            reject = self.refused_beside((place, checked), header, reject, now_ms);
        }
        let authentic = match (taken, reject) {
            (Ok(authentic), None) => authentic,
            (_, reject) => return (Verdict::Unverified(reject.unwrap_or(Reject::BadTag)), News::None),
        };
        let (state, window) = self.sessions.parts_mut(place);
        let (committed, is_first) = if state.judges(&authentic) {
            let was_used = state.is_confirmed();
            let committed = state.commit(window, authentic);
            (committed, !was_used && state.is_confirmed())
        } else {
            self.commit_renewing(place, authentic, now_ms)
        };
        let verdict = match committed {
            Ok(exchange) => Verdict::Accepted(exchange),
            Err(refused) => Verdict::Refused(refused),
        };
        if !self.recovering.is_empty() {
            return self.hold_back(verdict, header.key_id, place, is_first);
        }
        let news = news(&verdict, place, is_first);
        (verdict, news)
    }

    /// §11.2.1, for requests of the current generation: reads only what the request touched.
    #[inline]
    fn offer_if_due(&mut self, place: Place, header: &Header, origin: &Origin, now_ms: u64) {
        let state = self.sessions.state(place);
        if header.generation == state.generation() && state.wants_offer(&self.node.limits, now_ms) {
            self.offer(place, *origin, now_ms);
        }
    }

    /// The same while recoveries are not recorded: requests of theirs are not executed (SPEC §13.4.2).
    #[cold]
    fn hold_back(&mut self, verdict: Verdict, key_id: u64, place: Place, is_first: bool) -> (Verdict, News) {
        if !self.recovering.holds(key_id) {
            let news = news(&verdict, place, is_first);
            return (verdict, news);
        }
        match verdict {
            Verdict::Accepted(exchange) => {
                let refused = session::Refused { reject: Reject::Pending, exchange };
                (Verdict::Refused(refused), News::Proof)
            }
            Verdict::Refused(refused) if refused.reject == Reject::Stale => {
                (Verdict::Refused(refused), News::Proof)
            }
            verdict => (verdict, News::None),
        }
    }

    /// Keeps count of unverified requests: too many end the connection (SPEC §9.4). The answer itself makes it dirty.
    pub(super) fn note_answer(&mut self, id: ConnectionId, is_verified: bool, now_ms: u64) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if is_verified {
            if connection.note_verified(now_ms) {
                self.welcome(id);
            }
            return;
        }
        connection.unverified_count += 1;
        if connection.unverified_count >= UNVERIFIED_PER_CONNECTION_MAX {
            connection.close(now_ms);
            self.counters.unverified_closed.add(1);
        }
    }
}
