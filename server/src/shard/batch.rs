//! The frames of one turn, copied behind each other out of every connection's stream.

use std::ops::Range;

use crate::{
    limits::{BATCH_BYTES_MAX, BATCH_FRAMES_MAX},
    shard::ConnectionId,
};

/// Where a frame came from, and its answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// One of our connections.
    Here(ConnectionId),
    /// A connection of another shard, which handed the frame to us because we own its key.
    Forwarded {
        /// The other shard.
        from_shard: u16,
        /// The connection there.
        connection: ConnectionId,
    },
}

#[derive(Debug)]
struct Entry {
    origin: Origin,
    start: u32,
    end: u32,
}

/// Whole frames of any number of connections, in the order received. Its memory is reused by every turn.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    entries: Vec<Entry>,
    closing: Vec<ConnectionId>,
}

impl Batch {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(BATCH_BYTES_MAX),
            entries: Vec::with_capacity(BATCH_FRAMES_MAX),
            closing: Vec::new(),
        }
    }

    /// Adds a frame; false when the batch is full.
    pub(super) fn push(&mut self, origin: Origin, frame: &[u8]) -> bool {
        let start = self.bytes.len();
        let end = start + frame.len();
        if self.entries.len() == BATCH_FRAMES_MAX || end > BATCH_BYTES_MAX {
            return false;
        }
        self.bytes.extend_from_slice(frame);
        self.entries.push(Entry { origin, start: start as u32, end: end as u32 });
        true
    }

    /// Ends connection `id` after the frames of this batch.
    pub(super) fn close_after(&mut self, id: ConnectionId) {
        self.closing.push(id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.closing.is_empty()
    }

    pub(super) fn frame_count(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn origin(&self, index: usize) -> &Origin {
        &self.entries[index].origin
    }

    /// Where frame `index` is in `bytes`.
    pub(super) fn span(&self, index: usize) -> Range<usize> {
        self.entries[index].start as usize..self.entries[index].end as usize
    }

    pub(super) fn frame(&self, index: usize) -> &[u8] {
        &self.bytes[self.span(index)]
    }

    /// The connections to end after them.
    pub(super) fn closing(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.closing.iter().copied()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.closing.clear();
    }
}
