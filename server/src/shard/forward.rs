//! Mail: of other threads, and frames whose key another shard than that of their connection owns.

use mvt_proto::header::{node_slot_of, shard_of};

use crate::{
    mailbox::{Answered, Forwarded, Mail, Mailbox, Packet},
    shard::{ConnectionId, Shard, batch::Origin, connection::Connection, revocation::Scan},
};

impl Shard {
    /// The shard that owns a key id, when it is one of this node and not we. Key ids nobody owns stay here.
    pub(super) fn owner_elsewhere(&self, key_id: u64) -> Option<usize> {
        let owner = usize::from(shard_of(key_id));
        let exists = node_slot_of(key_id) == self.node.node_slot && owner < self.node.shard_count;
        (exists && owner != self.index).then_some(owner)
    }

    /// Hands a frame to its owner, or keeps it until that has room.
    pub(super) fn forward(&mut self, owner: usize, connection: ConnectionId, frame: &[u8], now_ms: u64) {
        let letter = Forwarded { connection, frame: frame.into() };
        match self.mailboxes[owner].forward(self.index, letter) {
            Ok(()) => {
                self.counters.forwarded.add(1);
                if let Some(place) = self.connections.get_mut(connection) {
                    place.elsewhere_count += 1;
                }
            }
            Err(letter) => self.hold(owner, connection, letter.frame, now_ms),
        }
    }

    /// Keeps a frame; its connection is not read until it has gone (see [`Shard::wants_read`]).
    #[cold]
    fn hold(&mut self, owner: usize, id: ConnectionId, frame: Box<[u8]>, now_ms: u64) {
        if !self.held.holds(id) {
            self.counters.forward_paused.add(1);
            // The driver is to see that it is not to be read.
            self.connections.mark_dirty(id);
        }
        if !self.held.push(id, owner, frame, now_ms) {
            self.counters.forward_dropped.add(1);
            self.end(id, now_ms);
        }
    }

    /// Keeps a frame, whosever it is, behind one of its connection that waits; false when none does.
    #[inline]
    pub(super) fn holds_behind(&mut self, id: ConnectionId, frame: &[u8], now_ms: u64) -> bool {
        let is_held = self.held.holds(id);
        if is_held {
            // Whose room the first waits for is known already.
            self.hold(self.index, id, frame.into(), now_ms);
        }
        is_held
    }

    /// Goes on with connections whose frames have room now. None is tried in vain: whoever is left is woken.
    fn go_on_with_held(&mut self, now_ms: u64) {
        if self.held.is_empty() {
            return;
        }
        // What came since belongs behind it.
        self.turn(now_ms);
        for _ in 0..self.held.len() {
            let Some((id, mut waiting)) = self.held.take_next() else { return };
            let owner = waiting.owner;
            // Of frames like the largest that waits: what does not fit after all is kept again, and nothing gets ahead of it.
            let largest = waiting.frames.iter().map(|frame| frame.len()).max().unwrap_or(0);
            let first = waiting.frames.front().map_or(0, |frame| frame.len());
            let mailbox = &self.mailboxes[owner];
            let room = match mailbox.forward_room(self.index, largest) {
                0 => mailbox.forward_room(self.index, first).min(1),
                room => room,
            };
            if room == 0 {
                self.held.put_back(id, waiting);
                continue;
            }
            let rest = waiting.frames.split_off(room.min(waiting.frames.len()));
            for frame in waiting.frames {
                self.put_into_batch(Origin::Here(id), &frame, now_ms);
            }
            self.turn(now_ms);
            // Behind what has no room at another owner, if anything.
            for frame in rest {
                let is_kept = self.is_open(id) && self.held.push(id, owner, frame, now_ms);
                debug_assert!(is_kept || !self.is_open(id), "it was kept before");
            }
            if !self.held.holds(id) {
                if self.connections.get(id).is_some_and(Connection::is_done) {
                    self.finish(id, now_ms);
                }
                self.resumed.push_back(id);
            } else if let Some((owner, frame_bytes)) = self.held.first_of(id)
                && self.mailboxes[owner].forward_room(self.index, frame_bytes) > 0
            {
                self.mailboxes[self.index].wake();
            }
        }
    }

    /// The next connection that is to be read again, if only for its end, after [`Shard::read_mail`].
    pub fn next_resumed(&mut self) -> Option<ConnectionId> {
        self.resumed.pop_front()
    }

    /// Whether `id` is not to be read until the shard names it: its frames wait for another shard, or its login frames were too many.
    #[must_use]
    pub fn is_held(&self, id: ConnectionId) -> bool {
        self.held.holds(id) || self.connections.get(id).is_some_and(Connection::is_paused)
    }

    /// Ends connections whose frames have waited for too long; looks for room again, should a wake-up have been missed.
    pub(super) fn sweep_held(&mut self, now_ms: u64) {
        if self.held.is_empty() {
            return;
        }
        for id in self.held.overdue(now_ms) {
            self.counters.deadline_closed.add(1);
            self.give_up(id, now_ms);
        }
        self.mailboxes[self.index].wake();
    }

