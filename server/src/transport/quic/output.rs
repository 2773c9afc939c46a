//! The way of answers from a shard's lanes into streams and datagrams.

use std::time::Instant;

use mvt_proto::{Kind, constants::LENGTH_FIELD_BYTES};
use quinn_proto::SendDatagramError;

use crate::{
    counters::Counters,
    limits::{LANE_DATAGRAMS, QUIC_ANSWERS_BYTES_MAX},
    shard::{ConnectionId, Shard},
    transport::quic::{
        blocks::Blocks,
        link::{Link, stream_of},
    },
};

/// What QUIC writes before a datagram in a packet: its type, and its length (RFC 9221 §4).
const DATAGRAM_HEAD_BYTES: usize = 3;

impl Link {
    /// Hands on what the shard has for this connection, as far as it fits; ends it after its last word.
    pub(super) fn settle(
        &mut self,
        shard: &mut Shard,
        memory: &mut Blocks,
        counters: &Counters,
        now_ms: u64,
    ) {
        let Some(id) = self.id else { return };
        self.settle_datagrams(id, shard, memory, counters, now_ms);
        for lane in 0..self.stream_count {
            self.settle_stream(id, lane, shard, now_ms);
        }
        if self.is_last
            && self.unfinished_count.is_none()
            && self.rests.iter().all(|(rest, _)| rest.is_empty())
        {
            self.finish_streams();
        }
    }

    fn settle_stream(&mut self, id: ConnectionId, lane: u8, shard: &mut Shard, now_ms: u64) {
        loop {
            let (rest, begin) = &mut self.rests[usize::from(lane)];
            if rest.is_empty() {
                self.is_last |= shard.take_output(id.by(lane), rest, now_ms);
                if rest.is_empty() {
                    return;
                }
            }
            match self.quic.send_stream(stream_of(lane)).write(&rest[*begin..]) {
                Ok(count) => {
                    *begin += count;
                    if *begin < rest.len() {
                        continue;
                    }
                }
                Err(quinn_proto::WriteError::Blocked) => return,
                // Stopped or closed: what else there is to say would not arrive either.
                Err(_) => shard.hang_up(id, now_ms),
            }
            *begin = 0;
            shard.sent(id.by(lane), std::mem::take(rest));
        }
    }

    /// Whole frames, as many as fit into each datagram (SPEC §17.2.5).
    fn settle_datagrams(
        &mut self,
        id: ConnectionId,
        shard: &mut Shard,
        memory: &mut Blocks,
        counters: &Counters,
        now_ms: u64,
    ) {
        let lane = usize::from(LANE_DATAGRAMS);
        loop {
            let (first, others) = self.rests.split_at_mut(lane);
            let (rest, begin) = &mut others[0];
            if rest.is_empty() {
                self.is_last |= shard.take_output(id.by(LANE_DATAGRAMS), rest, now_ms);
                if rest.is_empty() {
                    return;
                }
            }
            let mut datagrams = self.quic.datagrams();
            let bytes_max = datagrams.max_size().unwrap_or(0);
            // Of the packet that QUIC will make of the next ones: they are cut so that they fill it.
            let mut room = bytes_max;
            while *begin < rest.len() {
                let mut length = datagram_bytes(&rest[*begin..], room.min(QUIC_ANSWERS_BYTES_MAX));
                if length > room {
                    room = bytes_max;
                    length = datagram_bytes(&rest[*begin..], room.min(QUIC_ANSWERS_BYTES_MAX));
                }
                let frames = &rest[*begin..*begin + length];
                // A CTL, which is not to be lost, and an answer that no datagram of this path holds (SPEC §17.2.6): by the first
                // stream, if there is one.
                let fits = length <= bytes_max;
                if (!fits || is_control(frames)) && self.stream_count > 0 {
                    first[0].0.extend_from_slice(frames);
                    *begin += length;
                    continue;
                }
                if !fits {
                    counters.answers_dropped.add(1);
                    *begin += length;
                    continue;
                }
                match datagrams.send(memory.copy(frames).freeze(), false) {
                    Ok(()) => {
                        *begin += length;
                        room = room.saturating_sub(length + DATAGRAM_HEAD_BYTES);
                    }
                    // The answers wait here until there is room; at the watermark requests are shed.
                    Err(SendDatagramError::Blocked(_)) => return,
                    Err(_) => {
                        counters.answers_dropped.add(1);
                        *begin += length;
                    }
                }
            }
            *begin = 0;
            shard.sent(id.by(LANE_DATAGRAMS), std::mem::take(rest));
        }
    }

    fn finish_streams(&mut self) {
        let mut count = 0;
        for lane in 0..self.stream_count {
            count += u8::from(self.quic.send_stream(stream_of(lane)).finish().is_ok());
        }
        self.unfinished_count = Some(count);
    }

    /// Closes when the last word was said, and heard as far as streams can tell; true when there is a close to send.
    pub(super) fn close_when_said(&mut self, now: Instant) -> bool {
        if self.unfinished_count != Some(0) || self.quic.is_closed() || self.quic.is_drained() {
            return false;
        }
        self.close(now);
        true
    }
}

fn is_control(frame: &[u8]) -> bool {
    frame.get(LENGTH_FIELD_BYTES).is_some_and(|second| second & 0x0f == Kind::Ctl as u8)
}

/// Bytes of as many whole frames at the front of `frames` as fit into `bytes_max`, of one at least; a CTL is alone. Never more than
/// there are, and never none: what is no whole frame would be the shard's mistake, and goes as it is.
fn datagram_bytes(frames: &[u8], bytes_max: usize) -> usize {
    let mut end = 0;
    while let Some(length) = frames[end..].first_chunk::<LENGTH_FIELD_BYTES>() {
        let next = frames.len().min(end + LENGTH_FIELD_BYTES + usize::from(u16::from_be_bytes(*length)));
        let is_alone = is_control(&frames[end..]);
        if end > 0 && (next > bytes_max || is_alone) {
            break;
        }
        end = next;
        if is_alone {
            break;
        }
    }
    if end == 0 { frames.len() } else { end }
}

#[cfg(test)]
mod tests {
    use super::{datagram_bytes, is_control};

    #[test]
    fn frames_are_never_split_over_datagrams() {
        let frame = |length: usize| [&((length - 2) as u16).to_be_bytes()[..], &vec![7; length - 2]].concat();
        let frames = [frame(44), frame(64), frame(64), frame(1000)].concat();
        assert_eq!(datagram_bytes(&frames, 1172), 1172);
        assert_eq!(datagram_bytes(&frames, 1171), 172);
        assert_eq!(datagram_bytes(&frames, 108), 108);
        assert_eq!(datagram_bytes(&frames, 107), 44);
        assert_eq!(datagram_bytes(&frames, 10), 44, "one at least: the caller sees that it does not fit");
        assert_eq!(datagram_bytes(&frames[172..], 500), 1000);
        assert_eq!((datagram_bytes(&frames[..30], 500), datagram_bytes(&frames[..1], 500)), (30, 1));
    }

    #[test]
    fn a_control_frame_is_alone() {
        let frame = |kind: u8| [&[0, 62, 0x10 | kind][..], &[7; 61]].concat();
        let frames = [frame(2), frame(4), frame(2), frame(2), frame(4), frame(4)].concat();
        let mut rest = &frames[..];
        for (expected, is_ctl) in [(64, false), (64, true), (128, false), (64, true), (64, true)] {
            assert_eq!((datagram_bytes(rest, 1200), is_control(rest)), (expected, is_ctl));
            rest = &rest[expected..];
        }
        assert!(rest.is_empty());
    }
}
