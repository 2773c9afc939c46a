//! One run against a peer, bounded in time: one thread, a closed loop over its connections.

use std::{io, net::SocketAddr, time::Duration};

use mio::{Events, Poll, Token};

use super::{
    connection::{Answers, Connection, ConnectionError, Pattern},
    exchange::Exchange,
};
use crate::{
    clock::{self, Clock, nanoseconds},
    phase::{Phase, Phases},
    run::DRAIN,
    server_cpu::CpuReading,
};

/// The clock is looked at this often without an event, ns.
const TICK_NS: u64 = 50_000_000;
/// Events of one poll.
const EVENT_COUNT_MAX: usize = 1_024;

/// Everything a run needs.
#[derive(Debug)]
pub struct Plan {
    /// The peer.
    pub server: SocketAddr,
    /// Its process.
    pub server_pid: u32,
    /// What is repeated.
    pub exchange: Box<dyn Exchange>,
    /// TCP connections.
    pub connections: usize,
    /// Requests that wait on each connection.
    pub in_flight: usize,
    /// The CPU to stay on.
    pub pin: Option<usize>,
    /// Sent and checked, not counted.
    pub warmup: Duration,
    /// The measured interval.
    pub duration: Duration,
}

/// What a run gave.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// Right answers that arrived in the measured interval.
    pub right_in_interval: u64,
    /// Answers that were not right, in any phase.
    pub wrong: u64,
    /// Requests that were never answered.
    pub unanswered: u64,
    /// The measured interval, ns.
    pub interval_ns: u64,
    /// CPU time of the peer's process in it, ns.
    pub server_cpu_ns: u64,
    /// CPU time of this thread in it, ns.
    pub client_cpu_ns: u64,
}

impl Outcome {
    /// Whether there were answers, all of them right, one for each request.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.right_in_interval > 0 && self.wrong == 0 && self.unanswered == 0
    }
}

/// Why a run ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No TCP connection.
    #[error("cannot reach {0}: {1}")]
    Unreachable(SocketAddr, io::Error),
    /// The CPU of `--pin` is not usable.
    #[error("cannot pin to CPU {0}")]
    Pin(usize),
    /// The poll failed.
    #[error("cannot poll: {0}")]
    Poll(io::Error),
    /// The peer's CPU time cannot be read.
    #[error("cannot read the CPU time of process {0}: {1}")]
    ServerCpu(u32, io::Error),
    /// A connection ended.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

/// CPU time at one instant.
struct Mark {
    at_ns: u64,
    server: CpuReading,
    client_ns: u64,
}

struct Load<'a> {
    plan: &'a Plan,
    pattern: Pattern,
    clock: Clock,
    poll: Poll,
    connections: Vec<Connection>,
    ready: Vec<bool>,
    answers: Answers,
}

/// Runs `plan`.
///
/// # Errors
/// [`LoadError`]; wrong answers are counted, not an error.
pub fn run(plan: &Plan) -> Result<Outcome, LoadError> {
    if let Some(cpu) = plan.pin
        && !core_affinity::set_for_current(core_affinity::CoreId { id: cpu })
    {
        return Err(LoadError::Pin(cpu));
    }
    let poll = Poll::new().map_err(LoadError::Poll)?;
    let open = |index| Connection::open(plan.server, poll.registry(), Token(index));
    let connections: io::Result<Vec<_>> = (0..plan.connections).map(open).collect();
    let connections = connections.map_err(|error| LoadError::Unreachable(plan.server, error))?;
    let mut load = Load {
        pattern: Pattern::new(plan.exchange.request(), plan.in_flight),
        clock: Clock::start(),
        poll,
        ready: vec![true; connections.len()],
        connections,
        answers: Answers::default(),
        plan,
    };
    load.run()
}

impl Load<'_> {
    fn run(&mut self) -> Result<Outcome, LoadError> {
        let begin_ns = self.clock.now_ns();
        let measure_from_ns = begin_ns + nanoseconds(self.plan.warmup);
        let measure_until_ns = measure_from_ns + nanoseconds(self.plan.duration);
        let drain_until_ns = measure_until_ns + nanoseconds(DRAIN);
        let phases = Phases { begin_ns, measure_from_ns, measure_until_ns, drain_until_ns };
        let mut events = Events::with_capacity(EVENT_COUNT_MAX);

        self.turns_until(measure_from_ns, &phases, &mut events)?;
        let before = self.mark()?;
        let right_before = self.answers.right;
        self.turns_until(measure_until_ns, &phases, &mut events)?;
        let after = self.mark()?;
        let right_in_interval = self.answers.right - right_before;
        self.turns_until(drain_until_ns, &phases, &mut events)?;

        Ok(Outcome {
            right_in_interval,
            wrong: self.answers.wrong,
            unanswered: self.waiting() as u64,
            interval_ns: after.at_ns - before.at_ns,
            server_cpu_ns: after.server.since_ns(&before.server),
            client_cpu_ns: after.client_ns - before.client_ns,
        })
    }

    fn mark(&self) -> Result<Mark, LoadError> {
        let pid = self.plan.server_pid;
        let server = CpuReading::of(pid).map_err(|error| LoadError::ServerCpu(pid, error))?;
        Ok(Mark { at_ns: self.clock.now_ns(), server, client_ns: clock::thread_cpu_ns() })
    }

    /// Turns and waits until `until_ns`; while draining, until nothing waits.
    fn turns_until(&mut self, until_ns: u64, phases: &Phases, events: &mut Events) -> Result<(), LoadError> {
        loop {
            let now_ns = self.clock.now_ns();
            let phase = phases.at(now_ns);
            if now_ns >= until_ns || phase == Phase::Drain && self.waiting() == 0 {
                return Ok(());
            }
            self.turns(phase)?;
            let left_ns = until_ns.saturating_sub(self.clock.now_ns());
            self.wait(events, left_ns.min(TICK_NS)).map_err(LoadError::Poll)?;
        }
    }

    fn turns(&mut self, phase: Phase) -> Result<(), LoadError> {
        let in_flight = if phase.sends() { self.plan.in_flight } else { 0 };
        for (connection, ready) in self.connections.iter_mut().zip(&mut self.ready) {
            if *ready {
                *ready =
                    connection.turn(&*self.plan.exchange, &self.pattern, in_flight, &mut self.answers)?;
            }
        }
        Ok(())
    }

    /// Waits for events, not at all when a connection has something to do.
    fn wait(&mut self, events: &mut Events, timeout_ns: u64) -> io::Result<()> {
        let busy = self.ready.contains(&true);
        let timeout = if busy { Duration::ZERO } else { Duration::from_nanos(timeout_ns) };
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in events.iter() {
            let Token(index) = event.token();
            self.ready[index] = true;
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                self.connections[index].note_readable();
            }
            if event.is_writable() {
                self.connections[index].note_writable();
            }
        }
        Ok(())
    }

    fn waiting(&self) -> usize {
        self.connections.iter().map(Connection::waiting).sum()
    }
}
