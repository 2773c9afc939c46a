//! One thread: a loop over its connections.

mod orders;
mod usage;

use std::{
    io,
    net::IpAddr,
    sync::{
        atomic::Ordering::Relaxed,
        mpsc::{Receiver, Sender},
    },
};

pub use self::orders::{Event, Harvest, Orders};
use self::usage::Usage;
use crate::{
    connection::{Connection, Turn},
    io::Io,
    pacing::Pacing,
    phase::{Phase, Phases},
    tally::Tally,
    trouble::{StartError, Trouble},
};

/// Deadlines are looked at this often, ns.
const TICK_NS: u64 = 50_000_000;
/// A worker that did not come round for so long was not let run: it has not listened, and no deadline counts that time, ns.
const AWAY_NS: u64 = 1_000_000_000;
/// A worker that has to send sooner than this does not sleep: the kernel wakes late by up to a millisecond, ns.
const SPIN_NS: u64 = 2_000_000;

struct Worker<'a> {
    orders: &'a Orders<'a>,
    io: Io,
    connections: Vec<Option<Connection>>,
    /// Connections that have something to do.
    ready: Vec<bool>,
    budget: u64,
    tally: Tally,
    /// When this round began, or the last one did.
    round_at_ns: u64,
    ticked_at_ns: u64,
    /// None until every connection is logged in.
    phases: Option<Phases>,
    usage: Usage,
}

/// Runs a worker to its end; `None` when the run did not begin.
#[must_use]
pub fn work(orders: &Orders<'_>, phases: &Receiver<Phases>, events: &Sender<Event>) -> Option<Harvest> {
    let started = Worker::start(orders).and_then(|mut worker| {
        let local_ip = worker.log_in()?;
        Ok((worker, local_ip))
    });
    let (mut worker, local_ip) = match started {
        Ok(started) => started,
        Err(error) => {
            let _ = events.send(Event::Started(Err(error)));
            return None;
        }
    };
    let _ = events.send(Event::Started(Ok(local_ip)));
    // Closed without a word when another worker could not start.
    let phases = phases.recv().ok()?;
    worker.run(&phases, events);
    let Worker { tally, usage, .. } = worker;
    Some(Harvest { tally, cpu_ns: usage.cpu_ns(), busy_ns: usage.busy_ns() })
}

impl<'a> Worker<'a> {
    fn start(orders: &'a Orders<'a>) -> Result<Self, StartError> {
        if let Some(cpu) = orders.pin
            && !core_affinity::set_for_current(core_affinity::CoreId { id: cpu })
        {
            return Err(StartError::Pin(cpu));
        }
        let mut io = Io::new(orders.backend, orders.clock).map_err(StartError::Worker)?;
        let count = orders.workload.connections_of(orders.index);
        let mut connections = Vec::with_capacity(count);
        for index in 0..count {
            let of_all = orders.of_all(index);
            let opened = Connection::open(orders.target, orders.workload, of_all, &mut io, index);
            let server = orders.target.address;
            connections.push(Some(opened.map_err(|source| StartError::Unreachable { server, source })?));
        }
        let ready = vec![true; count];
        Ok(Self {
            orders,
            io,
            connections,
            ready,
            budget: orders.budget,
            tally: Tally::default(),
            round_at_ns: orders.clock.now_ns(),
            ticked_at_ns: 0,
            phases: None,
            usage: Usage::default(),
        })
    }

    /// Turns until every connection has a session; the first trouble ends the run.
    fn log_in(&mut self) -> Result<IpAddr, StartError> {
        let server = self.orders.target.address;
        while !self.connections.iter().flatten().all(Connection::is_established) {
            let now_ns = self.come_round();
            let trouble = self.turns(now_ns);
            if let Some(trouble) = trouble {
                return Err(StartError::of_login(trouble, server));
            }
            self.wait(TICK_NS).map_err(StartError::Worker)?;
        }
        let first = self.connections.iter().flatten().next().expect("a worker has a connection");
        Ok(first.local_ip())
    }

    /// The phases one after the other.
    fn run(&mut self, phases: &Phases, events: &Sender<Event>) {
        let clock = self.orders.clock;
        let mut told = false;
        self.begin(phases);
        loop {
            let now_ns = self.come_round();
            let phases = self.phases_now(now_ns);
            if self.interval_is_over(phases.at(now_ns)) {
                self.usage.note(Phase::Drain);
                if !told {
                    told = true;
                    let _ = events.send(Event::IntervalOver(now_ns.min(phases.measure_until_ns)));
                }
                if self.is_drained() || now_ns >= phases.drain_until_ns {
                    break;
                }
            }
            let begun_ns = clock.now_ns();
            self.turns(now_ns);
            let ended_ns = clock.now_ns();
            self.usage.end_round(&phases, begun_ns, ended_ns);
            self.orders.live.publish(&self.tally, ended_ns);
            let timeout_ns = phases.next_boundary_ns(now_ns).saturating_sub(ended_ns).min(TICK_NS);
            if self.wait(self.patience_ns(ended_ns, timeout_ns)).is_err() {
                self.tally.meet(Trouble::Io);
                if !told {
                    let _ = events.send(Event::IntervalOver(now_ns.min(phases.measure_until_ns)));
                }
                break;
            }
        }
        for connection in self.connections.iter_mut().flatten() {
            connection.abandon(&mut self.tally, self.phases, &mut self.budget, &mut self.io);
        }
    }

