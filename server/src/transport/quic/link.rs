//! One QUIC connection: its streams and datagrams as lanes of a connection of the shard.

use std::{net::SocketAddr, time::Instant};

use bytes::Bytes;
use mvt_proto::constants::QUIC_EXPORTER;
use quinn_proto::{
    Connection, ConnectionEvent, Dir, Event, ReadError, Side, StreamEvent, StreamId, Transmit, VarInt,
};

use crate::{
    counters::Counters,
    limits::{LANE_DATAGRAMS, READ_BYTES, STREAMS_PER_CONNECTION_MAX},
    shard::{ChannelBinding, ConnectionId, Shard},
    transport::quic::proof::{Allowance, Rate, Unproved},
};

/// What reading a connection showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    Nothing,
    /// Its handshake is done: it is this connection of the shard.
    Connected(ConnectionId),
    /// The shard has no room for it.
    Refused,
    /// It is over.
    Lost,
}

/// One connection.
pub(super) struct Link {
    pub(super) quic: Connection,
    /// Its name in the shard, from the end of its handshake on.
    pub(super) id: Option<ConnectionId>,
    /// When it wants to be looked at, as it stands in the queue.
    pub(super) deadline: Option<Instant>,
    pub(super) is_touched: bool,
    /// Streams the client has opened: numbers 0 up to here, the lanes of the same numbers.
    pub(super) stream_count: u8,
    /// By lane: output that was taken from the shard and does not fit yet, from a place on.
    pub(super) rests: [(Vec<u8>, usize); LANE_DATAGRAMS as usize + 1],
    /// The peer has ended a stream, or one broke: answer what came, then close.
    pub(super) is_hung_up: bool,
    /// The shard has said its last word.
    pub(super) is_last: bool,
    /// Streams whose end the peer has not acknowledged, once the last word is written.
    pub(super) unfinished_count: Option<u8>,
    /// Until its address has proved that somebody is there.
    pub(super) unproved: Option<Unproved>,
    /// Changes of its address, and what was sent to another than its own.
    moves: Rate,
    elsewhere: Rate,
    /// Where it has moved: what may still be sent there so that it is no more than three times what came from there.
    moved: Option<Allowance>,
}

impl Link {
    pub(super) fn new(quic: Connection, unproved: Option<Unproved>, now: Instant) -> Self {
        Self {
            quic,
            id: None,
            deadline: None,
            is_touched: false,
            stream_count: 0,
            rests: Default::default(),
            is_hung_up: false,
            is_last: false,
            unfinished_count: None,
            unproved,
            moves: Rate::new(now),
            elsewhere: Rate::new(now),
            moved: None,
        }
    }

    /// Takes packets that came from `remote`; false when they are as if they were lost. A client may move (SPEC §17.2.8), and each
    /// move has us send a probe of 1200 bytes to where it says it is: so it moves so often and not more.
    pub(super) fn receive(
        &mut self,
        remote: SocketAddr,
        event: ConnectionEvent,
        byte_count: usize,
        now: Instant,
    ) -> bool {
        let before = self.quic.remote_address();
        if remote == before {
            self.quic.handle_event(event);
            self.moved.iter_mut().for_each(|moved| moved.note(byte_count));
            return true;
        }
        if !self.moves.has_room(now) {
            return false;
        }
        self.quic.handle_event(event);
        if self.quic.remote_address() != before {
            self.moves.note();
            self.moved = Some(Allowance::of(byte_count));
        }
        true
    }

    /// Whether these packets may leave. To a first address that has proved nothing, no more than three times what came from it; to one
    /// that it moved to, no larger packet than such are known to take beyond that: `quinn-proto` holds the others to it, but looks for
    /// larger paths where nobody has proved to be.
    /// To any other, probes of 1200 bytes are all there is: of the path before, and answers to whoever asks from wherever he says.
    pub(super) fn admits(&mut self, transmit: &Transmit, now: Instant) -> bool {
        if let Some(unproved) = &mut self.unproved {
            return unproved.take(transmit.size);
        }
        if transmit.destination != self.quic.remote_address() {
            let has_room = self.elsewhere.has_room(now);
            self.elsewhere.note();
            return has_room;
        }
        let Some(moved) = &mut self.moved else { return true };
        let is_probe =
            transmit.segment_size.is_none() && transmit.size > usize::from(self.quic.current_mtu());
        moved.take(transmit.size) || !is_probe
    }

