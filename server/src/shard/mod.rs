//! The engine: bytes of connections and `now` in; bytes for connections and deadlines out. No I/O.
//!
//! A turn: the driver [`Shard::ingest`]s what it read from any number of connections, which cuts frames into one batch;
//! [`Shard::turn`] judges the batch in order and leaves the answers with each connection; the driver takes them
//! from the connections [`Shard::next_dirty`] names.

mod accept_queue;
mod answers;
mod batch;
mod connection;
mod connections;
mod forward;
mod held;
mod index;
mod intake;
mod lane;
mod login;
mod recovering;
mod renewal;
mod renewals;
mod revocation;
mod rotation;
pub mod sessions;
mod spares;
mod suspect;
mod sweep;
mod turn;
mod verify;
mod wheel;

use std::{collections::VecDeque, net::SocketAddr, sync::Arc};

use mvt_lanes::Engine;
use mvt_proto::{Reject, Role, framer, framer::Cut, session};

pub use accept_queue::Backlog;
pub use connection::{ChannelBinding, ConnectionId};
pub use sweep::SweepHand;

use crate::{
    counters::Counters,
    fatal::Fatal,
    handshakes::HandshakePool,
    limits::OUTPUT_BYTES_HIGH,
    mailbox::{Mailbox, Packet},
    node::Node,
    service::Service,
};
use answers::Answers;
use batch::Batch;
use connection::Connection;
use connections::Connections;
use held::Held;
use index::Place;
use intake::Intake;
use recovering::Recovering;
use renewal::Dummy;
use revocation::Scan;
use rotation::Rotation;
use sessions::{Generation, Sessions};
use spares::Spares;
use turn::What;

/// What a shard is made of.
pub struct Parts {
    /// Its number, the shard byte of its key ids.
    pub index: usize,
    /// What all shards know.
    pub node: Arc<Node>,
    /// Executes verified requests.
    pub service: Box<dyn Service>,
    /// Its counters.
    pub counters: Arc<Counters>,
    /// Does the slow work of logins.
    pub handshakes: Arc<HandshakePool>,
    /// The mailboxes of all shards, ours at our index.
    pub mailboxes: Arc<[Mailbox]>,
}

/// One shard: the only owner of its sessions and connections.
pub struct Shard {
    index: usize,
    node: Arc<Node>,
    service: Box<dyn Service>,
    counters: Arc<Counters>,
    handshakes: Arc<HandshakePool>,
    mailboxes: Arc<[Mailbox]>,
    sessions: Sessions,
    connections: Connections,
    /// Memory for output: connections that owe nothing hold none.
    spares: Spares,
    batch: Batch,
    /// Of the piece of the batch under way: what each frame is, the session of each request, request keys, answers.
    rows: Vec<What>,
    checked: Vec<Option<(Place, Generation)>>,
    lanes: session::Batch,
    answers: Answers,
    /// Frames of keys we do not hold are verified against it (SPEC §9.2).
    dummy: Dummy,
    answer: Vec<u8>,
    /// Packets for the shard's QUIC that came by mail: as many as a mailbox holds, until the driver takes them.
    packets: VecDeque<Packet>,
    /// Frames that wait for room at the shards that own their keys, and connections that are to be read again.
    held: Held,
    resumed: VecDeque<ConnectionId>,
    /// When the stack is scrubbed next, ms.
    scrub_ms: u64,
    /// Revocations whose sessions are not all erased yet, the one under way first.
    revoking: VecDeque<Scan>,
    rotation: Option<Rotation>,
    recovering: Recovering,
    intake: Intake,
}

impl Shard {
    /// A shard without connections or sessions.
    ///
    /// # Errors
    /// [`Fatal::Randomness`], or [`Fatal::Os`] when there are no addresses for the sessions there may be.
    pub fn new(parts: Parts) -> Result<Self, Fatal> {
        Self::with_engine(parts, Engine::detect())
    }

