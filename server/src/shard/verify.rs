//! One request: check, open, commit, execute, answer (SPEC §7.2).

use mvt_proto::{
    Header, Reject,
    constants::UNVERIFIED_PER_CONNECTION_MAX,
    session::{Exchange, Refused},
    suite::payload_of,
};

use crate::shard::{ConnectionId, Shard};

/// What the order of judgement made of a request.
enum Verdict {
    Accepted(Exchange),
    Refused(Refused),
    Unverified(Reject),
}

impl Shard {
    /// Judges a request that arrived on our connection `id` and answers it there.
    pub(super) fn request(&mut self, id: ConnectionId, header: &Header, frame: &mut [u8], now_ms: u64) {
        if let Some(owner) = self.owner_elsewhere(header.key_id) {
            self.forward(owner, id, frame);
            return;
        }
        // The connection's output is lent out so that the answer is sealed where it is sent from.
        let Some(connection) = self.connections.get_mut(id) else { return };
        let mut output = std::mem::take(&mut connection.output);
        let is_verified = self.answer_request(header, frame, now_ms, &mut output);
        if let Some(connection) = self.connections.get_mut(id) {
            connection.output = output;
        }
        self.note_answer(id, is_verified, now_ms);
    }

    /// Judges a request whose key we own and appends its one answer to `output`; true when it was verified.
    pub(super) fn answer_request(
        &mut self,
        header: &Header,
        frame: &mut [u8],
        now_ms: u64,
        output: &mut Vec<u8>,
    ) -> bool {
        match self.verdict(header, frame, now_ms) {
            Verdict::Accepted(exchange) => {
                self.counters.verified.add(1);
                self.answer.clear();
                let status = self.service.execute(header.op, payload_of(frame), &mut self.answer);
                exchange.respond(status, &self.answer, now_ms, output);
                true
            }
            Verdict::Refused(refused) => {
                self.counters.reject(refused.reject);
                let reason = refused.reason();
                refused.exchange.refuse(reason, now_ms, output);
                true
            }
            Verdict::Unverified(reject) => {
                self.counters.reject(reject);
                let is_ours = mvt_proto::header::node_slot_of(header.key_id) == self.node.node_slot;
                let is_lost = is_ours && reject != Reject::BadTag;
                output.extend_from_slice(&self.node.lost_keys.answer(frame, is_lost));
                false
            }
        }
    }

    fn verdict(&mut self, header: &Header, frame: &mut [u8], now_ms: u64) -> Verdict {
        let Some(session) = self.sessions.get_mut(header.key_id) else {
            let fresh = self.dummy.check_unknown(header);
            return match self.dummy.open(fresh, frame) {
                Err(reject) => Verdict::Unverified(reject),
                Ok(_) => Verdict::Unverified(Reject::UnknownKey),
            };
        };
        let fresh = session.check(header, now_ms);
        let authentic = match session.open(fresh, frame) {
            Ok(authentic) => authentic,
            Err(reject) => return Verdict::Unverified(reject),
        };
        match session.commit(authentic) {
            Ok(exchange) => Verdict::Accepted(exchange),
            Err(refused) => Verdict::Refused(refused),
        }
    }

    /// Keeps count of unverified requests: too many end the connection (SPEC §9.4).
    pub(super) fn note_answer(&mut self, id: ConnectionId, is_verified: bool, now_ms: u64) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if is_verified {
            connection.note_verified(now_ms);
        } else {
            connection.unverified_count += 1;
            if connection.unverified_count >= UNVERIFIED_PER_CONNECTION_MAX {
                connection.close(now_ms);
                self.counters.unverified_closed.add(1);
            }
        }
        self.connections.mark_dirty(id);
    }
}