    /// Takes note of packets that came from `remote` while the handshake is under way; false when they are to be dropped, for
    /// nobody moves before it is done (RFC 9000 §9).
    pub(super) fn note_handshake(&mut self, remote: SocketAddr, bytes: &[u8]) -> bool {
        if remote != self.quic.remote_address() {
            return false;
        }
        self.unproved.take_if(|unproved| unproved.note(bytes));
        true
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.id.is_none() && self.quic.is_handshaking()
    }

    /// Ends it at once, saying nothing of why.
    pub(super) fn close(&mut self, now: Instant) {
        self.quic.close(now, VarInt::from_u32(0), Bytes::new());
    }

    /// Takes in what arrived: events, then the bytes of streams, then datagrams.
    pub(super) fn read(&mut self, shard: &mut Shard, counters: &Counters, now_ms: u64) -> Read {
        let mut read = Read::Nothing;
        while let Some(event) = self.quic.poll() {
            match event {
                Event::Connected => match self.open(shard, now_ms) {
                    Some(id) => read = Read::Connected(id),
                    None => return Read::Refused,
                },
                Event::ConnectionLost { .. } => return Read::Lost,
                Event::Stream(StreamEvent::Finished { .. }) => {
                    self.unfinished_count = self.unfinished_count.map(|count| count.saturating_sub(1));
                }
                // A stream nobody reads is a connection nobody reads (SPEC §17.2.4).
                Event::Stream(StreamEvent::Stopped { .. }) => {
                    self.is_hung_up = true;
                    self.unfinished_count = self.unfinished_count.map(|count| count.saturating_sub(1));
                }
                Event::Stream(_) | Event::HandshakeDataReady => {}
                Event::DatagramReceived | Event::DatagramsUnblocked => {}
            }
        }
        if let Some(id) = self.id {
            self.read_streams(id, shard, now_ms);
            self.read_datagrams(id, shard, counters, now_ms);
        }
        read
    }

    fn open(&mut self, shard: &mut Shard, now_ms: u64) -> Option<ConnectionId> {
        let mut binding: Box<ChannelBinding> = Box::default();
        self.quic.crypto_session().export_keying_material(&mut *binding, QUIC_EXPORTER, &[]).ok()?;
        self.id = shard.open_bound(self.quic.remote_address(), Some(binding), now_ms);
        self.id
    }

    fn read_streams(&mut self, id: ConnectionId, shard: &mut Shard, now_ms: u64) {
        // QUIC makes room for another where one has ended on both sides, as they do one by one after our last word: for those there is
        // no lane.
        while self.stream_count < STREAMS_PER_CONNECTION_MAX && self.quic.streams().accept(Dir::Bi).is_some()
        {
            self.stream_count += 1;
        }
        for lane in 0..self.stream_count {
            self.is_hung_up |= self.read_stream(id.by(lane), stream_of(lane), shard, now_ms);
        }
    }

    /// Reads one stream until it has nothing more, or the peer must read its answers first; true at its end.
    fn read_stream(&mut self, id: ConnectionId, stream: StreamId, shard: &mut Shard, now_ms: u64) -> bool {
        let mut receive = self.quic.recv_stream(stream);
        let Ok(mut chunks) = receive.read(true) else { return false };
        let is_over = loop {
            // A closing connection is read on, and what comes is dropped.
            if shard.is_open(id) && !shard.wants_read(id) {
                break false;
            }
            match chunks.next(READ_BYTES) {
                Ok(Some(chunk)) => shard.ingest(id, &chunk.bytes, now_ms),
                Ok(None) | Err(ReadError::Reset(_)) => break true,
                Err(ReadError::Blocked) => break false,
            }
        };
        // Whether it made something to send: the link is touched, so it is asked anyway.
        let _ = chunks.finalize();
        is_over
    }

    fn read_datagrams(&mut self, id: ConnectionId, shard: &mut Shard, counters: &Counters, now_ms: u64) {
        let id = id.by(LANE_DATAGRAMS);
        while let Some(datagram) = self.quic.datagrams().recv() {
            // Dropped before it is judged: it was not executed, and the client may send the same bytes again.
            if shard.wants_read(id) {
                shard.ingest_datagram(id, &datagram, now_ms);
            } else {
                counters.datagrams_shed.add(1);
            }
        }
    }
}

/// The client's bidirectional stream of a number.
pub(super) fn stream_of(lane: u8) -> StreamId {
    StreamId::new(Side::Client, Dir::Bi, lane.into())
}
