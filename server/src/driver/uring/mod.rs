//! The driver on our own ring: what was received goes into the shard, the shard turns once, what it answers goes out
//! with one send for each connection, and one system call does that and waits for more.

mod packets;
mod segments;
mod settle;
mod spin;
mod wires;

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use mvt_sys::{
    port_steering::QUEUE_COUNT,
    socket::set_backlog,
    uring::{Completion, LineId, ReceiveEnd, Ring, RingOptions, Wait},
};

use crate::{
    clock::ServerClock,
    driver::{
        AcceptTrouble, Seat,
        placing::{Glance, Placing},
        quic_port::QuicPort,
    },
    limits::{LINGER_MS, SWEEP_INTERVAL_MS},
    shard::{ConnectionId, Shard, SweepHand},
};
use packets::Carrier;
use spin::Spin;
use wires::Wires;

/// Direct descriptors beyond the connections of a shard, so that one too many is refused by the shard, which counts it,
/// and not by the kernel; and for those accepted before others have quite closed.
const LINES_SPARE: usize = 64;

/// One shard on one ring.
struct Station {
    ring: Ring,
    shard: Shard,
    clock: ServerClock,
    quic: Option<QuicPort>,
    carrier: Carrier,
    wires: Wires,
    spin: Spin,
    hand: SweepHand,
    placing: Arc<Placing>,
    glance: Glance,
    /// Server time of this turn.
    now_ms: u64,
    /// The same instant, for QUIC; only read where there is QUIC.
    now: Instant,
    /// Lines to settle after the shard's turn.
    touched: Vec<LineId>,
    /// Connections whose peer is done, or broken: they hang up after the shard's turn.
    hung_up: Vec<ConnectionId>,
    /// Connections the sweep cuts off.
    overdue: Vec<ConnectionId>,
    trouble: AcceptTrouble,
    /// Whether sessions are due that were not looked at yet.
    is_behind: bool,
    /// Set when told to stop: when to stop waiting for peers.
    stop_at_ms: Option<u64>,
}

pub(super) fn drive(seat: Seat, is_ready: &dyn Fn()) -> io::Result<()> {
    let Seat {
        shard, listeners, placing, quic, waiter, clock, connections_max, spin, watches_socket, ..
    } = seat;
    let lines_max = u32::try_from(connections_max + LINES_SPARE).unwrap_or(u32::MAX);
    let tick = Duration::from_millis(SWEEP_INTERVAL_MS);
    let options = RingOptions { watches_descriptors: watches_socket, ..RingOptions::new(lines_max, tick) };
    let (quic, socket) = quic.map(QuicPort::open).transpose()?.unzip();
    let (carrier, socket) = Carrier::new(socket, watches_socket, shard.counters());
    let ring = match socket {
        Some(socket) => Ring::with_packets(listeners, waiter, socket, options)?,
        None => Ring::new(listeners, waiter, options)?,
    };
    let mut station = Station {
        ring,
        shard,
        clock,
        quic,
        carrier,
        wires: Wires::default(),
        spin: Spin::new(spin),
        hand: SweepHand::default(),
        placing,
        glance: Glance::default(),
        now_ms: clock.now_ms(),
        now: Instant::now(),
        touched: Vec::new(),
        hung_up: Vec::new(),
        overdue: Vec::new(),
        trouble: AcceptTrouble::default(),
        is_behind: false,
        stop_at_ms: None,
    };
    is_ready();
    station.accept();
    station.watch_socket();
    station.await_packets();
    station.serve()
}

impl Station {
    fn serve(&mut self) -> io::Result<()> {
        while !self.is_done() {
            if self.is_behind {
                self.ring.enter(Wait::Poll)?;
            } else if !self.spin.finds_work(&mut self.ring)? {
                self.ring.enter(self.patience())?;
            }
            self.read_clocks();
            self.take_completions();
            self.take_more_packets()?;
            if let Some(quic) = &mut self.quic {
                quic.ingest(&mut self.shard, self.now, self.now_ms);
            }
            self.shard.turn(self.now_ms);
            for id in self.hung_up.drain(..) {
                self.shard.hang_up(id, self.now_ms);
            }
            if let Some(quic) = &mut self.quic {
                quic.hang_up(&mut self.shard, self.now_ms);
            }
            self.settle_touched();
            self.settle_packets();
            self.await_packets();
            // After the answers are on their way, a piece at a time.
            if self.is_behind {
                self.is_behind = self.shard.reclaim(self.now_ms);
            }
        }
        self.count_shortages();
        Ok(())
    }

    fn take_completions(&mut self) {
        while let Some(completion) = self.ring.next_completion() {
            self.take(completion);
        }
    }

    fn read_clocks(&mut self) {
        self.now_ms = self.clock.now_ms();
        if self.quic.is_some() {
            self.now = Instant::now();
        }
    }

    /// How long to sleep: until something happens, or a deadline of QUIC.
    fn patience(&self) -> Wait {
        match self.quic.as_ref().and_then(|quic| quic.patience(self.now)) {
            Some(Duration::ZERO) => Wait::Poll,
            Some(limit) => Wait::SleepAtMost(limit),
            None => Wait::Sleep,
        }
    }

