//! One ordered way to and from a peer: the rest of a frame that came by it, and the answers that go back by it.

use mvt_proto::Reject;

use crate::{
    limits::{SEND_MS_MAX, STALL_MS},
    shard::{
        ConnectionId,
        batch::{Batch, Origin},
        whole_frame_bytes,
    },
};

/// One lane. TCP has one; each stream of QUIC is one, and the datagrams of a connection are one.
#[derive(Debug)]
pub(super) struct Lane {
    /// The start of a frame that is not whole yet, shorter than the largest frame.
    carry: Vec<u8>,
    /// When the carried frame began to arrive.
    carry_since_ms: u64,
    pub(super) output: Vec<u8>,
    /// Bytes of output that the driver has and has not sent.
    sending_bytes: usize,
    /// When a sweep first saw output waiting for the driver.
    output_since_ms: Option<u64>,
    /// Since when the driver has had output of it that is not sent.
    sending_since_ms: Option<u64>,
}

impl Lane {
    pub(super) const fn new(now_ms: u64) -> Self {
        Self {
            carry: Vec::new(),
            carry_since_ms: now_ms,
            output: Vec::new(),
            sending_bytes: 0,
            output_since_ms: None,
            sending_since_ms: None,
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

    pub(super) fn take_output(&mut self, spare: &mut Vec<u8>, now_ms: u64) {
        self.output_since_ms = None;
        std::mem::swap(&mut self.output, spare);
        if !spare.is_empty() {
            self.sending_bytes += spare.len();
            self.sending_since_ms.get_or_insert(now_ms);
        }
    }

    /// Bytes that are not sent yet, whoever has them.
    pub(super) const fn unsent_bytes(&self) -> usize {
        self.output.len() + self.sending_bytes
    }

    pub(super) const fn note_sent(&mut self) {
        self.sending_bytes = 0;
        self.sending_since_ms = None;
    }

    /// Whether it has nothing to send, and nothing is being sent.
    pub(super) const fn is_at_rest(&self) -> bool {
        self.output.is_empty() && self.sending_since_ms.is_none()
    }

    /// To be called at every sweep: sees what waits, and gives back memory that a connection which has been silent for a while
    /// does not need.
    pub(super) fn look_at(&mut self, now_ms: u64, is_silent: bool) {
        if !self.output.is_empty() {
            self.output_since_ms.get_or_insert(now_ms);
        }
        if self.carry.is_empty() && is_silent {
            self.carry = Vec::new();
        }
    }

    /// Whether half a frame, or output nobody reads or reads too slowly, has stood still for too long.
    pub(super) fn is_stalled(&self, now_ms: u64) -> bool {
        let since = |then: u64| now_ms.saturating_sub(then);
        let half_a_frame = !self.carry.is_empty() && since(self.carry_since_ms) > STALL_MS;
        half_a_frame || self.is_unread(now_ms)
    }

    /// Whether output nobody reads, or reads too slowly, has stood still for too long.
    pub(super) fn is_unread(&self, now_ms: u64) -> bool {
        let since = |then: u64| now_ms.saturating_sub(then);
        let unread = self.output_since_ms.is_some_and(|then| since(then) > STALL_MS);
        let too_slow = self.sending_since_ms.is_some_and(|then| since(then) > SEND_MS_MAX);
        unread || too_slow
    }
}

/// Cuts a datagram, which carries whole frames and nothing else, into `batch`; gives the bytes taken, fewer than all
/// only when the batch is full (SPEC §17.2.5).
///
/// # Errors
/// A malformed or truncated frame; those before it are in the batch.
pub(super) fn cut_datagram(bytes: &[u8], batch: &mut Batch, id: ConnectionId) -> Result<usize, Reject> {
    let mut taken = 0;
    while taken < bytes.len() {
        let rest = &bytes[taken..];
        let length = whole_frame_bytes(rest)?.map_err(|_| Reject::Length)?;
        if !batch.push(Origin::Here(id), &rest[..length]) {
            break;
        }
        taken += length;
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ConnectionId = ConnectionId { index: 0, generation: 0, lane: 0 };

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
        let mut lane = Lane::new(0);
        let mut batch = Batch::new();
        let mut last = Ok(0);
        for chunk in chunks {
            last = lane.cut(chunk, &mut batch, ID, 0);
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

    /// SPEC §17.2.5: whole frames and nothing else.
    #[test]
    fn a_datagram_is_whole_frames_and_nothing_is_carried_over() {
        let frames = [frame(b""), frame(b"abc"), frame(b"z")];
        let datagram = frames.concat();
        for end in 0..=datagram.len() {
            let mut batch = Batch::new();
            let cut = cut_datagram(&datagram[..end], &mut batch, ID);
            let edges = [0, 44, 91, 136];
            let whole = edges.iter().filter(|edge| **edge <= end).count() - 1;
            assert_eq!(batch.frame_count(), whole, "frames before the end at {end} are kept");
            assert_eq!(cut, if edges.contains(&end) { Ok(end) } else { Err(Reject::Length) }, "{end}");
        }
    }
}
