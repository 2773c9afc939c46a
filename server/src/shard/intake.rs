//! How fast new connections are taken in, of each accept queue, while most that come by it never log in, or logins come faster than
//! they are worked off.
//!
//! A connection costs a shard some twenty microseconds before it has shown anything, and whoever is cut off for sending login
//! frames without end comes back with another one. Established sessions do not pay for that: the rest waits in the kernel, behind those
//! of the same accept queue alone (stochastic fairness queueing, before accept).

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

use mvt_proto::Kind;
use mvt_sys::port_steering::{QUEUE_COUNT, SET_APART, Source};

use crate::{
    handshakes::Load,
    limits::{
        ACCEPTS_PER_INTERVAL_MAX, ACCEPTS_STRANGE_ALL_MAX, ACCEPTS_STRANGE_MAX, ACCEPTS_UNKNOWN_MAX,
        ROOM_AFTER_MS, ROOM_SHARE, STRANGERS_HALF_MS, SWEEP_INTERVAL_MS, UNKNOWN_ALL_MAX,
    },
    shard::{
        ConnectionId, Shard,
        accept_queue::{AcceptQueue, Backlog},
        connection::Connection,
    },
};

/// What came by each accept queue.
#[derive(Debug)]
pub(super) struct Intake {
    begun_ms: u64,
    halved_ms: u64,
    /// Connections taken in during this interval by queues that are not strange.
    taken_count: u32,
    queues: [AcceptQueue; QUEUE_COUNT],
    /// The strange queue that is dealt its credit first next time.
    hand: usize,
    /// Those that may be strangers yet, with when they came, the oldest first.
    newcomers: VecDeque<(u64, ConnectionId)>,
}

impl Default for Intake {
    fn default() -> Self {
        Self {
            begun_ms: 0,
            halved_ms: 0,
            taken_count: 0,
            queues: [AcceptQueue::default(); QUEUE_COUNT],
            hand: 0,
            newcomers: VecDeque::new(),
        }
    }
}

impl Intake {
    /// Begins another interval when it is time.
    fn pass(&mut self, now_ms: u64) {
        if now_ms < self.begun_ms + SWEEP_INTERVAL_MS {
            return;
        }
        self.begun_ms = now_ms;
        self.taken_count = 0;
        if now_ms >= self.halved_ms + STRANGERS_HALF_MS {
            self.halved_ms = now_ms;
            self.queues.iter_mut().for_each(AcceptQueue::forget_half);
        }
        self.deal();
    }

    /// Deals what all strange queues together may take in, each its share, beginning where it was not enough the last time.
    fn deal(&mut self) {
        let strange_count = self.queues.iter().filter(|queue| queue.is_strange()).count() as u32;
        let share = (ACCEPTS_STRANGE_ALL_MAX / strange_count.max(1)).clamp(1, ACCEPTS_STRANGE_MAX);
        let mut rest = ACCEPTS_STRANGE_ALL_MAX;
        let first = self.hand;
        for index in (first..first + QUEUE_COUNT).map(|index| index % QUEUE_COUNT) {
            let credit = if self.queues[index].is_strange() { share.min(rest) } else { 0 };
            self.queues[index].begin_interval(credit);
            if credit > 0 {
                self.hand = (index + 1) % QUEUE_COUNT;
            }
            rest -= credit;
        }
    }

    fn unknown_count(&self) -> u32 {
        self.queues.iter().map(AcceptQueue::unknown_count).sum()
    }

    fn note_taken(&mut self, queue: usize) {
        let queue = &mut self.queues[queue];
        self.taken_count += u32::from(!queue.is_strange());
        queue.note_taken();
    }

    pub(super) fn note(
        &mut self,
        now_ms: u64,
        peer: SocketAddr,
        queue: Option<usize>,
        newcomer: Option<ConnectionId>,
    ) {
        self.newcomers.extend(newcomer.map(|id| (now_ms, id)));
        self.pass(now_ms);
        match (queue, newcomer) {
            (Some(queue), Some(_)) => self.note_taken(queue),
            // Refused for want of room: it costs an accept all the same, and nothing more is heard of it.
            (Some(queue), None) => {
                self.note_taken(queue);
                self.queues[queue].note_stranger(peer.ip());
            }
            (None, _) => {}
        }
    }
}

