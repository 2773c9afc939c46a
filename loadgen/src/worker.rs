//! One thread: a poll loop over its connections.

use std::{
    io,
    net::IpAddr,
    sync::mpsc::{Receiver, Sender},
    time::Duration,
};

use mio::{Events, Poll, Token};

use crate::{
    clock::{self, Clock},
    connection::{Connection, Turn},
    phase::{Phase, Phases},
    progress::Live,
    schedule::Schedule,
    tally::Tally,
    target::Target,
    trouble::{StartError, Trouble},
    workload::Workload,
};

/// Deadlines are looked at this often, ns.
const TICK_NS: u64 = 50_000_000;
/// Events of one poll.
const EVENT_COUNT_MAX: usize = 1_024;

/// What a worker is told at the start.
#[derive(Debug)]
pub struct Orders<'a> {
    /// Which of the workers this is.
    pub index: usize,
    /// The CPU to stay on.
    pub pin: Option<usize>,
    /// Time, the same for all.
    pub clock: Clock,
    /// To whom.
    pub target: &'a Target,
    /// What.
    pub workload: &'a Workload,
    /// When.
    pub schedule: Schedule,
    /// Measured requests to send; `u64::MAX` without a bound.
    pub budget: u64,
    /// Where the progress line looks.
    pub live: &'a Live,
}

/// What a worker tells while it runs.
#[derive(Debug)]
pub enum Event {
    /// Every connection is logged in, from this address; or not.
    Started(Result<IpAddr, StartError>),
    /// The measured interval ended for this worker, at this time.
    IntervalOver(u64),
}

/// What a worker leaves.
#[derive(Debug)]
pub struct Harvest {
    /// What it counted.
    pub tally: Tally,
    /// CPU time it used in the measured interval, ns.
    pub cpu_ns: u64,
}

struct Worker<'a> {
    orders: &'a Orders<'a>,
    poll: Poll,
    connections: Vec<Option<Connection>>,
    /// Connections that have something to do.
    ready: Vec<bool>,
    budget: u64,
    tally: Tally,
    ticked_at_ns: u64,
    /// None until every connection is logged in.
    phases: Option<Phases>,
    cpu: CpuInterval,
}

/// CPU time of this thread at both ends of the measured interval, ns.
#[derive(Debug, Default)]
struct CpuInterval {
    from_ns: Option<u64>,
    until_ns: Option<u64>,
}

impl CpuInterval {
    /// Reads the clock when `phase` begins or ends the interval; costs nothing otherwise.
    fn note(&mut self, phase: Phase) {
        match phase {
            Phase::Starting | Phase::WarmUp => {}
            Phase::Measure => _ = self.from_ns.get_or_insert_with(clock::thread_cpu_ns),
            Phase::Drain => _ = self.until_ns.get_or_insert_with(clock::thread_cpu_ns),
        }
    }

    /// 0 when the interval was never entered: every connection ended before it.
    fn used_ns(&self) -> u64 {
        self.from_ns.zip(self.until_ns).map_or(0, |(from, until)| until.saturating_sub(from))
    }
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
    let cpu_ns = worker.run(&phases, events);
    Some(Harvest { tally: worker.tally, cpu_ns })
}

impl<'a> Worker<'a> {
    fn start(orders: &'a Orders<'a>) -> Result<Self, StartError> {
        if let Some(cpu) = orders.pin
            && !core_affinity::set_for_current(core_affinity::CoreId { id: cpu })
        {
            return Err(StartError::Pin(cpu));
        }
        let poll = Poll::new().map_err(StartError::Worker)?;
        let count = orders.workload.connections_of(orders.index);
        let mut connections = Vec::with_capacity(count);
        for index in 0..count {
            let opened = Connection::open(orders.target, poll.registry(), Token(index));
            let server = orders.target.address;
            connections.push(Some(opened.map_err(|source| StartError::Unreachable { server, source })?));
        }
        let ready = vec![true; count];
        Ok(Self {
            orders,
            poll,
            connections,
            ready,
            budget: orders.budget,
            tally: Tally::default(),
            ticked_at_ns: 0,
            phases: None,
            cpu: CpuInterval::default(),
        })
    }

