//! One connection as the shard sees it: its lanes, its deadlines, what its peer has shown.

use std::net::{IpAddr, SocketAddr};

use mvt_proto::constants::{FIRST_USE_MS, KEY_BYTES};

use crate::{
    limits::{
        LINGER_MS, LOGIN_PAUSE_HASTY_MS, LOGIN_PAUSE_MS, LOGIN_PAUSE_MS_MAX, RETRIES_FREE, STALL_MS, TRIM_MS,
    },
    shard::lane::Lane,
};

/// Names a connection of one shard, and a lane of it; a place reused later has another generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ConnectionId {
    pub(super) index: u32,
    pub(super) generation: u32,
    pub(super) lane: u8,
}

impl ConnectionId {
    /// The number of its place: small and dense, an index for tables of the driver.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// The same connection by another of its lanes. Lane 0 names the connection as a whole too.
    #[must_use]
    pub const fn by(self, lane: u8) -> Self {
        Self { lane, ..self }
    }
}

/// What ties a login to the connection it came by (SPEC §10, §17.2.3). Not a secret.
pub type ChannelBinding = [u8; KEY_BYTES];

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: SocketAddr,
    /// `None` on TCP, which has nothing to bind to.
    pub(super) channel_binding: Option<Box<ChannelBinding>>,
    /// Lane 0.
    first: Lane,
    /// Lanes 1 and on, as far as they were used.
    others: Vec<Lane>,
    /// It is in the list of those with something for the driver.
    pub(super) is_dirty: bool,
    /// The accept queue it came by, until it has shown that it belongs here.
    unknown_queue: Option<u8>,
    /// Set once: its peer has ended it, and frames of it are held until others have room (SPEC §17.1.4).
    is_done: bool,
    /// Set once: when it stopped taking anything. It ends when it owes nothing any more.
    closing_since_ms: Option<u64>,
    /// Set once: since when what it still owes is not waited for.
    given_up_ms: Option<u64>,
    /// When a sweep first saw that all is said and sent; the peer has [`LINGER_MS`] to hear of it from then on.
    said_ms: Option<u64>,
    opened_ms: u64,
    verified_ms: Option<u64>,
    pub(super) unverified_count: u32,
    pub(super) logins_under_way: u32,
    /// Frames that other shards have of it and did not answer yet.
    pub(super) elsewhere_count: u32,
    /// RETRYs in the second that began then, less those that were followed.
    retries: (u64, u32),
    /// RETRYs since it was opened, less those that were followed.
    strikes: u32,
    /// How often it was not read for a while for the RETRYs it needed.
    pauses: u32,
    /// Not read until a sweep at this time or later.
    paused_until_ms: Option<u64>,
    /// It sent login frames after the RETRY for which it is not read.
    is_hasty: bool,
    /// What it sends is not worth reading until it has heard that it is closed.
    pub(super) is_abrupt: bool,
}

impl Connection {
    pub(super) fn new(peer: SocketAddr, channel_binding: Option<Box<ChannelBinding>>, now_ms: u64) -> Self {
        Self {
            peer,
            channel_binding,
            first: Lane::new(now_ms),
            others: Vec::new(),
            is_dirty: false,
            unknown_queue: None,
            is_done: false,
            closing_since_ms: None,
            given_up_ms: None,
            said_ms: None,
            opened_ms: now_ms,
            verified_ms: None,
            unverified_count: 0,
            logins_under_way: 0,
            elsewhere_count: 0,
            retries: (0, 0),
            strikes: 0,
            pauses: 0,
            paused_until_ms: None,
            is_hasty: false,
            is_abrupt: false,
        }
    }

    /// The lane that `id` names.
    pub(super) fn lane_mut(&mut self, id: ConnectionId) -> &mut Lane {
        let Some(at) = usize::from(id.lane).checked_sub(1) else { return &mut self.first };
        if at >= self.others.len() {
            self.others.resize_with(at + 1, || Lane::new(self.opened_ms));
        }
        &mut self.others[at]
    }

    fn lane(&self, id: ConnectionId) -> Option<&Lane> {
        match usize::from(id.lane).checked_sub(1) {
            None => Some(&self.first),
            Some(at) => self.others.get(at),
        }
    }

