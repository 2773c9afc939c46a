//! Logins as the shard sees them: judge a HELLO cheaply, hand it to the pool, take in the result (SPEC §10, §14). What goes
//! back before that is a RETRY, shorter than the HELLO (§14.1).

use mvt_proto::{
    Reject,
    frame::{hello::Hello, retry::Retry},
    login::Admitted,
};

use crate::{
    handshakes::{Job, Load},
    limits::{BUSY_WAIT_MS, LOGINS_PER_CONNECTION_MAX},
    shard::{ConnectionId, Shard, batch::Origin},
};

impl Shard {
    /// mac1, layout, cookie under load, then the bounded queue of the pool.
    ///
    /// # Errors
    /// `Mac1` or `Field`: the connection is to be closed.
    pub(super) fn hello(&mut self, id: ConnectionId, frame: &[u8], now_ms: u64) -> Result<(), Reject> {
        self.node.mac1.verify(frame)?;
        let hello = Hello::parse(frame)?;
        let Some(connection) = self.connections.get_mut(id) else { return Ok(()) };
        let peer = connection.peer;
        let channel_binding = connection.channel_binding.clone();
        let has_room = connection.logins_under_way < LOGINS_PER_CONNECTION_MAX;
        let retry = match self.handshakes.load() {
            _ if !has_room => Some(Retry::Busy(BUSY_WAIT_MS)),
            Load::Full => Some(Retry::Busy(BUSY_WAIT_MS)),
            Load::High => self.handshakes.cookie_to_bring(&hello, peer, now_ms).map(Retry::Cookie),
            Load::Low => None,
        };
        let retry = retry.or_else(|| {
            let job = Job { shard: self.index, connection: id, channel_binding, hello: frame.into() };
            self.handshakes.submit(job).err().map(|_| Retry::Busy(BUSY_WAIT_MS))
        });
        let Some(connection) = self.connections.get_mut(id) else { return Ok(()) };
        match retry {
            None => connection.logins_under_way += 1,
            Some(retry) => {
                match retry {
                    Retry::Cookie(_) => self.counters.cookies_asked.add(1),
                    Retry::Busy(_) => self.counters.reject(Reject::Busy),
                }
                let start = self.answers.bytes.len();
                self.answers.bytes.extend_from_slice(&retry.to_frame(frame, &self.node.mac1));
                self.answers.note(Origin::Here(id), start, false);
            }
        }
        Ok(())
    }

    /// Keeps a granted session and sends its HELLO_R.
    pub(super) fn admit(&mut self, id: ConnectionId, admitted: Admitted, now_ms: u64) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.logins_under_way -= 1;
        if connection.is_closing() {
            return;
        }
        if self.sessions.insert(admitted.session) {
            self.counters.logins.add(1);
            self.counters.sessions_opened.add(1);
            connection.lane_mut(id).output.extend_from_slice(&admitted.hello_r);
            self.connections.mark_dirty(id);
        } else {
            self.counters.sessions_refused.add(1);
            self.end(id, now_ms);
        }
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