    /// The same, computing request keys and tags with `engine`.
    ///
    /// # Errors
    /// As [`Shard::new`].
    pub fn with_engine(parts: Parts, engine: Engine) -> Result<Self, Fatal> {
        let Parts { index, node, service, counters, handshakes, mailboxes } = parts;
        Ok(Self {
            index,
            dummy: Dummy::new(&node)?,
            sessions: Sessions::new(node.sessions_per_shard_max, node.limits.replay_window_bits)
                .map_err(|source| Fatal::Os { what: "cannot reserve the table of sessions", source })?,
            connections: Connections::new(node.connections_per_shard_max),
            spares: Spares::default(),
            batch: Batch::new(),
            rows: Vec::with_capacity(session::BATCH_REQUESTS_MAX),
            checked: Vec::with_capacity(session::BATCH_REQUESTS_MAX),
            lanes: session::Batch::new(engine),
            answers: Answers::default(),
            answer: Vec::new(),
            packets: VecDeque::new(),
            held: Held::default(),
            resumed: VecDeque::new(),
            scrub_ms: 0,
            revoking: VecDeque::new(),
            rotation: None,
            recovering: Recovering::default(),
            intake: Intake::default(),
            node,
            service,
            counters,
            handshakes,
            mailboxes,
        })
    }

    /// Takes in a new connection; `None` at the limit.
    pub fn open(&mut self, peer: SocketAddr, now_ms: u64) -> Option<ConnectionId> {
        self.take_in(Connection::new(peer, None, now_ms), None, now_ms)
    }

    /// The same, of one that came by an accept queue.
    pub fn open_from(&mut self, queue: usize, peer: SocketAddr, now_ms: u64) -> Option<ConnectionId> {
        self.take_in(Connection::new(peer, None, now_ms), Some(queue), now_ms)
    }

    /// The same, with what its logins are bound to.
    pub fn open_bound(
        &mut self,
        peer: SocketAddr,
        channel_binding: Option<Box<ChannelBinding>>,
        now_ms: u64,
    ) -> Option<ConnectionId> {
        self.take_in(Connection::new(peer, channel_binding, now_ms), None, now_ms)
    }

    fn take_in(&mut self, connection: Connection, queue: Option<usize>, now_ms: u64) -> Option<ConnectionId> {
        let peer = connection.peer;
        let opened = self.connections.insert(connection.came_by(queue));
        self.intake.note(now_ms, peer, queue, opened);
        match opened {
            Some(_) => self.counters.connections_opened.add(1),
            None => self.counters.connections_refused.add(1),
        }
        opened
    }

    /// Forgets a connection. Results of work under way for it are dropped when they come.
    pub fn close(&mut self, id: ConnectionId) {
        self.forget_held(id);
        self.note_end(id);
        if self.connections.remove(id) {
            self.counters.connections_closed.add(1);
        }
    }

    /// Cuts `bytes`, the next of a stream of connection `id` (SPEC §17.1.3), into the batch of this turn; judges the
    /// batch first where it is full. A malformed frame ends the connection after what came before it (SPEC §3.2.5).
    pub fn ingest(&mut self, id: ConnectionId, bytes: &[u8], now_ms: u64) {
        self.ingest_by(id, bytes, now_ms, |connection, bytes, batch| {
            connection.lane_mut(id).cut(bytes, batch, id, now_ms)
        });
    }

    /// The same for a datagram, which carries whole frames only (SPEC §17.2.5).
    pub fn ingest_datagram(&mut self, id: ConnectionId, bytes: &[u8], now_ms: u64) {
        self.ingest_by(id, bytes, now_ms, |_, bytes, batch| lane::cut_datagram(bytes, batch, id));
    }

    #[inline]
    fn ingest_by(
        &mut self,
        id: ConnectionId,
        mut bytes: &[u8],
        now_ms: u64,
        cut: impl Fn(&mut Connection, &[u8], &mut Batch) -> Result<usize, Reject>,
    ) {
        loop {
            let Some(connection) = self.connections.get_mut(id) else { return };
            if connection.is_done() {
                return;
            }
            let taken = match cut(connection, bytes, &mut self.batch) {
                Ok(taken) => taken,
                Err(reject) => {
                    self.counters.reject(reject);
                    connection.finish();
                    self.batch.close_after(id);
                    return;
                }
            };
            bytes = &bytes[taken..];
            if bytes.is_empty() {
                return;
            }
            self.turn(now_ms);
        }
    }