    /// Notes where it came from.
    pub(super) fn came_by(mut self, queue: Option<usize>) -> Self {
        self.unknown_queue = queue.and_then(|queue| u8::try_from(queue).ok());
        self
    }

    /// The accept queue that is to be told what became of it, if it was not.
    pub(super) fn unknown_queue(&self) -> Option<usize> {
        self.unknown_queue.map(usize::from)
    }

    /// Its address has another one now; that, if it is to be told what became of it.
    pub(super) fn change_queue(&mut self, queue_of: impl Fn(IpAddr) -> usize) -> Option<usize> {
        let queue = queue_of(self.peer.ip());
        *self.unknown_queue.as_mut()? = u8::try_from(queue).ok()?;
        Some(queue)
    }

    /// It has shown that it belongs here; the same queue, once.
    pub(super) fn become_guest(&mut self) -> Option<usize> {
        self.unknown_queue.take().map(usize::from)
    }

    /// Whether that is to be told to the accept queue it came by.
    pub(super) fn note_verified(&mut self, now_ms: u64) -> bool {
        self.verified_ms = Some(now_ms);
        self.unknown_queue.is_some()
    }

    /// Counts a RETRY; how many there were in this second.
    pub(super) const fn note_retry(&mut self, now_ms: u64) -> u32 {
        let (begun_ms, count) = self.retries;
        self.retries = if now_ms >= begun_ms + 1_000 { (now_ms, 1) } else { (begun_ms, count + 1) };
        self.retries.1
    }

    /// A login frame was taken: its client did as it was told, so the RETRY before it does not count.
    pub(super) const fn forgive_retry(&mut self) {
        self.retries.1 = self.retries.1.saturating_sub(1);
        self.strikes = self.strikes.saturating_sub(1);
    }

    /// A stranger was told to wait or to bring a cookie: after too many of these that were not followed it is not read for a while.
    pub(super) fn strike(&mut self, now_ms: u64) -> bool {
        self.strikes = self.strikes.saturating_add(1);
        if self.strikes <= RETRIES_FREE {
            return false;
        }
        let usual_ms = (LOGIN_PAUSE_MS << self.pauses.min(16)).min(LOGIN_PAUSE_MS_MAX);
        let pause_ms = if std::mem::take(&mut self.is_hasty) { LOGIN_PAUSE_HASTY_MS } else { usual_ms };
        self.paused_until_ms = Some(now_ms + pause_ms);
        self.pauses += 1;
        true
    }

    pub(super) const fn is_paused(&self) -> bool {
        self.paused_until_ms.is_some()
    }

    /// A login frame of it is not looked at, because it is not to be read.
    pub(super) const fn shed(&mut self) {
        self.is_hasty = true;
    }

    /// Whether it was not read, and is to be read again.
    pub(super) fn ends_pause(&mut self, now_ms: u64) -> bool {
        self.paused_until_ms.take_if(|until| *until <= now_ms).is_some()
    }

    /// Whether it has shown nothing yet. QUIC has its own ways to slow a peer down.
    pub(super) const fn is_stranger(&self) -> bool {
        !self.has_verified() && self.channel_binding.is_none()
    }

    /// Whether it has ever sent something that was verified.
    pub(super) const fn has_verified(&self) -> bool {
        self.verified_ms.is_some()
    }

    /// Takes no more bytes; the frames of it that are held are judged yet.
    pub(super) const fn finish(&mut self) {
        self.is_done = true;
    }

    pub(super) const fn is_done(&self) -> bool {
        self.is_done
    }

    /// Takes nothing any more, and ends when all it owes is said.
    pub(super) fn close(&mut self, now_ms: u64) {
        self.is_done = true;
        // It did not listen to what it was told, nor will it to that.
        self.is_abrupt |= self.pauses > 0 && self.is_stranger();
        self.closing_since_ms.get_or_insert(now_ms);
    }

    /// The same, without waiting for what it owes.
    pub(super) fn give_up(&mut self, now_ms: u64) {
        self.close(now_ms);
        self.given_up_ms.get_or_insert(now_ms);
    }

    /// The same when the server stops: what is not said and heard soon never will be.
    pub(super) fn leave(&mut self, now_ms: u64) {
        self.close(now_ms);
        self.said_ms.get_or_insert(now_ms);
    }