    fn take(&mut self, completion: Completion) {
        match completion {
            Completion::Received { line, filled, is_armed } => {
                if let Some(wire) = self.wires.get(line) {
                    self.shard.ingest(wire.id, self.ring.bytes(&filled), self.now_ms);
                }
                self.ring.recycle(filled);
                if !is_armed {
                    self.touched.push(line);
                }
            }
            Completion::Sent { line, buffer, result } => self.take_sent(line, buffer, result.is_ok()),
            Completion::ReceiveEnded { line, end } => self.take_receive_end(line, &end),
            Completion::ShutDown { line } => self.touched.push(line),
            Completion::Accepted { line, peer, queue } => self.take_accepted(line, peer, queue),
            Completion::AcceptFailed(error) => self.trouble.note(&self.shard, &error, self.now_ms),
            Completion::Rung => {
                if self.shard.read_mail(self.now_ms) && self.stop_at_ms.is_none() {
                    self.stop();
                }
                self.touch_resumed();
                while let Some(packet) = self.shard.next_packet() {
                    self.quic.iter_mut().for_each(|quic| quic.take_forwarded(&packet, self.now));
                }
            }
            Completion::Ticked => self.sweep(),
            Completion::Readable => self.read_socket(),
            Completion::Packets(inbound) => self.take_packets(inbound),
            Completion::PacketsFailed(_) => self.note_failed_receive(),
            Completion::PacketsUnsent { error, is_segmented } => self.note_unsent(&error, is_segmented),
        }
    }

    fn take_accepted(&mut self, line: LineId, peer: SocketAddr, queue: usize) {
        let is_stopping = self.stop_at_ms.is_some();
        let opened = if is_stopping { None } else { self.shard.open_from(queue, peer, self.now_ms) };
        match opened {
            Some(id) => {
                self.wires.insert(line, id);
                self.ring.receive_once(line);
            }
            None => self.ring.close(line),
        }
        if !is_stopping {
            self.accept_of(queue);
        }
    }

    /// Accepts the next of a queue, if it is to be; if not, it is asked again at the next sweep.
    fn accept_of(&mut self, queue: usize) {
        if let Some(backlog) = self.shard.next_backlog(queue)
            && let Err(error) = set_backlog(self.ring.listener(queue), backlog.count())
        {
            tracing::warn!(%error, "the kernel holds as many connections as before");
        }
        if self.shard.wants_accept(queue) {
            self.ring.accept(queue);
        }
    }

    fn accept(&mut self) {
        (0..QUEUE_COUNT).for_each(|queue| self.accept_of(queue));
    }

    fn take_sent(&mut self, line: LineId, buffer: Vec<u8>, is_whole: bool) {
        let Some(wire) = self.wires.get_mut(line) else { return };
        self.shard.sent(wire.id, buffer);
        if !is_whole {
            // What else there is to say would not arrive either.
            wire.is_mute = true;
            self.hung_up.push(wire.id);
        }
        if !is_whole || wire.awaits_send {
            wire.awaits_send = false;
            self.touched.push(line);
        }
    }

    fn take_receive_end(&mut self, line: LineId, end: &ReceiveEnd) {
        let Some(wire) = self.wires.get_mut(line) else { return };
        if !matches!(end, ReceiveEnd::Stopped) || wire.is_cut_off {
            wire.is_deaf = true;
            // What was received is still answered.
            self.hung_up.push(wire.id);
        }
        self.touched.push(line);
    }

    /// Every [`SWEEP_INTERVAL_MS`].
    fn sweep(&mut self) {
        self.count_shortages();
        self.is_behind = true;
        let overdue = &mut self.overdue;
        self.shard.sweep(&mut self.hand, self.now_ms, |id| overdue.push(id));
        while let Some(id) = self.overdue.pop() {
            self.cut_off(id);
        }
        self.forgive_failures();
        if self.stop_at_ms.is_none() {
            self.placing.look_at(&mut self.shard, &mut self.glance, self.now_ms);
            self.accept();
        }
    }

    fn count_shortages(&mut self) {
        let shortages = self.ring.take_shortages();
        let counters = self.shard.counters();
        counters.buffers_exhausted.add(shortages.buffers_exhausted);
        counters.completions_overflowed.add(shortages.completions_overflowed);
        counters.quic_buffers_exhausted.add(shortages.packet_buffers_exhausted);
        counters.quic_unusable.add(shortages.packets_unusable);
        counters.quic_sends_waited.add(shortages.sends_waited);
    }

    /// Stops accepting and lets every connection end after its output.
    fn stop(&mut self) {
        self.ring.stop_accepting();
        self.quic.iter_mut().for_each(QuicPort::stop);
        self.shard.close_all(self.now_ms);
        self.stop_at_ms = Some(self.now_ms + 2 * LINGER_MS);
    }

    fn is_done(&self) -> bool {
        self.stop_at_ms.is_some_and(|then| self.now_ms >= then || self.shard.connection_count() == 0)
    }
}