    fn begin(&mut self, phases: &Phases) {
        let Orders { workload, schedule, .. } = self.orders;
        for (local, connection) in self.connections.iter_mut().flatten().enumerate() {
            connection.begin(Pacing::new(schedule, self.orders.of_all(local), workload.connections, phases));
        }
        self.ready.fill(true);
        self.tally.begin(phases);
        self.phases = Some(*phases);
        // Until then others were waited for.
        self.round_at_ns = self.orders.clock.now_ns();
    }

    /// The phases, cut when the run was told to stop.
    fn phases_now(&mut self, now_ns: u64) -> Phases {
        let phases = self.phases.as_mut().expect("set when the run begins");
        if self.orders.stop.load(Relaxed) && now_ns < phases.measure_until_ns {
            phases.cut(now_ns);
            self.connections.iter_mut().flatten().for_each(|connection| connection.cut(now_ns));
        }
        *phases
    }

    /// How long to wait for events at `now_ns`, `most_ns` at most: not into the time of the next request.
    fn patience_ns(&self, now_ns: u64, most_ns: u64) -> u64 {
        if self.orders.spin {
            return 0;
        }
        let next_ns = self.connections.iter().flatten().filter_map(Connection::next_after_write_ns).min();
        let until_next_ns = next_ns.map_or(u64::MAX, |next_ns| next_ns.saturating_sub(now_ns));
        if self.orders.doze {
            return most_ns.min(until_next_ns);
        }
        if until_next_ns < SPIN_NS { 0 } else { most_ns.min(until_next_ns - SPIN_NS / 2) }
    }

    fn is_drained(&self) -> bool {
        let nothing_to_send =
            self.budget == 0 || !self.connections.iter().flatten().any(Connection::has_more);
        self.waiting() == 0 && nothing_to_send
    }

    /// By time, by the bound on requests, or because no connection is left.
    fn interval_is_over(&self, phase: Phase) -> bool {
        let all_sent = phase == Phase::Measure && self.budget == 0 && self.waiting() == 0;
        phase == Phase::Drain || all_sent || self.connections.iter().all(Option::is_none)
    }

    /// Begins a round; when that is. After a long absence deadlines are put off by as much: a server is not to blame for a silence of
    /// this worker's, nor for what it is only now asked.
    fn come_round(&mut self) -> u64 {
        let now_ns = self.orders.clock.now_ns();
        let since_ns = now_ns - self.round_at_ns;
        self.round_at_ns = now_ns;
        if since_ns >= AWAY_NS {
            self.connections.iter_mut().flatten().for_each(|connection| connection.put_off(since_ns));
            self.phases.iter_mut().for_each(|phases| phases.drain_until_ns += since_ns);
        }
        now_ns
    }

    /// Whether deadlines are looked at in this round.
    fn ticks(&mut self, now_ns: u64) -> bool {
        let ticks = now_ns >= self.ticked_at_ns + TICK_NS;
        if ticks {
            self.ticked_at_ns = now_ns;
        }
        ticks
    }

    /// One turn of every connection that has something to do; the last trouble that ended one.
    fn turns(&mut self, now_ns: u64) -> Option<Trouble> {
        let tick = self.ticks(now_ns);
        let mut last = None;
        let mut turn = Turn {
            clock: self.orders.clock,
            phase: Phase::Starting,
            phases: self.phases,
            target: self.orders.target,
            workload: self.orders.workload,
            budget: &mut self.budget,
            tally: &mut self.tally,
            io: &mut self.io,
        };
        for (place, ready) in self.connections.iter_mut().zip(&mut self.ready) {
            let Some(connection) = place else { continue };
            let due = !*ready && connection.next_ns().is_some_and(|next_ns| next_ns <= turn.clock.now_ns());
            if !*ready && !due && !tick {
                continue;
            }
            self.usage.worked |= *ready || due;
            // Read for each turn: with many connections one round of turns is long.
            if let Some(phases) = &self.phases {
                turn.phase = phases.at(turn.clock.now_ns());
                self.usage.note(turn.phase);
            }
            let ticked = if tick { connection.tick(now_ns, &mut turn) } else { Ok(()) };
            match ticked.and_then(|()| connection.turn(&mut turn)) {
                Ok(again) => *ready = again,
                Err(trouble) => {
                    turn.tally.meet(trouble);
                    connection.abandon(turn.tally, turn.phases, turn.budget, turn.io);
                    *place = None;
                    last = Some(trouble);
                }
            }
        }
        // What the next wait submits is written now.
        let now_ns = turn.clock.now_ns();
        for connection in self.connections.iter_mut().flatten() {
            connection.stamp(now_ns, &mut self.tally);
        }
        last
    }

    /// Waits for events, not at all when a connection has something to do.
    fn wait(&mut self, timeout_ns: u64) -> io::Result<()> {
        let Self { io, connections, ready, .. } = self;
        let busy = connections.iter().zip(&*ready).any(|(place, ready)| place.is_some() && *ready);
        io.wait(if busy { 0 } else { timeout_ns }, |index, happening| {
            if let Some(connection) = &mut connections[index] {
                ready[index] |= connection.happen(happening);
            }
        })
    }

    fn waiting(&self) -> usize {
        self.connections.iter().flatten().map(Connection::waiting).sum()
    }
}