    /// Ends a connection whose peer says nothing more, or nothing that is listened to: when frames of it that wait for room have gone.
    fn finish(&mut self, id: ConnectionId, now_ms: u64) {
        if !self.held.holds_any(id) {
            self.end(id, now_ms);
        } else if let Some(connection) = self.connections.get_mut(id) {
            connection.finish();
        }
    }

    /// Ends a connection from our side: nothing more of it is judged, and what other shards and login threads have of it is
    /// answered first, for [`STALL_MS`](crate::limits::STALL_MS) at most.
    fn end(&mut self, id: ConnectionId, now_ms: u64) {
        self.forget_held(id);
        if let Some(connection) = self.connections.get_mut(id) {
            connection.close(now_ms);
            self.connections.mark_dirty(id);
        }
    }

    /// The same, without waiting for anybody.
    fn give_up(&mut self, id: ConnectionId, now_ms: u64) {
        self.end(id, now_ms);
        if let Some(connection) = self.connections.get_mut(id) {
            connection.give_up(now_ms);
        }
    }

    /// It sent what no client would. A stranger is not read any more: to go on and drop what comes, until it has seen our last bytes, is
    /// for those who wait for them.
    fn cut_short(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(id)
            && connection.is_stranger()
        {
            connection.is_abrupt = true;
        }
    }

    /// Whether nothing of `id` was ever verified, so that it is to be read sparingly.
    #[must_use]
    pub fn is_stranger(&self, id: ConnectionId) -> bool {
        self.connections.get(id).is_some_and(Connection::is_stranger)
    }

    /// Whether `id` is closing and not to be read any more.
    #[must_use]
    pub fn is_abrupt(&self, id: ConnectionId) -> bool {
        self.connections.get(id).is_some_and(|connection| connection.is_abrupt && connection.is_closing())
    }

    /// The peer sent its last byte (SPEC §17.1.4), or the driver cannot write any more: what was received is answered, then it ends.
    pub fn hang_up(&mut self, id: ConnectionId, now_ms: u64) {
        self.turn(now_ms);
        self.finish(id, now_ms);
    }

    /// The next connection that got output since it was last named, or is to be closed.
    pub fn next_dirty(&mut self) -> Option<ConnectionId> {
        self.connections.next_dirty()
    }

    /// Swaps the output of `id` with `spare`, an empty buffer, best one without memory; true when the connection is to be
    /// closed after it. [`Shard::sent`] takes the buffer back.
    pub fn take_output(&mut self, id: ConnectionId, spare: &mut Vec<u8>, now_ms: u64) -> bool {
        debug_assert!(spare.is_empty());
        match self.connections.get_mut(id) {
            Some(connection) => connection.take_output(id, spare, now_ms),
            None => true,
        }
    }

    /// The output of `id` that was taken is sent, or given up; takes back its memory.
    pub fn sent(&mut self, id: ConnectionId, mut buffer: Vec<u8>) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.note_sent(id);
        }
        buffer.clear();
        self.spares.put(buffer);
    }

    /// What this shard counts.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Whether `id` may be read: not at the watermark, and not held up.
    pub fn wants_read(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get_mut(id) else { return false };
        let wanted = connection.unsent_bytes(id) < OUTPUT_BYTES_HIGH;
        if !wanted {
            self.counters.reads_paused.add(1);
        }
        wanted && !self.is_held(id)
    }

    /// Whether the connection is still there and not closing.
    #[must_use]
    pub fn is_open(&self, id: ConnectionId) -> bool {
        self.connections.get(id).is_some_and(|connection| !connection.is_closing())
    }

    /// Ends every connection, for shutdown: each closes after its output.
    pub fn close_all(&mut self, now_ms: u64) {
        self.turn(now_ms);
        for id in self.connections.ids() {
            self.end(id, now_ms);
            if let Some(connection) = self.connections.get_mut(id) {
                connection.leave(now_ms);
            }
        }
    }

    /// Connections still there.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.connections.len()
    }

    /// Sessions held.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }
}

/// The frame at the front of `bytes`: its length, or, while it is not whole, the bytes that are needed.
fn whole_frame_bytes(bytes: &[u8]) -> Result<Result<usize, usize>, Reject> {
    Ok(match framer::cut(bytes, Role::Server)? {
        Cut::Frame(length) => Ok(length),
        Cut::Need(length) => Err(length),
    })
}
