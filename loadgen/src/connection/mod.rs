//! One connection: what is spoken on it, and when. A turn is at most one read and one write.
//!
//! Latency of a request runs until the read that brings its answer returns, read once for each read; on a ring, until
//! the wait that brings it returns. It begins in an open loop at the instant the request was meant to be sent, in a closed
//! loop just before the write that carries it, read once for each write. An answer that came while the worker was busy
//! is seen when it is read. In an open loop requests that are due go before answers that wait to be opened. Over QUIC a read ends when its packets are opened, and a write is what QUIC is given: what its
//! congestion control holds back is part of the latency, as of TCP's. In datagrams nothing more is sealed meanwhile, and a
//! request that comes again keeps the beginning of its first copy.

mod conclusion;
mod established;
mod login;
mod lossy;
mod outgoing;
mod pipeline;
mod repeats;
mod seat;
mod seats;
mod speech;

pub use login::{HELLO_COUNT_MAX, LOGIN_MS_MAX};
pub use repeats::GIVE_UP_NS;
pub use seat::DRAIN_NS_MAX;
pub use seats::{FORGED_COUNT_MAX, LOGINS_AT_ONCE_MAX};

use std::{io, net::IpAddr};

use mvt_proto::Reject;

use self::{login::ChannelBinding, outgoing::Outgoing, speech::Speech};
use crate::{
    clock::{self, Clock},
    io::{Filled, Happening, Io, Socket, WRITE_BYTES_MAX},
    pacing::Pacing,
    phase::{Phase, Phases},
    tally::Tally,
    target::Target,
    trouble::Trouble,
    workload::Workload,
};

/// With requests waiting, a connection on which nothing is heard for this long has failed, ns.
pub const SILENCE_NS_MAX: u64 = 5_000_000_000;
/// From this size on a write is handed to the kernel at once, and not with those of the other connections: the server
/// works on it while they are sealed, which is worth more than a system call.
const PRESSING_BYTES: usize = 4 * 1024;
/// An open loop seals no more before it writes: the first of many that are due would wait for the last.
const OPEN_WRITE_BYTES_MAX: usize = 8 * 1024;
/// Bytes of answers that an open loop reads before it looks whether a request is due: sixteen small ones.
const SLICE_BYTES: usize = 1024;

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
    /// What moves the bytes.
    pub io: &'a mut Io,
}

/// When bytes arrived.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    at_ns: u64,
    boot_ms: u64,
    phase: Phase,
}

/// Answers that were brought and not opened yet, because requests came due meanwhile.
#[derive(Debug, Clone, Copy)]
struct Unread {
    bytes: usize,
    /// When they arrived.
    at_ns: u64,
}

/// A connection to the server.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
    speech: Speech,
    pacing: Pacing,
    heard_at_ns: u64,
    /// Of an open loop: bytes at the front of the inbox that are still to be read.
    unread: Option<Unread>,
    /// More is due than the last write took.
    more_is_due: bool,
    /// Requests are sealed whose write the kernel has not seen.
    is_unstamped: bool,
    /// Requests sent since it was connected.
    sent_count: u64,
    /// Where the worker keeps it.
    place: usize,
}

impl Connection {
    /// Connects connection `of_all` of a run, and logs in on its first turns.
    ///
    /// # Errors
    /// When there is no connection.
    pub fn open(
        target: &Target,
        workload: &Workload,
        of_all: usize,
        io: &mut Io,
        place: usize,
    ) -> io::Result<Self> {
        Ok(Self {
            socket: Socket::connect(target.address, &target.carrier, target.unit_bytes_max(), io, place)?,
            speech: Speech::new(target, workload, of_all),
            pacing: Pacing::Idle,
            heard_at_ns: 0,
            unread: None,
            more_is_due: false,
            is_unstamped: false,
            sent_count: 0,
            place,
        })
    }

    /// This end's address.
    #[must_use]
    pub const fn local_ip(&self) -> IpAddr {
        self.socket.local_ip()
    }

    /// Whether every login was granted.
    #[must_use]
    pub fn is_established(&self) -> bool {
        self.speech.is_established()
    }

    /// Requests that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.speech.waiting()
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

    /// When the next request is due, or something else is to be done; `None` when that takes an event.
    #[must_use]
    #[inline]
    pub fn next_ns(&self) -> Option<u64> {
        self.next_unless(self.socket.is_blocked())
    }

    /// The same for one who is about to wait, which lets the kernel write: a request that is due after the write that is queued
    /// must not wait for its answer.
    #[must_use]
    pub fn next_after_write_ns(&self) -> Option<u64> {
        self.next_unless(self.socket.is_blocked_by_peer())
    }

