//! Which clients may begin a handshake, and when: it costs a signature and two key agreements, before anything is proved. What
//! handshakes take of a turn is bounded by number, so that requests of those who are let in wait for few of them.

use std::time::Instant;

use mvt_proto::Kind;
use quinn_proto::{ConnectionEvent, ConnectionHandle, Incoming};

use crate::{
    handshakes::Load,
    limits::{
        HANDSHAKE_PACKETS_MAX, HANDSHAKE_PACKETS_PER_TURN_MAX, HANDSHAKE_STALL, HANDSHAKES_AT_ONCE_MAX,
        HANDSHAKES_PER_TURN_MAX, HANDSHAKES_UNPROVED_MAX,
    },
    transport::quic::{Quic, link::Link, proof::Unproved, put},
};

impl Quic {
    /// Judges a client that wants to begin: refused at the limit of connections, dropped at that of handshakes, asked to
    /// prove its address under load (a Retry, which keeps nothing here), else queued.
    pub(super) fn consider(&mut self, incoming: Incoming, received_bytes: usize) {
        let under_way = self.handshaking.len() + self.waiting.len();
        if self.is_stopping || self.endpoint.open_connections() >= self.connections_max {
            self.counters.quic_refused.add(1);
            let mut packet = Vec::new();
            let transmit = self.endpoint.refuse(incoming, &mut packet);
            return self.respond(transmit, packet);
        }
        if under_way >= HANDSHAKES_AT_ONCE_MAX {
            self.counters.quic_dropped.add(1);
            return self.endpoint.ignore(incoming);
        }
        let is_loaded =
            under_way >= HANDSHAKES_UNPROVED_MAX || self.handshakes.load(Kind::Hello) != Load::Low;
        if !is_loaded || incoming.remote_address_validated() {
            return self.waiting.push_back((incoming, received_bytes));
        }
        let mut packet = Vec::new();
        match self.endpoint.retry(incoming, &mut packet) {
            Ok(transmit) => {
                self.counters.quic_retries.add(1);
                self.respond(transmit, packet);
            }
            Err(error) => self.endpoint.ignore(error.into_incoming()),
        }
    }

    /// Keeps a packet of a handshake that is under way until its turn comes.
    pub(super) fn delay(&mut self, handle: ConnectionHandle, event: ConnectionEvent) {
        if self.delayed.len() < HANDSHAKE_PACKETS_MAX {
            self.delayed.push_back((handle, event));
        } else {
            self.counters.quic_dropped.add(1);
        }
    }

    /// Takes as many packets of handshakes as a turn may pay for. One for a link that is gone is nothing to the next of its
    /// handle, which cannot open it.
    pub(super) fn go_on_with_handshakes(&mut self) {
        for _ in 0..HANDSHAKE_PACKETS_PER_TURN_MAX {
            let Some((handle, event)) = self.delayed.pop_front() else { break };
            if let Some(link) = self.link_mut(handle) {
                link.quic.handle_event(event);
                self.touch(handle);
            }
        }
    }

    /// Begins as many handshakes as a turn may pay for, and ends those that take too long.
    pub(super) fn begin_handshakes(&mut self, now: Instant) {
        for _ in 0..HANDSHAKES_PER_TURN_MAX {
            let Some((incoming, received_bytes)) = self.waiting.pop_front() else { break };
            let unproved = (!incoming.remote_address_validated())
                .then(|| Unproved::new(*incoming.orig_dst_cid(), received_bytes));
            let mut packet = Vec::new();
            match self.endpoint.accept(incoming, now, &mut packet, None) {
                Ok((handle, connection)) => {
                    put(&mut self.links, handle.0, Box::new(Link::new(connection, unproved, now)));
                    self.handshaking.push_back((now, handle));
                    self.touch(handle);
                }
                Err(error) => {
                    if let Some(transmit) = error.response {
                        self.respond(transmit, packet);
                    }
                }
            }
        }
        while let Some((since, handle)) = self.handshaking.front().copied() {
            let is_under_way = self.is_handshaking(handle);
            if is_under_way && now.saturating_duration_since(since) < HANDSHAKE_STALL {
                break;
            }
            self.handshaking.pop_front();
            if is_under_way && let Some(link) = self.link_mut(handle) {
                link.close(now);
                self.touch(handle);
            }
        }
        // Those that ended behind one that has not are no handshakes any more either.
        if self.handshaking.len() >= HANDSHAKES_UNPROVED_MAX {
            let mut handshaking = std::mem::take(&mut self.handshaking);
            handshaking.retain(|(_, handle)| self.is_handshaking(*handle));
            self.handshaking = handshaking;
        }
    }

    fn is_handshaking(&self, handle: ConnectionHandle) -> bool {
        self.links.get(handle.0).and_then(Option::as_ref).is_some_and(|link| link.is_handshaking())
    }
}
