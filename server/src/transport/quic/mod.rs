//! QUIC on a shard, without I/O (SPEC §17.2): packets and `now` in, packets and a deadline out; between them the frames of
//! its streams and datagrams go into the [`Shard`], and its answers come back, by the lanes that TCP's bytes use too.
//!
//! One turn: [`Quic::receive`] for every packet, [`Quic::ingest`], the shard's turn, [`Quic::hang_up`],
//! [`Quic::note_dirty`], [`Quic::settle`], then [`Quic::poll_transmit`] until it gives nothing more.

mod admission;
mod blocks;
pub mod certificate;
mod deadlines;
mod link;
mod output;
mod parameters;
mod proof;
mod route;
mod start;

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use mvt_congestion::packets;
use quinn_proto::{
    ConnectionEvent, ConnectionHandle, DatagramEvent, EcnCodepoint, Endpoint, Incoming, Transmit,
};

use crate::{
    counters::Counters,
    handshakes::HandshakePool,
    limits::QUIC_RESPONSES_MAX,
    shard::{ConnectionId, Shard},
};
use blocks::Blocks;
use deadlines::Deadlines;
use link::{Link, Read};
pub use parameters::Parameters;
pub use route::Router;
pub use start::{Seat, Start};

/// What the QUIC of one shard is made of.
pub struct Parts {
    /// What all shards share.
    pub parameters: Arc<Parameters>,
    /// Finds the shard of a packet.
    pub router: Router,
    /// The shard's counters.
    pub counters: Arc<Counters>,
    /// Says how busy logins are.
    pub handshakes: Arc<HandshakePool>,
    /// Connections at most.
    pub connections_max: usize,
    /// Whether the socket never fragments, so that a larger path can be looked for.
    pub may_probe_path: bool,
}

/// Packets of one peer, as they arrived together.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// Who sent them.
    pub remote: SocketAddr,
    /// The address they were sent to.
    pub local_ip: Option<IpAddr>,
    /// Their congestion mark.
    pub ecn: Option<EcnCodepoint>,
    /// The packets behind each other.
    pub bytes: &'a [u8],
    /// Bytes of each but the last one, which may be shorter; not 0.
    pub stride: usize,
}

/// The QUIC connections of one shard.
pub struct Quic {
    endpoint: Endpoint,
    router: Router,
    counters: Arc<Counters>,
    handshakes: Arc<HandshakePool>,
    connections_max: usize,
    /// By handle, which is small and dense.
    links: Vec<Option<Box<Link>>>,
    /// The link of each connection of the shard, by its index.
    handles: Vec<Option<(ConnectionId, ConnectionHandle)>>,
    deadlines: Deadlines,
    /// Links with something to look at, each once.
    touched: VecDeque<ConnectionHandle>,
    /// Clients that wait for their handshake to begin, with the bytes of their first packet.
    waiting: VecDeque<(Incoming, usize)>,
    /// Packets for links whose handshake is under way, in the order they came.
    delayed: VecDeque<(ConnectionHandle, ConnectionEvent)>,
    /// Links whose handshake is under way, oldest first, with when it began.
    handshaking: VecDeque<(Instant, ConnectionHandle)>,
    is_stopping: bool,
    /// Connections of the shard whose last word was said: theirs is the next turn's first work.
    ended: Vec<ConnectionId>,
    /// Packets that belong to no connection: Retry, version negotiation, refusals, resets.
    responses: VecDeque<(Transmit, Vec<u8>)>,
    /// The memory of packets on their way into the endpoint.
    arrived: Blocks,
    /// The memory of datagrams on their way out.
    leaving: Blocks,
}

