//! Requests whose key another shard owns, and mail from outside.

use mvt_proto::header::{node_slot_of, shard_of};

use crate::{
    mailbox::{Mail, Packet},
    shard::{ConnectionId, Shard, batch::Origin, revocation::Scan},
};

impl Shard {
    /// The shard that owns a key id, when it is one of this node and not we. Key ids nobody owns stay here.
    pub(super) fn owner_elsewhere(&self, key_id: u64) -> Option<usize> {
        let owner = usize::from(shard_of(key_id));
        let exists = node_slot_of(key_id) == self.node.node_slot && owner < self.node.shard_count;
        (exists && owner != self.index).then_some(owner)
    }

    /// Hands a request to its owner. A full mailbox drops it: the client's timeout is then the answer.
    pub(super) fn forward(&mut self, owner: usize, connection: ConnectionId, frame: &[u8]) {
        let mail = Mail::Forwarded { from_shard: self.index, connection, frame: frame.into() };
        match self.mailboxes[owner].post(mail) {
            Ok(()) => self.counters.forwarded.add(1),
            Err(_) => self.counters.forward_dropped.add(1),
        }
    }

    /// Takes every letter from our mailbox; true when one asks us to shut down.
    pub fn read_mail(&mut self, now_ms: u64) -> bool {
        let mailboxes = self.mailboxes.clone();
        let mailbox = &mailboxes[self.index];
        mailbox.rearm();
        let (mut is_shutdown, mut has_forwarded) = (false, false);
        // No more than can have been there: what came later wakes us again, and the connections have their turn first.
        for mail in std::iter::from_fn(|| mailbox.take()).take(mailbox.capacity()) {
            match mail {
                Mail::Admitted { connection, newcomer } => self.admit(connection, newcomer, now_ms),
                Mail::LoginRefused { connection, reject } => self.refuse_login(connection, reject, now_ms),
                Mail::Forwarded { from_shard, connection, frame } => {
                    let origin = Origin::Forwarded { from_shard: from_shard as u16, connection };
                    // Judged with whatever else is there, after the last letter at the latest.
                    if !self.batch.push(origin, &frame) {
                        self.turn(now_ms);
                        let has_room = self.batch.push(origin, &frame);
                        debug_assert!(has_room, "an empty batch takes any frame");
                    }
                    has_forwarded = true;
                }
                Mail::Answered { connection, frame, verified } => {
                    if let Some(place) = self.connections.get_mut(connection) {
                        self.spares.lend(&mut place.lane_mut(connection).output).extend_from_slice(&frame);
                        self.note_answer(connection, verified, now_ms);
                        self.connections.mark_dirty(connection);
                    }
                }
                Mail::Packet(packet) => self.packets.push_back(packet),
                Mail::Revoke { revoked, confirm } => self.revoking.push_back(Scan::new(revoked, confirm)),
                Mail::Recorded { key_id, authenticated_ms } => {
                    self.conclude_recovery(key_id, authenticated_ms, now_ms);
                }
                Mail::RecoveryComplete { key_id } => self.complete_recovery(key_id, now_ms),
                Mail::Shutdown => is_shutdown = true,
            }
        }
        if has_forwarded {
            self.turn(now_ms);
        }
        self.go_on_revoking(now_ms);
        is_shutdown
    }

    /// The next packet of ours that came by mail, after [`Shard::read_mail`].
    pub fn next_packet(&mut self) -> Option<Packet> {
        self.packets.pop_front()
    }

    /// The answer to a forwarded request goes back to the shard it arrived at.
    pub(super) fn send_back(&self, shard: u16, connection: ConnectionId, answer: &[u8], verified: bool) {
        let mail = Mail::Answered { connection, frame: answer.into(), verified };
        if self.mailboxes[usize::from(shard)].post(mail).is_err() {
            self.counters.forward_dropped.add(1);
        }
    }
}
