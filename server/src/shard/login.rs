//! Logins, resumes and recoveries as the shard sees them: judge the frame cheaply, hand it to the pool, take in the result
//! (SPEC §10, §12 to §14). What goes back before that is a RETRY, shorter than the frame (§14.1).

use mvt_proto::{
    Kind, Reject,
    frame::{hello::Hello, recover::Recover, resume::Resume, retry::Retry},
};

use crate::{
    handshakes::{Job, Load},
    limits::{BUSY_WAIT_MS, LOGINS_PER_CONNECTION_MAX, RETRIES_PER_SECOND_MAX},
    mailbox::{Entrance, Newcomer},
    shard::{ConnectionId, Shard, batch::Origin},
};

impl Shard {
    /// mac1, layout, cookie (under load, for a RECOVER always, §13.2.1), then the bounded queue of the pool.
    ///
    /// # Errors
    /// `Mac1`, `Kind` or `Field`: the connection is to be closed.
    pub(super) fn login(
        &mut self,
        id: ConnectionId,
        kind: Kind,
        frame: &[u8],
        now_ms: u64,
    ) -> Result<(), Reject> {
        if let Some(connection) = self.connections.get_mut(id)
            && connection.is_paused()
        {
            connection.shed();
            self.counters.logins_shed.add(1);
            return Ok(());
        }
        self.node.mac1.verify(frame)?;
        match kind {
            Kind::Resume => Resume::parse(frame).map(|_| ())?,
            Kind::Recover => Recover::parse(frame).map(|_| ())?,
            _ => Hello::parse(frame).map(|_| ())?,
        }
        let Some(connection) = self.connections.get_mut(id) else { return Ok(()) };
        let peer = connection.peer;
        let channel_binding = connection.channel_binding.clone();
        let has_room = connection.logins_under_way < LOGINS_PER_CONNECTION_MAX;
        let is_to_wait = !has_room || (kind != Kind::Resume && self.handshakes.fails_too_often(peer, now_ms));
        let load = if is_to_wait { Load::Full } else { self.handshakes.load(kind) };
        let retry = match load {
            Load::Full => Some(Retry::Busy(BUSY_WAIT_MS)),
            Load::Low if kind != Kind::Recover => None,
            _ => self.handshakes.cookie_to_bring(frame, peer, now_ms).map(Retry::Cookie),
        };
        if let Some(Retry::Cookie(_)) = retry
            && load == Load::High
        {
            self.handshakes.note_asked(kind, now_ms);
        }
        let retry = retry.or_else(|| {
            let job =
                Job { shard: self.index, connection: id, peer, kind, channel_binding, frame: frame.into() };
            self.handshakes.submit(job, now_ms).err().map(|_| Retry::Busy(BUSY_WAIT_MS))
        });
        match (retry, self.connections.get_mut(id)) {
            (None, Some(connection)) => {
                connection.logins_under_way += 1;
                connection.forgive_retry();
            }
            (None, None) => {}
            (Some(retry), _) => self.answer_with(&retry, id, frame, now_ms),
        }
        Ok(())
    }

    /// A RETRY; too many of them have a stranger not be read for a while, and end the connection of one who is none (§14.5).
    fn answer_with(&mut self, retry: &Retry, id: ConnectionId, frame: &[u8], now_ms: u64) {
        match retry {
            Retry::Cookie(_) => self.counters.cookies_asked.add(1),
            Retry::Busy(_) => self.counters.reject(Reject::Busy),
        }
        // An answer to several requests of another client may still be open.
        self.end_joint_answer(now_ms);
        let start = self.answers.bytes.len();
        self.answers.bytes.extend_from_slice(&retry.to_frame(frame, &self.node.mac1));
        self.answers.note(Origin::Here(id), start, false);
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.is_stranger() {
            if connection.strike(now_ms) {
                self.counters.logins_paused.add(1);
            }
        } else if connection.note_retry(now_ms) > RETRIES_PER_SECOND_MAX {
            self.counters.logins_cut_off.add(1);
            self.give_up(id, now_ms);
        }
    }

    /// Keeps a granted session and sends its answer; unless its client was revoked while the pool was at it, then it ends as
    /// with a client nobody knows (SPEC §12.2.1).
    #[inline(never)]
    pub(super) fn admit(&mut self, id: ConnectionId, mut newcomer: Box<Newcomer>, now_ms: u64) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.logins_under_way -= 1;
        if connection.is_given_up() {
            return;
        }
        let Newcomer { admitted, owner, psk_alone, entrance } = &mut *newcomer;
        let (owner, psk_alone, entrance) = (*owner, *psk_alone, *entrance);
        if self.node.revocations.load().refuses_owner(&owner) {
            self.counters.sessions_revoked.add(1);
            self.counters.reject(entrance.refusal());
            self.end(id, now_ms);
            return;
        }
        let key_id = admitted.session.key_id();
        if !self.sessions.take_in(&mut admitted.session, owner, now_ms) {
            self.counters.sessions_refused.add(1);
            self.end(id, now_ms);
            return;
        }
        if psk_alone && let Some(place) = self.sessions.find(key_id) {
            self.sessions.cold_mut(place).psk_alone = true;
        }
        match entrance {
            Entrance::Login => self.counters.logins.add(1),
            Entrance::Resume => self.counters.resumes.add(1),
            Entrance::Recovery { new_public } => self.recovering.begin(key_id, owner, new_public),
        }
        self.counters.sessions_opened.add(1);
        self.spares.lend(&mut connection.lane_mut(id).output).extend_from_slice(&admitted.answer);
        self.connections.mark_dirty(id);
        self.welcome(id);
    }

    /// One way for all causes: the connection closes (SPEC §10.3.3).
    pub(super) fn refuse_login(&mut self, id: ConnectionId, reject: Reject, now_ms: u64) {
        self.counters.reject(reject);
        if let Some(connection) = self.connections.get_mut(id) {
            connection.logins_under_way -= 1;
        }
        self.end(id, now_ms);
    }
}
