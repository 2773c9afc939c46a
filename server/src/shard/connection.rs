//! One connection as the shard sees it: its lanes, its deadlines, what its peer has shown.

use std::net::SocketAddr;

use mvt_proto::constants::{FIRST_USE_MS, KEY_BYTES};

use crate::{
    limits::{LINGER_MS, TRIM_MS},
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
    pub(super) is_dirty: bool,
    /// Set once: when it began to close.
    closing_since_ms: Option<u64>,
    opened_ms: u64,
    verified_ms: Option<u64>,
    pub(super) unverified_count: u32,
    pub(super) logins_under_way: u32,
    /// RETRYs in the second that began then, less those that were followed.
    retries: (u64, u32),
    /// What it sent is not worth reading on until it has heard that it is closed.
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
            closing_since_ms: None,
            opened_ms: now_ms,
            verified_ms: None,
            unverified_count: 0,
            logins_under_way: 0,
            retries: (0, 0),
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

    pub(super) fn note_verified(&mut self, now_ms: u64) {
        self.verified_ms = Some(now_ms);
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
    }

    /// Whether it has ever sent something that was verified.
    pub(super) const fn has_verified(&self) -> bool {
        self.verified_ms.is_some()
    }

    pub(super) fn close(&mut self, now_ms: u64) {
        self.closing_since_ms.get_or_insert(now_ms);
    }

    pub(super) const fn is_closing(&self) -> bool {
        self.closing_since_ms.is_some()
    }

    pub(super) fn output_bytes(&self, id: ConnectionId) -> usize {
        self.lane(id).map_or(0, |lane| lane.output.len())
    }

    pub(super) fn take_output(&mut self, id: ConnectionId, spare: &mut Vec<u8>, now_ms: u64) -> bool {
        self.is_dirty = false;
        if self.lane(id).is_some() {
            self.lane_mut(id).take_output(spare, now_ms);
        }
        self.is_closing()
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
    }

    /// Whether some deadline has passed: half a frame, output nobody reads or reads too slowly, a login nobody finishes, silence.
    pub(super) fn is_overdue(&self, now_ms: u64, idle_ms: u64) -> bool {
        let since = |then: u64| now_ms.saturating_sub(then);
        let is_stalled =
            self.first.is_stalled(now_ms) || self.others.iter().any(|lane| lane.is_stalled(now_ms));
        let silent = match self.verified_ms {
            Some(then) => since(then) > idle_ms,
            None => since(self.opened_ms) > FIRST_USE_MS,
        };
        is_stalled || silent
    }

    /// Whether it has been closing for longer than the peer gets to hear of it.
    pub(super) fn is_lingering_too_long(&self, now_ms: u64) -> bool {
        let most_ms = if self.is_abrupt { 0 } else { LINGER_MS };
        self.closing_since_ms.is_some_and(|then| now_ms.saturating_sub(then) > most_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::STALL_MS;

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
