//! Requests whose key another shard owns, and mail from outside.

use mvt_proto::{
    Header, Role,
    header::{node_slot_of, shard_of},
};

use crate::{
    mailbox::Mail,
    shard::{ConnectionId, Shard},
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
        let mut is_shutdown = false;
        while let Some(mail) = mailbox.take() {
            match mail {
                Mail::Admitted { connection, admitted } => self.admit(connection, *admitted, now_ms),
                Mail::LoginRefused { connection, reject } => self.refuse_login(connection, reject, now_ms),
                Mail::Forwarded { from_shard, connection, frame } => {
                    self.serve_forwarded(from_shard, connection, frame, now_ms);
                }
                Mail::Answered { connection, frame, verified } => {
                    if let Some(place) = self.connections.get_mut(connection) {
                        place.output.extend_from_slice(&frame);
                        self.note_answer(connection, verified, now_ms);
                    }
                }
                Mail::Shutdown => is_shutdown = true,
            }
        }
        is_shutdown
    }

    fn serve_forwarded(
        &mut self,
        from_shard: usize,
        connection: ConnectionId,
        mut frame: Box<[u8]>,
        now_ms: u64,
    ) {
        // Parsed before it was forwarded; parsed again because the header does not travel.
        let Ok(header) = Header::parse(&frame, Role::Server) else { return };
        let mut answer = Vec::new();
        let verified = self.answer_request(&header, &mut frame, now_ms, &mut answer);
        let mail = Mail::Answered { connection, frame: answer.into(), verified };
        if self.mailboxes[from_shard].post(mail).is_err() {
            self.counters.forward_dropped.add(1);
        }
    }
}
