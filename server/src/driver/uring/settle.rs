//! What is to be done next on a line, from what is so now: to be asked whenever something has changed.

use mvt_sys::uring::LineId;

use crate::{driver::uring::Station, limits::OUTPUT_BYTES_HIGH, shard::ConnectionId};

impl Station {
    /// Settles every line that the turn has touched.
    pub(super) fn settle_touched(&mut self) {
        while let Some(id) = self.shard.next_dirty() {
            match (self.wires.line_of(id), &mut self.quic) {
                (Some(line), _) => self.settle(line),
                (None, Some(quic)) => quic.note_dirty(id),
                (None, None) => {}
            }
        }
        let mut touched = std::mem::take(&mut self.touched);
        touched.drain(..).for_each(|line| self.settle(line));
        self.touched = touched;
    }

    /// Settles what the shard held up and does not any more.
    pub(super) fn touch_resumed(&mut self) {
        while let Some(id) = self.shard.next_resumed() {
            match (self.wires.line_of(id), &mut self.quic) {
                (Some(line), _) => self.touched.push(line),
                (None, Some(quic)) => quic.note_dirty(id),
                (None, None) => {}
            }
        }
    }

    /// Stops what is under way on a connection that had its time to close.
    pub(super) fn cut_off(&mut self, id: ConnectionId) {
        let Some(line) = self.wires.line_of(id) else {
            if let Some(quic) = &mut self.quic {
                quic.abort(id, &mut self.shard, self.now);
            }
            return;
        };
        let Some(wire) = self.wires.get_mut(line) else { return };
        wire.is_cut_off = true;
        wire.is_mute = true;
        self.ring.stop_sending(line);
        self.touched.push(line);
    }

    fn settle(&mut self, line: LineId) {
        self.settle_output(line);
        self.settle_input(line);
        self.settle_end(line);
    }

    /// One send at a time, of everything there is.
    fn settle_output(&mut self, line: LineId) {
        let Some(wire) = self.wires.get_mut(line) else { return };
        if wire.is_mute {
            return;
        }
        if self.ring.is_sending(line) {
            wire.awaits_send = true;
            return;
        }
        let mut buffer = Vec::new();
        let is_last = self.shard.take_output(wire.id, &mut buffer, self.now_ms);
        if !buffer.is_empty() {
            // At the watermark already, it is not to be read until this is sent.
            wire.awaits_send = is_last || buffer.len() >= OUTPUT_BYTES_HIGH;
            self.ring.send(line, buffer);
            return;
        }
        wire.is_mute = is_last;
    }

    /// Of a stranger one buffer is read at a time: what it may send before it is judged is not worth more. A peer that does not read is not read, nor one whose next frame another shard has no room for; a closing connection is
    /// read on, and what comes is dropped, so that the peer sees our last bytes and not a reset; unless it is not worth it.
    fn settle_input(&mut self, line: LineId) {
        let Some(wire) = self.wires.get_mut(line) else { return };
        if wire.is_deaf {
            return;
        }
        let is_armed = self.ring.is_receiving(line);
        if wire.is_cut_off || self.shard.is_abrupt(wire.id) {
            wire.is_deaf = self.ring.may_receive(line);
            self.ring.stop_receiving(line);
        } else if is_armed && (wire.awaits_send || self.shard.is_held(wire.id)) {
            if !self.shard.wants_read(wire.id) && self.shard.is_open(wire.id) {
                self.ring.stop_receiving(line);
            }
        } else if !is_armed && self.ring.may_receive(line) {
            if self.shard.wants_read(wire.id) || !self.shard.is_open(wire.id) {
                if self.shard.is_stranger(wire.id) {
                    self.ring.receive_once(line);
                } else {
                    self.ring.receive(line);
                }
            } else {
                // At the watermark: there is a send under way, and its end asks again. Held up: the shard names it when it
                // is not any more.
                wire.awaits_send = true;
            }
        }
    }

    /// Says the last word, and closes when nothing is under way any more.
    fn settle_end(&mut self, line: LineId) {
        let Some(wire) = self.wires.get_mut(line) else { return };
        if !wire.is_mute {
            return;
        }
        if !wire.is_deaf {
            if !wire.is_cut_off
                && !self.shard.is_abrupt(wire.id)
                && !std::mem::replace(&mut wire.is_shut_down, true)
            {
                self.ring.shut_down(line);
            }
            return;
        }
        if self.ring.is_idle(line) {
            let id = wire.id;
            self.ring.close(line);
            self.shard.close(id);
            self.wires.remove(line);
        }
    }
}