impl Quic {
    /// Without connections.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { parameters, router, counters, handshakes, connections_max, may_probe_path } = parts;
        let endpoint = parameters.endpoint(router.shard());
        Self {
            endpoint: Endpoint::new(endpoint, Some(parameters.server()), may_probe_path, None),
            router,
            counters,
            handshakes,
            connections_max,
            links: Vec::new(),
            handles: Vec::new(),
            deadlines: Deadlines::default(),
            touched: VecDeque::new(),
            waiting: VecDeque::new(),
            delayed: VecDeque::new(),
            handshaking: VecDeque::new(),
            is_stopping: false,
            ended: Vec::new(),
            responses: VecDeque::new(),
            arrived: Blocks::default(),
            leaving: Blocks::default(),
        }
    }

    /// Takes packets off the network; those of another shard's connections go to its mailbox, and those sent to an address of
    /// many hosts are nobody's.
    pub fn receive(&mut self, arrival: Arrival<'_>, now: Instant) {
        if arrival.local_ip.is_some_and(is_shared) {
            self.counters.quic_unusable.add(1);
            return;
        }
        for packet in arrival.bytes.chunks(arrival.stride.max(1)) {
            match self.router.elsewhere(packet) {
                Some(owner) => {
                    self.router.forward(owner, Arrival { bytes: packet, ..arrival }, &self.counters);
                }
                None => self.take(Arrival { bytes: packet, ..arrival }, now),
            }
        }
    }

    /// Takes one packet that is ours, forwarded or not.
    pub fn take(&mut self, arrival: Arrival<'_>, now: Instant) {
        let Arrival { remote, local_ip, ecn, bytes, .. } = arrival;
        let packet = self.arrived.copy(bytes);
        // Allocates nothing before it is written to.
        let mut response = Vec::new();
        match self.endpoint.handle(now, remote, local_ip, ecn, packet, &mut response) {
            Some(DatagramEvent::ConnectionEvent(handle, event)) => match self.link_mut(handle) {
                Some(link) if link.is_handshaking() => match link.note_handshake(remote, bytes) {
                    true => self.delay(handle, event),
                    false => self.counters.quic_dropped.add(1),
                },
                Some(link) => match link.receive(remote, event, bytes.len(), now) {
                    true => self.touch(handle),
                    false => self.counters.quic_dropped.add(1),
                },
                None => {}
            },
            Some(DatagramEvent::NewConnection(incoming)) => self.consider(incoming, bytes.len()),
            Some(DatagramEvent::Response(transmit)) => self.respond(transmit, response),
            None => {}
        }
    }

    /// Bounded: what does not fit is as if it were lost on the way.
    fn respond(&mut self, transmit: Transmit, packet: Vec<u8>) {
        if self.responses.len() < QUIC_RESPONSES_MAX && !packet.is_empty() {
            self.responses.push_back((transmit, packet));
        }
    }

    /// Hands what arrived to the shard, after the deadlines that have passed; to be followed by the shard's turn.
    pub fn ingest(&mut self, shard: &mut Shard, now: Instant, now_ms: u64) {
        for id in self.ended.drain(..) {
            forget(&mut self.handles, id);
            shard.close(id);
        }
        self.go_on_with_handshakes();
        self.begin_handshakes(now);
        while let Some(handle) = self.deadlines.take_passed(now) {
            if let Some(link) = self.link_mut(handle) {
                // No longer in the queue, even if it should want the same instant again.
                link.deadline = None;
                link.quic.handle_timeout(now);
                self.touch(handle);
            }
        }
        for at in 0..self.touched.len() {
            let handle = self.touched[at];
            self.forward_endpoint_events(handle);
            let Some(link) = self.links.get_mut(handle.0).and_then(Option::as_mut) else { continue };
            match link.read(shard, &self.counters, now_ms) {
                Read::Nothing => {}
                Read::Connected(id) => {
                    put(&mut self.handles, id.index(), (id, handle));
                    self.counters.quic_opened.add(1);
                }
                Read::Refused => link.close(now),
                Read::Lost => {
                    if let Some(id) = link.id.take() {
                        forget(&mut self.handles, id);
                        shard.close(id);
                    }
                }
            }
        }
    }

    /// Connection `id` has output, or is to be closed: looked at by the next [`Quic::settle`]. Ids of other transports are
    /// left alone.
    pub fn note_dirty(&mut self, id: ConnectionId) {
        if let Some(handle) = self.handle_of(id) {
            self.touch(handle);
        }
    }

    /// Has the shard end the connections whose peer has ended them, after its turn: what was received is answered.
    pub fn hang_up(&mut self, shard: &mut Shard, now_ms: u64) {
        for handle in &self.touched {
            if let Some(link) = self.links.get(handle.0).and_then(Option::as_ref)
                && let Some(id) = link.id.filter(|id| link.is_hung_up && shard.is_open(*id))
            {
                shard.hang_up(id, now_ms);
            }
        }
    }

    /// Hands the shard's answers to the connections, after [`Quic::note_dirty`] for each.
    pub fn settle(&mut self, shard: &mut Shard, now_ms: u64) {
        for handle in &self.touched {
            if let Some(link) = self.links.get_mut(handle.0).and_then(Option::as_mut) {
                link.settle(shard, &mut self.leaving, &self.counters, now_ms);
            }
        }
    }

    /// The next packets to send, in `buffer`, of at most `segments_max` packets of one size; `None` when there is nothing
    /// more this turn.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        segments_max: usize,
        buffer: &mut Vec<u8>,
    ) -> Option<Transmit> {
        buffer.clear();
        if let Some((transmit, packet)) = self.responses.pop_front() {
            buffer.extend_from_slice(&packet);
            return Some(transmit);
        }
        while let Some(handle) = self.touched.front().copied() {
            let Some(link) = self.links.get_mut(handle.0).and_then(Option::as_mut) else {
                self.touched.pop_front();
                continue;
            };
            let segments_max = match link.unproved {
                Some(_) => 1,
                None => segments_max.min(packets::per_transmission(link.quic.current_mtu())),
            };
            if let Some(transmit) = link.quic.poll_transmit(now, segments_max, buffer) {
                if link.admits(&transmit, now) {
                    return Some(transmit);
                }
                self.counters.quic_unproved.add(1);
                buffer.clear();
                continue;
            }
            if link.close_when_said(now) {
                self.ended.extend(link.id.take());
                continue;
            }
            self.touched.pop_front();
            link.is_touched = false;
            self.rest(handle);
        }
        None
    }

    /// When [`Quic::ingest`] is to be called although nothing arrived.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.first()
    }

    /// Whether there is something to do at once.
    #[must_use]
    pub fn has_work(&self) -> bool {
        !(self.touched.is_empty()
            && self.waiting.is_empty()
            && self.delayed.is_empty()
            && self.responses.is_empty()
            && self.ended.is_empty())
    }

    /// Cuts off a connection that had its time to close; false for ids of other transports.
    pub fn abort(&mut self, id: ConnectionId, shard: &mut Shard, now: Instant) -> bool {
        let Some(handle) = self.handle_of(id) else { return false };
        forget(&mut self.handles, id);
        shard.close(id);
        if let Some(link) = self.link_mut(handle) {
            link.id = None;
            link.close(now);
            self.touch(handle);
        }
        true
    }

    /// Takes no more clients.
    pub fn stop(&mut self) {
        self.is_stopping = true;
    }

    /// After everything of a turn was sent: its deadline, or its end.
    fn rest(&mut self, handle: ConnectionHandle) {
        self.forward_endpoint_events(handle);
        let Some(link) = self.links.get_mut(handle.0).and_then(Option::as_mut) else { return };
        let deadline = link.quic.poll_timeout();
        if deadline != link.deadline {
            self.deadlines.replace(handle, link.deadline, deadline);
            link.deadline = deadline;
        }
    }

    /// What a connection asks of the endpoint, until it asks nothing; forgets it when it is over.
    fn forward_endpoint_events(&mut self, handle: ConnectionHandle) {
        while let Some(link) = self.links.get_mut(handle.0).and_then(Option::as_mut)
            && let Some(event) = link.quic.poll_endpoint_events()
        {
            if event.is_drained() {
                self.deadlines.replace(handle, link.deadline, None);
                // Silence or a reset end it with no word in between; its handle is somebody else's next.
                self.ended.extend(link.id.take());
                self.links[handle.0] = None;
                self.endpoint.handle_event(handle, event);
            } else if let Some(answer) = self.endpoint.handle_event(handle, event) {
                link.quic.handle_event(answer);
                self.touch(handle);
            }
        }
    }

    fn touch(&mut self, handle: ConnectionHandle) {
        if let Some(link) = self.link_mut(handle)
            && !std::mem::replace(&mut link.is_touched, true)
        {
            self.touched.push_back(handle);
        }
    }

    fn link_mut(&mut self, handle: ConnectionHandle) -> Option<&mut Link> {
        self.links.get_mut(handle.0)?.as_deref_mut()
    }

    fn handle_of(&self, id: ConnectionId) -> Option<ConnectionHandle> {
        let (name, handle) = self.handles.get(id.index())?.as_ref()?;
        (*name == id.by(0)).then_some(*handle)
    }
}