    /// Turns until every connection has a session; the first trouble ends the run.
    fn log_in(&mut self) -> Result<IpAddr, StartError> {
        let server = self.orders.target.address;
        let mut events = Events::with_capacity(EVENT_COUNT_MAX);
        while !self.connections.iter().flatten().all(Connection::is_established) {
            let trouble = self.turns();
            if let Some(trouble) = trouble {
                return Err(StartError::of_login(trouble, server));
            }
            self.wait(&mut events, TICK_NS).map_err(StartError::Worker)?;
        }
        let first = self.connections.iter().flatten().next().expect("a worker has a connection");
        first.local_ip().map_err(|source| StartError::Unreachable { server, source })
    }

    /// The phases one after the other; CPU time used in the measured interval, ns.
    fn run(&mut self, phases: &Phases, events: &Sender<Event>) -> u64 {
        let clock = self.orders.clock;
        let mut polled = Events::with_capacity(EVENT_COUNT_MAX);
        let mut told = false;
        self.ready.fill(true);
        self.phases = Some(*phases);
        loop {
            let now_ns = clock.now_ns();
            if self.interval_is_over(phases.at(now_ns)) {
                self.cpu.note(Phase::Drain);
                if !told {
                    told = true;
                    let _ = events.send(Event::IntervalOver(now_ns.min(phases.measure_until_ns)));
                }
                if self.waiting() == 0 || now_ns >= phases.drain_until_ns {
                    break;
                }
            }
            self.turns();
            self.orders.live.publish(&self.tally, clock.now_ns());
            let timeout_ns = phases.next_boundary_ns(now_ns).saturating_sub(clock.now_ns()).min(TICK_NS);
            if self.wait(&mut polled, timeout_ns).is_err() {
                self.tally.meet(Trouble::Io);
                if !told {
                    let _ = events.send(Event::IntervalOver(now_ns.min(phases.measure_until_ns)));
                }
                break;
            }
        }
        for connection in self.connections.iter_mut().flatten() {
            connection.abandon(&mut self.tally);
        }
        self.cpu.used_ns()
    }

    /// By time, by the bound on requests, or because no connection is left.
    fn interval_is_over(&self, phase: Phase) -> bool {
        let all_sent = phase == Phase::Measure && self.budget == 0 && self.waiting() == 0;
        phase == Phase::Drain || all_sent || self.connections.iter().all(Option::is_none)
    }

    /// One turn of every connection that has something to do; the last trouble that ended one.
    fn turns(&mut self) -> Option<Trouble> {
        let now_ns = self.orders.clock.now_ns();
        let tick = now_ns.saturating_sub(self.ticked_at_ns) >= TICK_NS;
        if tick {
            self.ticked_at_ns = now_ns;
        }
        let mut last = None;
        let mut turn = Turn {
            clock: self.orders.clock,
            phase: Phase::Starting,
            target: self.orders.target,
            workload: self.orders.workload,
            schedule: self.orders.schedule,
            budget: &mut self.budget,
            tally: &mut self.tally,
        };
        for (place, ready) in self.connections.iter_mut().zip(&mut self.ready) {
            let Some(connection) = place else { continue };
            if !*ready && !tick {
                continue;
            }
            // Read for each turn: with many connections one round of turns is long.
            if let Some(phases) = &self.phases {
                turn.phase = phases.at(turn.clock.now_ns());
                self.cpu.note(turn.phase);
            }
            let ticked = if tick { connection.tick(&mut turn) } else { Ok(()) };
            match ticked.and_then(|()| connection.turn(&mut turn)) {
                Ok(again) => *ready = again,
                Err(trouble) => {
                    turn.tally.meet(trouble);
                    connection.abandon(turn.tally);
                    *place = None;
                    last = Some(trouble);
                }
            }
        }
        last
    }

    /// Waits for events, not at all when a connection has something to do.
    fn wait(&mut self, events: &mut Events, timeout_ns: u64) -> io::Result<()> {
        let busy = self.connections.iter().zip(&self.ready).any(|(place, ready)| place.is_some() && *ready);
        let timeout = if busy { Duration::ZERO } else { Duration::from_nanos(timeout_ns) };
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in events.iter() {
            let Token(index) = event.token();
            self.ready[index] = true;
            if let Some(connection) = &mut self.connections[index]
                && (event.is_readable() || event.is_read_closed() || event.is_error())
            {
                connection.note_readable(event.is_read_closed() || event.is_error());
            }
        }
        Ok(())
    }

    fn waiting(&self) -> usize {
        self.connections.iter().flatten().map(Connection::waiting).sum()
    }
}