    fn next_unless(&self, is_blocked: bool) -> Option<u64> {
        let can_send = !is_blocked && !self.pacing.is_full(self.waiting()) && self.speech.can_seal();
        let request_ns = self.pacing.next_ns().filter(|_| can_send);
        let repeat_ns = self.speech.repeat_ns().filter(|_| !self.socket.is_blocked());
        [request_ns, repeat_ns, self.socket.deadline_ns()].into_iter().flatten().min()
    }

    /// Notes what happened on the socket; whether there is something to do now.
    pub fn happen(&mut self, happening: Happening<'_>) -> bool {
        self.socket.happen(happening) || self.more_is_due
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
        // Answers lose nothing by waiting, for the time of their arrival is known; a request that is due is late.
        if self.pacing.is_open() && self.has_unread() && self.is_due(turn) {
            self.more_is_due = self.send(turn)?;
            turn.io.submit().map_err(|_| Trouble::Io)?;
        }
        if self.has_unread() {
            self.receive(turn)?;
        }
        if self.wants_another(turn.workload) {
            self.reconnect(turn)?;
        }
        let has_logins = self.renew(turn)?;
        self.repeat(turn);
        self.more_is_due = self.send(turn)?;
        let can_write = !self.socket.is_blocked();
        Ok(self.has_unread() || can_write && (self.more_is_due || has_logins))
    }

    /// Whether there may be something to read.
    fn has_unread(&self) -> bool {
        self.unread.is_some() || self.socket.is_readable()
    }

    /// Whether a request is due now and can be sent.
    fn is_due(&self, turn: &Turn<'_>) -> bool {
        self.can_send() && self.pacing.is_due(turn.clock.now_ns(), self.waiting(), turn.phase.sends())
    }

    /// Starts logins that are due, once there is a connection; whether there are more.
    fn renew(&mut self, turn: &Turn<'_>) -> Result<bool, Trouble> {
        let binding: Option<ChannelBinding> = self.socket.channel_binding().map(Into::into);
        match binding {
            Some(binding) => self.speech.renew(turn, binding, &mut self.socket.outbox),
            None => Ok(false),
        }
    }

    /// Sends again what may have been lost; not while copies could wait here.
    fn repeat(&mut self, turn: &mut Turn<'_>) {
        if !self.socket.is_blocked() && self.speech.repeat_ns().is_some() {
            let now_ns = turn.clock.now_ns();
            self.speech.repeat(now_ns, self.socket.rtt_ns(), turn.tally, &mut self.socket.outbox);
        }
    }

    /// Deadlines, as of `now_ns`: a login's, and that of a server that fell silent.
    ///
    /// # Errors
    /// The trouble that ends this connection.
    pub fn tick(&mut self, now_ns: u64, turn: &mut Turn<'_>) -> Result<(), Trouble> {
        self.speech.tick(now_ns, turn, &mut self.socket.outbox)?;
        let silent = now_ns.saturating_sub(self.heard_at_ns) >= SILENCE_NS_MAX;
        if silent && self.waiting() > 0 { Err(Trouble::Timeout) } else { Ok(()) }
    }

    /// Puts deadlines off: nobody listened for `away_ns`.
    pub fn put_off(&mut self, away_ns: u64) {
        self.heard_at_ns += away_ns;
        self.speech.put_off(away_ns);
    }

    /// Gives up what still waits and what is still to be sent, and closes: the run or the connection is over.
    pub fn abandon(&mut self, tally: &mut Tally, phases: Option<Phases>, budget: &mut u64, io: &mut Io) {
        self.speech.abandon(tally);
        let unsent = phases.map_or(0, |phases| self.pacing.give_up(&phases)).min(*budget);
        tally.unsent += unsent;
        *budget -= if *budget == u64::MAX { 0 } else { unsent };
        self.socket.close(io);
    }

    /// Notes `now_ns` as the time of the write of the requests that were sealed and not yet seen by the kernel.
    pub fn stamp(&mut self, now_ns: u64, tally: &mut Tally) {
        if std::mem::take(&mut self.is_unstamped) {
            self.speech.stamp(now_ns, tally);
        }
    }

    fn can_send(&self) -> bool {
        !self.pacing.is_full(self.waiting()) && !self.socket.is_blocked() && self.speech.can_seal()
    }

    /// Whether the connection is to be replaced, and nothing is on its way any more.
    fn wants_another(&mut self, workload: &Workload) -> bool {
        let worn = left_before_reconnect(workload, self.sent_count) == 0;
        let wanted = worn || self.speech.has_forged_all();
        self.speech.hold(wanted);
        wanted && self.waiting() == 0 && !self.socket.is_blocked() && self.speech.is_quiet()
    }

    fn reconnect(&mut self, turn: &mut Turn<'_>) -> Result<(), Trouble> {
        let Target { address, carrier, .. } = turn.target;
        self.socket.reconnect(*address, carrier, turn.io, self.place).map_err(|_| Trouble::Io)?;
        turn.tally.reconnects += 1;
        self.unread = None;
        self.sent_count = 0;
        self.speech.begin_anew();
        Ok(())
    }

