//! One connection: login, requests, answers. A turn is at most one read and one write.
//!
//! Latency of a request runs until the read that brings its answer returns, read once for each read. It begins in an
//! open loop at the instant the request was meant to be sent, in a closed loop just before the write that carries it,
//! read once for each batch. An answer that came while the worker was busy is seen when it is read.

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
    pacing::Pacing,
    phase::{Phase, Phases},
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
    /// All phases; none before every connection is logged in.
    pub phases: Option<Phases>,
    /// To whom.
    pub target: &'a Target,
    /// What.
    pub workload: &'a Workload,
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
    pacing: Pacing,
    heard_at_ns: u64,
}

impl Connection {
    /// Connects, registers with `registry`, and sends a HELLO on its first turn.
    ///
    /// # Errors
    /// When there is no connection.
    pub fn open(target: &Target, registry: &Registry, token: Token) -> io::Result<Self> {
        let socket = Socket::connect(target.address, registry, token)?;
        Ok(Self { socket, sessions: Sessions::default(), pacing: Pacing::Idle, heard_at_ns: 0 })
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

    /// Begins to send.
    pub fn begin(&mut self, pacing: Pacing) {
        self.pacing = pacing;
    }

    /// Ends the measured interval early.
    pub fn cut(&mut self, until_ns: u64) {
        self.pacing.cut(until_ns);
    }

    /// Whether requests of an open loop are still to be sent.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.pacing.next_ns().is_some()
    }

    /// When the next request is due; `None` when it takes an event to make one due.
    #[must_use]
    #[inline]
    pub fn next_ns(&self) -> Option<u64> {
        self.pacing.next_ns().filter(|_| self.can_send())
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
        // Before the read that may free it: what came due until now was not this generator's to send.
        if !self.can_send() {
            self.pacing.hold(turn.clock.now_ns());
        }
        if self.socket.is_readable() {
            self.receive(turn)?;
        }
        self.sessions.replace(turn, &mut self.socket.outbox)?;
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

    /// Gives up what still waits and what is still to be sent: the run or the connection is over.
    pub fn abandon(&mut self, tally: &mut Tally, phases: Option<Phases>, budget: &mut u64) {
        self.sessions.abandon(tally);
        let unsent = phases.map_or(0, |phases| self.pacing.give_up(&phases)).min(*budget);
        tally.unsent += unsent;
        *budget -= if *budget == u64::MAX { 0 } else { unsent };
    }

    fn can_send(&self) -> bool {
        !self.pacing.is_full(self.waiting()) && !self.socket.is_blocked() && self.sessions.can_seal()
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
        let more_is_due = self.seal(turn);
        self.flush()?;
        Ok(more_is_due && !self.socket.is_blocked())
    }

    /// Seals what is due into the outbox; `true` when more is due than fits it.
    fn seal(&mut self, turn: &mut Turn<'_>) -> bool {
        let waiting = self.waiting();
        let Some(current) = self.sessions.sealable() else { return false };
        let now_ns = turn.clock.now_ns();
        let mut batch = Batch {
            pacing: &mut self.pacing,
            waiting,
            now_ns,
            boot_ms: clock::boot_ms(),
            phase: turn.phase,
            phases: turn.phases,
            budget: turn.budget,
            payload: &turn.workload.payload,
            bytes_max: WRITE_BYTES_MAX,
        };
        let sealed = current.seal(&mut batch, &mut self.socket.outbox);
        current.stamp(sealed, turn.clock.now_ns(), turn.tally);
        if waiting == 0 && sealed > 0 {
            self.heard_at_ns = now_ns;
        }
        let spent = current.is_spent() || *turn.budget == 0;
        !spent && self.pacing.is_due(now_ns, waiting + sealed, turn.phase.sends())
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