impl Drop for Quic {
    fn drop(&mut self) {
        for (incoming, _) in self.waiting.drain(..) {
            self.endpoint.ignore(incoming);
        }
    }
}

/// Multicast, or broadcast to everybody: nobody may answer from there. That of one network cannot be told from an address of
/// ours without asking the kernel, which refuses to send from it.
fn is_shared(ip: IpAddr) -> bool {
    ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// Forgets the connection `id`, if it ever came so far: one that was lost in the packets that completed its handshake did not.
fn forget(handles: &mut [Option<(ConnectionId, ConnectionHandle)>], id: ConnectionId) {
    if let Some(place) = handles.get_mut(id.index()) {
        place.take_if(|(held, _)| *held == id);
    }
}

fn put<T>(table: &mut Vec<Option<T>>, index: usize, value: T) {
    if index >= table.len() {
        table.resize_with(index + 1, || None);
    }
    table[index] = Some(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first connection of a shard, lost before it was known: its place does not exist.
    #[test]
    fn a_connection_that_never_came_so_far_is_forgotten_without_harm() {
        let mut handles = Vec::new();
        forget(&mut handles, ConnectionId::default());
        put(&mut handles, 0, (ConnectionId::default(), ConnectionHandle(7)));
        forget(&mut handles, ConnectionId::default());
        assert!(handles[0].is_none(), "and one that did is gone");
    }
}