    /// What waits of a connection that ends goes with it.
    pub(super) fn forget_held(&mut self, id: ConnectionId) {
        if !self.held.is_empty() {
            self.counters.forward_dropped.add(self.held.forget(id) as u64);
        }
    }

    /// Takes the letters from our mailbox, of each sender no more than can have been there: what came later wakes us again, and the
    /// connections have their turn first. True when one asks us to shut down.
    pub fn read_mail(&mut self, now_ms: u64) -> bool {
        let mailboxes = self.mailboxes.clone();
        let here = self.index;
        let mailbox = &mailboxes[here];
        mailbox.rearm();
        let mut is_shutdown = false;
        for mail in std::iter::from_fn(|| mailbox.take()).take(mailbox.capacity()) {
            match mail {
                Mail::Admitted { connection, newcomer } => self.admit(connection, newcomer, now_ms),
                Mail::LoginRefused { connection, reject } => self.refuse_login(connection, reject, now_ms),
                Mail::Agreed { key_id, agreed } => self.take_agreed(key_id, &agreed, now_ms),
                Mail::Packet(packet) => self.packets.push_back(packet),
                Mail::Revoke { revoked, confirm } => self.revoking.push_back(Scan::new(revoked, confirm)),
                Mail::Renew { within_ms } => self.rotate(within_ms, now_ms),
                Mail::Recorded { key_id, authenticated_ms } => {
                    self.conclude_recovery(key_id, authenticated_ms, now_ms);
                }
                Mail::RecoveryComplete { key_id } => self.complete_recovery(key_id, now_ms),
                Mail::Shutdown => is_shutdown = true,
            }
        }
        for from in (0..mailboxes.len()).filter(|from| *from != here) {
            self.take_answers(mailbox, from, now_ms);
            self.take_forwarded(mailbox, &mailboxes[from], from, now_ms);
            if mailbox.is_awaited_by(from) {
                mailboxes[from].wake();
            }
        }
        self.go_on_with_held(now_ms);
        self.go_on_revoking(now_ms);
        is_shutdown
    }

    /// Answers to frames we forwarded go to their connections. They wait for nothing, whatever else does.
    fn take_answers(&mut self, mailbox: &Mailbox, from: usize, now_ms: u64) {
        let answers = std::iter::from_fn(|| mailbox.take_answered(from)).take(mailbox.capacity());
        for Answered { connection, frames, is_verified, is_last } in answers {
            if let Some(place) = self.connections.get_mut(connection) {
                place.elsewhere_count -= u32::from(is_last);
                self.spares.lend(&mut place.lane_mut(connection).output).extend_from_slice(&frames);
                self.note_answer(connection, is_verified, now_ms);
                self.connections.mark_dirty(connection);
            }
        }
    }

    /// Judges frames that shard `from` forwarded, as many as it has room for the answers of.
    fn take_forwarded(&mut self, mailbox: &Mailbox, sender: &Mailbox, from: usize, now_ms: u64) {
        // Most answers are small, so there is nearly as much room after a piece as before it.
        let mut left = mailbox.capacity();
        while left > 0 && mailbox.has_forwarded(from) {
            let room = sender.answer_room(self.index).min(left);
            if room == 0 {
                break;
            }
            left -= room;
            let frames = std::iter::from_fn(|| mailbox.take_forwarded(from)).take(room);
            for Forwarded { connection, frame } in frames {
                let origin = Origin::Forwarded { from_shard: from as u16, connection };
                self.put_into_batch(origin, &frame, now_ms);
            }
            // Their answers take their room now.
            self.turn(now_ms);
        }
        if mailbox.has_forwarded(from) && sender.answer_room(self.index) > 0 {
            mailbox.wake();
        }
    }

    /// Puts a frame into the batch of this turn, after a turn if that is full.
    fn put_into_batch(&mut self, origin: Origin, frame: &[u8], now_ms: u64) {
        if !self.batch.push(origin, frame) {
            self.turn(now_ms);
            let has_room = self.batch.push(origin, frame);
            debug_assert!(has_room, "an empty batch takes any frame");
        }
    }

    /// The next packet of ours that came by mail, after [`Shard::read_mail`].
    pub fn next_packet(&mut self) -> Option<Packet> {
        self.packets.pop_front()
    }

    /// The answer to a forwarded frame goes back to the shard it arrived at, which has room for it: see
    /// [`Shard::take_forwarded`]. Only what is said later, of a recovery that was recorded, may find none.
    pub(super) fn send_back(&self, shard: u16, letter: Answered) {
        if self.mailboxes[usize::from(shard)].answer(self.index, letter).is_err() {
            self.counters.forward_unanswered.add(1);
        }
    }
}