    /// One read. In an open loop as much of it is opened as there is time for before the next request is due, at least a slice;
    /// the rest is left for the next turn.
    fn receive(&mut self, turn: &mut Turn<'_>) -> Result<(), Trouble> {
        let mut unread = match self.unread.take() {
            Some(unread) => unread,
            None => match self.socket.fill(turn.io).map_err(|error| self.speech.meaning_of(&error))? {
                Filled::Bytes => {
                    let at_ns = turn.io.arrived_ns().unwrap_or_else(|| turn.clock.now_ns());
                    Unread { bytes: self.socket.inbox.bytes().len(), at_ns }
                }
                Filled::Nothing => return Ok(()),
                Filled::Closed => return Err(self.speech.meaning_of_close()),
            },
        };
        // Later already where deadlines were put off since it arrived.
        self.heard_at_ns = self.heard_at_ns.max(unread.at_ns);
        let arrival = Arrival { at_ns: unread.at_ns, boot_ms: clock::boot_ms(), phase: turn.phase };
        let is_open = self.pacing.is_open();
        let mut slice = if is_open { SLICE_BYTES } else { unread.bytes };
        while unread.bytes > 0 {
            let Socket { inbox, outbox, .. } = &mut self.socket;
            let front = slice.min(unread.bytes);
            let consumed = self.speech.read(&mut inbox.bytes()[..front], arrival, turn, outbox)?;
            inbox.consume(consumed);
            unread.bytes -= consumed;
            if consumed == 0 {
                // A frame longer than a slice; or the beginning of one whose rest is still to come.
                if front == unread.bytes {
                    break;
                }
                slice = 2 * front;
            } else if is_open && unread.bytes > 0 && self.is_due(turn) {
                self.unread = Some(unread);
                break;
            }
        }
        Ok(())
    }

    /// Seals what is due and writes it; `true` when more is due than fits one write.
    fn send(&mut self, turn: &mut Turn<'_>) -> Result<bool, Trouble> {
        if self.socket.is_blocked() {
            self.flush(turn)?;
        }
        // Nothing is sealed while the kernel has not taken the batch before: its send times stay true.
        if self.socket.is_blocked() {
            return Ok(true);
        }
        let more_is_due = self.seal(turn);
        let is_pressing = self.socket.outbox.len() >= PRESSING_BYTES;
        let is_at_once = turn.io.arrived_ns().is_none() || is_pressing;
        if is_at_once {
            self.stamp(turn.clock.now_ns(), turn.tally);
        }
        self.flush(turn)?;
        if is_pressing {
            turn.io.submit().map_err(|_| Trouble::Io)?;
        }
        Ok(more_is_due)
    }

    /// Seals what is due into the outbox; `true` when more is due than fits it.
    fn seal(&mut self, turn: &mut Turn<'_>) -> bool {
        if !self.speech.can_seal() {
            return false;
        }
        let waiting = self.waiting();
        let now_ns = turn.clock.now_ns();
        if !self.pacing.is_due(now_ns, waiting, turn.phase.sends()) {
            return false;
        }
        let bytes_max = if self.pacing.is_open() { OPEN_WRITE_BYTES_MAX } else { WRITE_BYTES_MAX };
        let mut outgoing = Outgoing {
            pacing: &mut self.pacing,
            bytes_max,
            left: left_before_reconnect(turn.workload, self.sent_count),
            waiting,
            now_ns,
            boot_ms: clock::boot_ms(),
            phase: turn.phase,
            phases: turn.phases,
            budget: turn.budget,
            tally: turn.tally,
        };
        let sealed = self.speech.seal(&mut outgoing, turn.target, &mut self.socket.outbox);
        self.sent_count += sealed as u64;
        self.is_unstamped |= sealed > 0;
        if waiting == 0 && sealed > 0 {
            self.heard_at_ns = now_ns;
        }
        let is_worn = left_before_reconnect(turn.workload, self.sent_count) == 0;
        let spent = is_worn || !self.speech.can_seal() || *turn.budget == 0;
        !spent && self.pacing.is_due(now_ns, waiting + sealed, turn.phase.sends())
    }

    fn flush(&mut self, turn: &mut Turn<'_>) -> Result<(), Trouble> {
        self.socket.flush(turn.io).map_err(|error| self.speech.meaning_of(&error))
    }
}

/// Requests that a connection on which `sent_count` were sent may still send before it is replaced.
fn left_before_reconnect(workload: &Workload, sent_count: u64) -> u64 {
    workload.churn.reconnect_every.map_or(u64::MAX, |every| every.saturating_sub(sent_count))
}

impl From<Reject> for Trouble {
    fn from(_: Reject) -> Self {
        Self::Malformed
    }
}
