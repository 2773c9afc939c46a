//! One connection: login, requests, answers. A turn is at most one read and one write.
//!
//! Latency of a request runs from just before the write that carries it, read once for each batch, until the
//! read that brings its answer returns, read once for each read. Signing and verifying are not part of it. An
//! answer that came while the worker was busy with other connections, or with a login, is seen when it is read.

mod established;
mod login;
mod sessions;
mod socket;

pub use login::{HELLO_COUNT_MAX, LOGIN_MS_MAX};
pub use sessions::DRAIN_NS_MAX;
pub use socket::{READ_BYTES_MAX, WRITE_BYTES_MAX};

use std::{io, net::IpAddr};

use mio::{Registry, Token};
use mvt_proto::Reject;

use self::{
    established::{Arrival, Batch},
    sessions::Sessions,
    socket::{Filled, Socket},
};
use crate::{
    clock::{self, Clock},
    phase::Phase,
    schedule::Schedule,
    tally::Tally,
    target::Target,
    trouble::Trouble,
    workload::Workload,
};

/// With requests waiting, a connection on which nothing is heard for this long has failed, ns.
pub const SILENCE_NS_MAX: u64 = 5_000_000_000;

/// What a turn needs from its worker.
#[derive(Debug)]
pub struct Turn<'a> {
    /// Time.
    pub clock: Clock,
    /// The phase this turn is in.
    pub phase: Phase,
    /// To whom.
    pub target: &'a Target,
    /// What.
    pub workload: &'a Workload,
    /// When.
    pub schedule: Schedule,
    /// Measured requests this worker may still send; `u64::MAX` without a bound.
    pub budget: &'a mut u64,
    /// Where it is counted.
    pub tally: &'a mut Tally,
}

/// A connection to the server.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
    sessions: Sessions,
    heard_at_ns: u64,
}

impl Connection {
    /// Connects, registers with `registry`, and sends a HELLO on its first turn.
    ///
    /// # Errors
    /// When there is no connection.
    pub fn open(target: &Target, registry: &Registry, token: Token) -> io::Result<Self> {
        let socket = Socket::connect(target.address, registry, token)?;
        Ok(Self { socket, sessions: Sessions::default(), heard_at_ns: 0 })
    }

    /// This end's address.
    ///
    /// # Errors
    /// When the socket has none any more.
    pub fn local_ip(&self) -> io::Result<IpAddr> {
        self.socket.local_ip()
    }

    /// Whether a login was granted.
    #[must_use]
    pub const fn is_established(&self) -> bool {
        self.sessions.is_established()
    }

    /// Requests that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.sessions.waiting()
    }

    /// The kernel said there is something to read.
    pub const fn note_readable(&mut self, hung_up: bool) {
        self.socket.note_readable(hung_up);
    }

    /// One read, one batch, one write. `true`: there is more to do without a new event.
    ///
    /// # Errors
    /// The trouble that ends this connection.
    pub fn turn(&mut self, turn: &mut Turn<'_>) -> Result<bool, Trouble> {
        if self.socket.is_readable() {
            self.receive(turn)?;
        }
        self.sessions.renew(turn, &mut self.socket.outbox)?;
        let more_is_due = self.send(turn)?;
        Ok(self.socket.is_readable() || more_is_due)
    }

    /// Deadlines: a login's, and that of a server that fell silent.
    ///
    /// # Errors
    /// The trouble that ends this connection.
    pub fn tick(&mut self, turn: &mut Turn<'_>) -> Result<(), Trouble> {
        let now_ns = turn.clock.now_ns();
        self.sessions.tick(now_ns, turn, &mut self.socket.outbox)?;
        let silent = now_ns.saturating_sub(self.heard_at_ns) >= SILENCE_NS_MAX;
        if silent && self.waiting() > 0 { Err(Trouble::Timeout) } else { Ok(()) }
    }

    /// Gives up what still waits: the run or the connection is over.
    pub fn abandon(&mut self, tally: &mut Tally) {
        self.sessions.abandon(tally);
    }

    fn receive(&mut self, turn: &mut Turn<'_>) -> Result<(), Trouble> {
        match self.socket.fill().map_err(|error| self.sessions.meaning_of(&error))? {
            Filled::Bytes => {}
            Filled::Nothing => return Ok(()),
            Filled::Closed => return Err(self.sessions.meaning_of_close()),
        }
        let at_ns = turn.clock.now_ns();
        self.heard_at_ns = at_ns;
        let arrival = Arrival { at_ns, boot_ms: clock::boot_ms(), phase: turn.phase };
        let (mut inbox, outbox) = self.socket.split();
        let sessions = &mut self.sessions;
        Socket::cut_frames(&mut inbox, |frame| sessions.accept(frame, arrival, turn, outbox))
    }

    /// Seals what is due and writes it; `true` when more is due than fits one write.
    fn send(&mut self, turn: &mut Turn<'_>) -> Result<bool, Trouble> {
        if self.socket.is_blocked() {
            self.flush()?;
        }
        // Nothing is sealed while the kernel has not taken the batch before: its send times stay true.
        if self.socket.is_blocked() {
            return Ok(false);
        }
        let (due, sealed) = if turn.phase.sends() { self.seal(turn) } else { (0, 0) };
        self.flush()?;
        Ok(sealed < due && !self.socket.is_blocked())
    }

    /// Seals what is due into the outbox: how many were, and how many that are.
    fn seal(&mut self, turn: &mut Turn<'_>) -> (usize, usize) {
        let waiting = self.waiting();
        let Some(current) = self.sessions.sealable() else { return (0, 0) };
        let now_ns = turn.clock.now_ns();
        let measured = turn.phase == Phase::Measure;
        let mut due = turn.schedule.due(now_ns, waiting);
        if measured {
            due = due.min(usize::try_from(*turn.budget).unwrap_or(usize::MAX));
        }
        if due == 0 {
            return (0, 0);
        }
        if waiting == 0 {
            self.heard_at_ns = now_ns;
        }
        let batch = Batch {
            count: due,
            payload: &turn.workload.payload,
            boot_ms: clock::boot_ms(),
            measured,
            bytes_max: WRITE_BYTES_MAX,
        };
        let sealed = current.seal(&batch, &mut self.socket.outbox);
        current.stamp(sealed, turn.clock.now_ns());
        if measured {
            turn.tally.sent += sealed as u64;
            *turn.budget -= sealed as u64;
        }
        let blocked_by_session = current.is_spent();
        (if blocked_by_session { sealed } else { due }, sealed)
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        self.socket.flush().map_err(|error| self.sessions.meaning_of(&error))
    }
}

impl From<Reject> for Trouble {
    fn from(_: Reject) -> Self {
        Self::Malformed
    }
}