    pub(super) const fn is_closing(&self) -> bool {
        self.closing_since_ms.is_some()
    }

    pub(super) const fn is_given_up(&self) -> bool {
        self.given_up_ms.is_some()
    }

    /// Whether nothing is added to its output any more.
    const fn is_over(&self) -> bool {
        self.is_closing() && (self.is_given_up() || (self.elsewhere_count == 0 && self.logins_under_way == 0))
    }

    /// Whether others had their time to answer what it still owes.
    pub(super) fn owes_too_long(&self, now_ms: u64) -> bool {
        !self.is_over() && self.closing_since_ms.is_some_and(|then| now_ms.saturating_sub(then) > STALL_MS)
    }

    pub(super) fn unsent_bytes(&self, id: ConnectionId) -> usize {
        self.lane(id).map_or(0, Lane::unsent_bytes)
    }

    pub(super) fn take_output(&mut self, id: ConnectionId, spare: &mut Vec<u8>, now_ms: u64) -> bool {
        if self.lane(id).is_some() {
            self.lane_mut(id).take_output(spare, now_ms);
        }
        self.is_over()
    }

    /// What the driver had of the lane was sent.
    pub(super) fn note_sent(&mut self, id: ConnectionId) {
        if self.lane(id).is_some() {
            self.lane_mut(id).note_sent();
        }
    }

    /// To be called at every sweep.
    pub(super) fn look_at(&mut self, now_ms: u64) {
        let active_ms = self.verified_ms.unwrap_or(self.opened_ms);
        let is_silent = now_ms.saturating_sub(active_ms) > TRIM_MS;
        self.first.look_at(now_ms, is_silent);
        for lane in &mut self.others {
            lane.look_at(now_ms, is_silent);
        }
        if self.is_over() && self.lanes().all(Lane::is_at_rest) {
            self.said_ms.get_or_insert(now_ms);
        }
    }

    /// Whether some deadline has passed: half a frame, output nobody reads or reads too slowly, a login nobody finishes, silence.
    pub(super) fn is_overdue(&self, now_ms: u64, idle_ms: u64) -> bool {
        let since = |then: u64| now_ms.saturating_sub(then);
        let silent = match self.verified_ms {
            Some(then) => since(then) > idle_ms,
            None => since(self.opened_ms) > FIRST_USE_MS,
        };
        silent || self.lanes().any(|lane| lane.is_stalled(now_ms))
    }

    fn lanes(&self) -> impl Iterator<Item = &Lane> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Whether the peer had its time to take the last output, and to hear that it was the last. One that met a deadline had the former.
    pub(super) fn is_lingering_too_long(&self, now_ms: u64) -> bool {
        let since_ms = self.given_up_ms.or(self.said_ms);
        let is_heard = since_ms.is_some_and(|then| now_ms.saturating_sub(then) > LINGER_MS);
        is_heard
            || (self.is_abrupt && self.is_closing())
            || (self.is_over() && self.lanes().any(|lane| lane.is_unread(now_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_waits_from_when_it_is_there_not_from_the_one_before() {
        for lane in 0..3 {
            let id = ConnectionId { lane, ..ConnectionId::default() };
            let mut connection = Connection::new(([127, 0, 0, 1], 1).into(), None, 0);
            connection.note_verified(50_000);
            connection.lane_mut(id).output.push(1);
            for (now_ms, is_overdue) in
                [(60_000, false), (60_000 + STALL_MS, false), (60_001 + STALL_MS, true)]
            {
                connection.look_at(now_ms);
                assert_eq!(connection.is_overdue(now_ms, 1 << 40), is_overdue, "{now_ms}");
            }
            connection.take_output(id, &mut Vec::new(), 80_000);
            assert!(!connection.is_overdue(80_000, 1 << 40));
        }
    }

    /// However often it logs in: a cookie that was brought back is nothing to hold against it.
    #[test]
    fn a_retry_that_was_followed_does_not_count() {
        let mut connection = Connection::new(([127, 0, 0, 1], 1).into(), None, 0);
        for _ in 0..1_000 {
            assert_eq!(connection.note_retry(500), 1);
            connection.forgive_retry();
        }
        assert_eq!((connection.note_retry(500), connection.note_retry(500)), (1, 2), "the others do");
    }
}
