//! One connection as the shard sees it: the rest of a frame, its output, its deadlines.

use std::net::SocketAddr;

use mvt_proto::{Reject, constants::FIRST_USE_MS};

use crate::{
    limits::{LINGER_MS, SEND_MS_MAX, STALL_MS, TRIM_MS},
    shard::{
        batch::{Batch, Origin},
        whole_frame_bytes,
    },
};

/// Names a connection of one shard; a place reused later has another generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ConnectionId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

impl ConnectionId {
    /// The number of its place: small and dense, an index for tables of the driver.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: SocketAddr,
    /// The start of a frame that is not whole yet, shorter than the largest frame.
    carry: Vec<u8>,
    /// When the carried frame began to arrive.
    carry_since_ms: u64,
    pub(super) output: Vec<u8>,
    /// When a sweep first saw output waiting for the driver.
    output_since_ms: Option<u64>,
    /// Since when the driver has had output of it that is not sent.
    sending_since_ms: Option<u64>,
    pub(super) is_dirty: bool,
    /// Set once: when it began to close.
    closing_since_ms: Option<u64>,
    opened_ms: u64,
    verified_ms: Option<u64>,
    pub(super) unverified_count: u32,
    pub(super) logins_under_way: u32,
}

impl Connection {
    pub(super) fn new(peer: SocketAddr, now_ms: u64) -> Self {
        Self {
            peer,
            carry: Vec::new(),
            carry_since_ms: now_ms,
            output: Vec::new(),
            output_since_ms: None,
            sending_since_ms: None,
            is_dirty: false,
            closing_since_ms: None,
            opened_ms: now_ms,
            verified_ms: None,
            unverified_count: 0,
            logins_under_way: 0,
        }
    }

    /// Cuts whole frames off the stream into `batch` and carries the rest; gives the bytes taken, fewer than all only when
    /// the batch is full.
    ///
    /// # Errors
    /// A malformed frame; those before it are in the batch.
    pub(super) fn cut(
        &mut self,
        bytes: &[u8],
        batch: &mut Batch,
        id: ConnectionId,
        now_ms: u64,
    ) -> Result<usize, Reject> {
        let mut taken = 0;
        while !self.carry.is_empty() {
            match whole_frame_bytes(&self.carry)? {
                Ok(_) => {
                    if !batch.push(Origin::Here(id), &self.carry) {
                        return Ok(taken);
                    }
                    self.carry.clear();
                }
                // The length is judged before anything is kept for it.
                Err(needed) => {
                    let more = (needed - self.carry.len()).min(bytes.len() - taken);
                    if more == 0 {
                        return Ok(taken);
                    }
                    self.carry.extend_from_slice(&bytes[taken..taken + more]);
                    taken += more;
                }
            }
        }
        loop {
            let rest = &bytes[taken..];
            if rest.is_empty() {
                return Ok(taken);
            }
            match whole_frame_bytes(rest)? {
                Ok(length) => {
                    if !batch.push(Origin::Here(id), &rest[..length]) {
                        return Ok(taken);
                    }
                    taken += length;
                }
                Err(_) => {
                    self.carry.extend_from_slice(rest);
                    self.carry_since_ms = now_ms;
                    return Ok(bytes.len());
                }
            }
        }
    }

    pub(super) fn note_verified(&mut self, now_ms: u64) {
        self.verified_ms = Some(now_ms);
    }

    pub(super) fn close(&mut self, now_ms: u64) {
        self.closing_since_ms.get_or_insert(now_ms);
    }

    pub(super) const fn is_closing(&self) -> bool {
        self.closing_since_ms.is_some()
    }

    pub(super) fn output_bytes(&self) -> usize {
        self.output.len()
    }

    pub(super) fn take_output(&mut self, spare: &mut Vec<u8>, now_ms: u64) -> bool {
        self.is_dirty = false;
        self.output_since_ms = None;
        std::mem::swap(&mut self.output, spare);
        if !spare.is_empty() {
            self.sending_since_ms.get_or_insert(now_ms);
        }
        self.is_closing()
    }

    pub(super) const fn note_sent(&mut self) {
        self.sending_since_ms = None;
    }

