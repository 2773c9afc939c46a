//! One request whose tag was checked: commit, execute, write its answer (SPEC §7.2).

use mvt_proto::{
    Header, Reject, constants::UNVERIFIED_PER_CONNECTION_MAX, header::node_slot_of, session,
    suite::payload_of,
};

use crate::shard::{ConnectionId, Shard, batch::Origin, index::Place};

/// What the order of judgement made of a request.
enum Verdict {
    Accepted(session::Exchange<session::Place>),
    Refused(session::Refused<session::Place>),
    Unverified(Reject),
}

impl Shard {
    /// Judges an opened request and appends its one answer, unsealed; true when it was executed.
    pub(super) fn request(
        &mut self,
        origin: Origin,
        header: &Header,
        number: usize,
        place: Option<Place>,
        frame: &[u8],
        now_ms: u64,
    ) -> bool {
        if !self.answers.continues(origin) {
            self.end_joint_answer(now_ms);
        }
        let start = self.answers.bytes.len();
        let verdict = self.verdict(number, place);
        let is_executed = matches!(verdict, Verdict::Accepted(_));
        let is_verified = !matches!(verdict, Verdict::Unverified(_));
        match verdict {
            Verdict::Accepted(exchange) => {
                self.answer.clear();
                let status = self.service.execute(header.op, payload_of(frame), &mut self.answer);
                self.lanes.respond(exchange, status, &self.answer, now_ms, &mut self.answers.bytes);
            }
            Verdict::Refused(refused) => {
                self.counters.reject(refused.reject);
                self.lanes.refuse(refused, now_ms, &mut self.answers.bytes);
            }
            Verdict::Unverified(reject) => {
                self.counters.reject(reject);
                self.lanes.end_joint(now_ms, &mut self.answers.bytes);
                let is_lost = node_slot_of(header.key_id) == self.node.node_slot && reject != Reject::BadTag;
                self.answers.bytes.extend_from_slice(&self.node.lost_keys.answer(frame, is_lost));
            }
        }
        self.answers.note(origin, start, is_verified);
        if let Origin::Here(id) = origin {
            self.note_answer(id, is_verified, now_ms);
        }
        is_executed
    }

    /// Ends an answer to several requests (SPEC §7.4) whose connection gets no more of them for now.
    pub(super) fn end_joint_answer(&mut self, now_ms: u64) {
        if self.lanes.end_joint(now_ms, &mut self.answers.bytes) {
            self.answers.extend_last();
        }
    }

    fn verdict(&mut self, number: usize, place: Option<Place>) -> Verdict {
        let (authentic, place) = match (self.lanes.take(number), place) {
            (Ok(authentic), Some(place)) => (authentic, place),
            (Ok(_), None) => return Verdict::Unverified(Reject::UnknownKey),
            (Err(reject), _) => return Verdict::Unverified(reject),
        };
        let (state, window) = self.sessions.parts_mut(place);
        match state.commit(window, authentic) {
            Ok(exchange) => Verdict::Accepted(exchange),
            Err(refused) => Verdict::Refused(refused),
        }
    }

    /// Keeps count of unverified requests: too many end the connection (SPEC §9.4). The answer itself makes it dirty.
    pub(super) fn note_answer(&mut self, id: ConnectionId, is_verified: bool, now_ms: u64) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if is_verified {
            connection.note_verified(now_ms);
            return;
        }
        connection.unverified_count += 1;
        if connection.unverified_count >= UNVERIFIED_PER_CONNECTION_MAX {
            connection.close(now_ms);
            self.counters.unverified_closed.add(1);
        }
    }
}