impl Shard {
    /// It has shown that it belongs here: a session was opened by it, or used.
    #[cold]
    pub(super) fn welcome(&mut self, id: ConnectionId) {
        let Some(queue) = self.connections.get_mut(id).and_then(Connection::become_guest) else { return };
        self.intake.queues[queue].note_guest();
    }

    /// It goes, and nobody knows who it was.
    pub(super) fn note_end(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get(id)
            && let Some(queue) = connection.unknown_queue()
        {
            self.intake.queues[queue].note_stranger(connection.peer.ip());
        }
    }

    /// While places are few, those strangers that came first give way: whoever takes all of them and says nothing keeps nobody out
    /// (CASES D-04).
    pub(super) fn make_room(&mut self, now_ms: u64, mut abort: impl FnMut(ConnectionId)) {
        let most = self.node.connections_per_shard_max;
        let free = most.saturating_sub(self.connections.len());
        let mut lacking = (most / ROOM_SHARE).saturating_sub(free);
        while let Some((came_ms, id)) = self.intake.newcomers.front().copied() {
            let is_stranger = self.is_open(id) && self.is_stranger(id);
            if is_stranger && (lacking == 0 || now_ms < came_ms + ROOM_AFTER_MS) {
                break;
            }
            self.intake.newcomers.pop_front();
            if is_stranger {
                lacking -= 1;
                self.counters.strangers_evicted.add(1);
                abort(id);
            }
        }
    }

    /// Whether the driver is to accept of `queue` now; if not, it asks again at the next sweep.
    ///
    /// # Panics
    /// When there is no such queue.
    pub fn wants_accept(&self, queue: usize) -> bool {
        let is_pressed = self.handshakes.load(Kind::Hello) != Load::Low;
        let bound = if self.intake.unknown_count() > UNKNOWN_ALL_MAX {
            Some(ACCEPTS_UNKNOWN_MAX)
        } else {
            is_pressed.then_some(ACCEPTS_PER_INTERVAL_MAX)
        };
        let is_open = self.intake.queues[queue].is_open(bound, self.intake.taken_count);
        if !is_open {
            self.counters.accepts_paused.add(1);
        }
        is_open
    }

    /// How many connections of `queue` the kernel is to hold from now on, if that has changed: few, where the next ones are not worth more
    /// than an attempt.
    ///
    /// # Panics
    /// When there is no such queue.
    pub fn next_backlog(&mut self, queue: usize) -> Option<Backlog> {
        let is_crowded = self.intake.unknown_count() > UNKNOWN_ALL_MAX;
        self.intake.queues[queue].next_backlog(is_crowded)
    }

    /// Whether some queue is strange that addresses share because they were given it.
    #[must_use]
    pub fn has_strange_queue(&self) -> bool {
        self.intake.queues[..SET_APART].iter().any(AcceptQueue::is_strange)
    }

    /// The queues that are flooded, and by whom if that is one address or one prefix: to be set apart, and then told to
    /// [`Shard::forgive`].
    pub fn suspects(&self) -> impl Iterator<Item = (usize, Option<Source>)> + '_ {
        let queues = self.intake.queues.iter().enumerate();
        queues.filter(|(_, queue)| queue.is_strange()).map(|(index, queue)| (index, queue.suspect()))
    }

    /// Who flooded `queue` has another one from now on.
    ///
    /// # Panics
    /// When there is no such queue.
    pub fn forgive(&mut self, queue: usize) {
        self.intake.queues[queue].forgive();
    }

    /// Addresses have other queues from now on: `queue_of` tells which. What is remembered of the queues was of others; of what connections
    /// of unknown clients become, those are told that their addresses have now.
    pub fn move_queues(&mut self, queue_of: impl Fn(IpAddr) -> usize) {
        self.intake.queues.iter_mut().for_each(AcceptQueue::move_away);
        for at in 0..self.intake.newcomers.len() {
            let (_, id) = self.intake.newcomers[at];
            if let Some(queue) =
                self.connections.get_mut(id).and_then(|connection| connection.change_queue(&queue_of))
            {
                self.intake.queues[queue].note_unknown();
            }
        }
    }

    pub(super) fn pass_interval(&mut self, now_ms: u64) {
        self.intake.pass(now_ms);
    }
}
