//! The frames of one turn, copied behind each other out of every connection's stream.

use crate::{
    limits::{BATCH_BYTES_MAX, BATCH_FRAMES_MAX},
    shard::ConnectionId,
};

/// Whole frames of any number of connections, in the order received. Its memory is reused by every turn.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    frames: Vec<(ConnectionId, u32)>,
    closing: Vec<ConnectionId>,
}

impl Batch {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(BATCH_BYTES_MAX),
            frames: Vec::with_capacity(BATCH_FRAMES_MAX),
            closing: Vec::new(),
        }
    }

    /// Adds the frame `head ‖ tail` of connection `id`; false when the batch is full.
    pub(super) fn push(&mut self, id: ConnectionId, head: &[u8], tail: &[u8]) -> bool {
        let length = head.len() + tail.len();
        if self.frames.len() == BATCH_FRAMES_MAX || self.bytes.len() + length > BATCH_BYTES_MAX {
            return false;
        }
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(tail);
        self.frames.push((id, length as u32));
        true
    }

    /// Ends connection `id` after the frames of this batch.
    pub(super) fn close_after(&mut self, id: ConnectionId) {
        self.closing.push(id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.closing.is_empty()
    }

    /// The frames in the order received.
    pub(super) fn frames(&mut self) -> impl Iterator<Item = (ConnectionId, &mut [u8])> {
        let mut rest = self.bytes.as_mut_slice();
        self.frames.iter().map(move |(id, length)| {
            let (frame, after) = std::mem::take(&mut rest).split_at_mut(*length as usize);
            rest = after;
            (*id, frame)
        })
    }

    /// The connections to end after them.
    pub(super) fn closing(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.closing.iter().copied()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.frames.clear();
        self.closing.clear();
    }
}