    /// To be called at every sweep: sees what waits, and gives back memory that a connection which has been silent for a while
    /// does not need.
    pub(super) fn look_at(&mut self, now_ms: u64) {
        if !self.output.is_empty() {
            self.output_since_ms.get_or_insert(now_ms);
        }
        let active_ms = self.verified_ms.unwrap_or(self.opened_ms);
        if self.carry.is_empty() && now_ms.saturating_sub(active_ms) > TRIM_MS {
            self.carry = Vec::new();
        }
    }

    /// Whether some deadline has passed: half a frame, output nobody reads or reads too slowly, a login nobody finishes, silence.
    pub(super) fn is_overdue(&self, now_ms: u64, idle_ms: u64) -> bool {
        let since = |then: u64| now_ms.saturating_sub(then);
        let half_a_frame = !self.carry.is_empty() && since(self.carry_since_ms) > STALL_MS;
        let unread = self.output_since_ms.is_some_and(|then| since(then) > STALL_MS);
        let too_slow = self.sending_since_ms.is_some_and(|then| since(then) > SEND_MS_MAX);
        let silent = match self.verified_ms {
            Some(then) => since(then) > idle_ms,
            None => since(self.opened_ms) > FIRST_USE_MS,
        };
        half_a_frame || unread || too_slow || silent
    }

    /// Whether it has been closing for longer than the peer gets to hear of it.
    pub(super) fn is_lingering_too_long(&self, now_ms: u64) -> bool {
        self.closing_since_ms.is_some_and(|then| now_ms.saturating_sub(then) > LINGER_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ConnectionId = ConnectionId { index: 0, generation: 0 };

    fn frame(payload: &[u8]) -> Vec<u8> {
        let header = mvt_proto::Header {
            kind: mvt_proto::Kind::Req,
            flags: mvt_proto::Flags(0),
            key_id: 1,
            generation: 0,
            op: 0,
            counter: 0,
            timestamp: 0,
            payload_bytes: payload.len(),
        };
        [&header.to_bytes()[..], payload, &[0; 16]].concat()
    }

    fn frames_of(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, Result<usize, Reject>) {
        let mut connection = Connection::new(([127, 0, 0, 1], 1).into(), 0);
        let mut batch = Batch::new();
        let mut last = Ok(0);
        for chunk in chunks {
            last = connection.cut(chunk, &mut batch, ID, 0);
        }
        ((0..batch.frame_count()).map(|index| batch.frame(index).to_vec()).collect(), last)
    }

    #[test]
    fn a_stream_is_cut_the_same_however_it_is_split() {
        let frames = [frame(b""), frame(b"abc"), frame(&[9; 2000]), frame(b"z")];
        let stream = frames.concat();
        for split in 0..stream.len() {
            let (a, b) = stream.split_at(split);
            assert_eq!(frames_of(&[a, b]).0, frames, "split at {split}");
        }
        let bytes: Vec<_> = stream.chunks(1).collect();
        assert_eq!(frames_of(&bytes).0, frames);
    }

    #[test]
    fn a_length_out_of_bounds_is_refused_at_its_second_byte() {
        assert_eq!(frames_of(&[&[0xff], &[0xff]]).1, Err(Reject::Length));
        assert_eq!(frames_of(&[&[0], &[41]]).1, Err(Reject::Length));
        assert_eq!(frames_of(&[&[0]]).1, Ok(1));
    }

    #[test]
    fn frames_before_a_malformed_one_are_kept() {
        let good = frame(b"good");
        let (frames, end) = frames_of(&[&[&good[..], &[0, 42, 0x21, 0]].concat()]);
        assert_eq!((frames.len(), end), (1, Err(Reject::Version)));
    }

    #[test]
    fn output_waits_from_when_it_is_there_not_from_the_one_before() {
        let mut connection = Connection::new(([127, 0, 0, 1], 1).into(), 0);
        connection.note_verified(50_000);
        connection.output.push(1);
        for (now_ms, is_overdue) in [(60_000, false), (60_000 + STALL_MS, false), (60_001 + STALL_MS, true)] {
            connection.look_at(now_ms);
            assert_eq!(connection.is_overdue(now_ms, 1 << 40), is_overdue, "{now_ms}");
        }
        connection.take_output(&mut Vec::new(), 80_000);
        assert!(!connection.is_overdue(80_000, 1 << 40));
    }
}
