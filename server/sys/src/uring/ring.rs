//! The ring: queues operations, submits them, waits.

use std::{
    collections::VecDeque,
    io,
    mem::ManuallyDrop,
    net::{TcpListener, UdpSocket},
    os::fd::{AsRawFd, BorrowedFd},
    os::unix::net::UnixStream,
    time::Duration,
};

use io_uring::{
    IoUring, cqueue, opcode,
    squeue::Entry,
    types::{CancelBuilder, DestinationSlot, Fd, Fixed, SubmitArgs, Timespec},
};
use rustix::{event::PollFlags, io::Errno, net::SendFlags};

use super::{
    Filled, LineId, RingOptions,
    accepts::Accepts,
    buffers::{self, Buffers},
    dial::Target,
    lines::{Lines, Receive, Sending},
    packets::Packets,
    setup,
    token::{Purpose, Token},
};

/// Bytes taken from the bell at once: many rings are one.
const BELL_BYTES: usize = 64;
/// Attempts to end what is in flight when the ring is dropped, a tick each.
const QUIESCE_ATTEMPTS: usize = 100;

/// How long to stay in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Until something happens.
    Sleep,
    /// Until something happens, or this long.
    SleepAtMost(Duration),
    /// Not at all.
    Poll,
}

/// Memory the kernel may touch while operations are in flight.
pub(super) struct Lent {
    pub(super) buffers: Buffers,
    pub(super) accepts: Accepts,
    pub(super) lines: Lines,
    /// None on a ring without a UDP socket.
    pub(super) packets: Option<Packets>,
    bell_bytes: Box<[u8; BELL_BYTES]>,
    tick: Box<Timespec>,
}

/// One ring with its listeners and its bell. Not to be shared: the thread that made it is the only one that may use it.
pub struct Ring {
    pub(super) uring: ManuallyDrop<IoUring>,
    pub(super) lent: ManuallyDrop<Lent>,
    /// One for each accept queue; none on a ring of a client.
    listeners: Vec<TcpListener>,
    bell: UnixStream,
    /// Queued when the submission queue was full.
    backlog: VecDeque<Entry>,
    /// Reaped and not yet given out.
    pub(super) reaped: VecDeque<cqueue::Entry>,
    /// Operations queued whose last completion was not reaped.
    pub(super) in_flight: usize,
    /// Queued sends that complete while they are submitted.
    at_once: usize,
    /// Completions in the queue that are such sends' and no reason not to sleep.
    pub(super) old_news: usize,
    pub(super) shortages: Shortages,
}

/// What ran out, and was waited for; nothing is lost by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shortages {
    /// Receives that ended because no buffer was free.
    pub buffers_exhausted: u64,
    /// Receives of packets that ended because no buffer was free.
    pub packet_buffers_exhausted: u64,
    /// Receives of packets that were of no use: cut off, without an address, or sent to one of many hosts.
    pub packets_unusable: u64,
    /// Transmissions of packets that had to wait because the socket was full.
    pub sends_waited: u64,
    /// Times that completions had to wait in the kernel because the completion queue was full.
    pub completions_overflowed: u64,
}

impl Ring {
    /// A ring on the calling thread, that ticks and listens to its bell but does not yet accept.
    ///
    /// # Errors
    /// The kernel's: see [`setup::probe`].
    pub fn new(listeners: Vec<TcpListener>, bell: UnixStream, options: RingOptions) -> io::Result<Self> {
        Self::build(listeners, bell, None, options)
    }

    /// The same, with a UDP socket that is the ring's alone from now on, set to tell of its packets what is wanted.
    ///
    /// # Errors
    /// The kernel's: see [`super::probe_packets`].
    pub fn with_packets(
        listeners: Vec<TcpListener>,
        bell: UnixStream,
        socket: UdpSocket,
        options: RingOptions,
    ) -> io::Result<Self> {
        Self::build(listeners, bell, Some(socket), options)
    }

    pub(super) fn build(
        listeners: Vec<TcpListener>,
        bell: UnixStream,
        socket: Option<UdpSocket>,
        options: RingOptions,
    ) -> io::Result<Self> {
        let mut buffers = Buffers::new(buffers::LINES)?;
        let mut packets = socket.map(Packets::new).transpose()?;
        let uring = setup::build(options, &mut buffers, packets.as_mut().map(Packets::buffers))?;
        let RingOptions { tick, .. } = options;
        let lent = Lent {
            buffers,
            accepts: Accepts::new(listeners.len()),
            lines: Lines::default(),
            packets,
            bell_bytes: Box::new([0; BELL_BYTES]),
            tick: Box::new(Timespec::new().sec(tick.as_secs()).nsec(tick.subsec_nanos())),
        };
        let mut ring = Self {
            uring: ManuallyDrop::new(uring),
            lent: ManuallyDrop::new(lent),
            listeners,
            bell,
            backlog: VecDeque::new(),
            reaped: VecDeque::new(),
            in_flight: 0,
            at_once: 0,
            old_news: 0,
            shortages: Shortages::default(),
        };
        ring.listen_to_bell();
        ring.tick();
        Ok(ring)
    }

    pub(super) const fn has_listeners(&self) -> bool {
        !self.listeners.is_empty()
    }

    /// Accepts one connection of `queue`, unless that is under way. Of each queue one at a time, since a queue in which nobody waits
    /// holds up no other.
    ///
    /// # Panics
    /// When there is no such queue.
    pub fn accept(&mut self, queue: usize) {
        let listener = Fd(self.listeners[queue].as_raw_fd());
        if let Some((address, length)) = self.lent.accepts.take(queue) {
            let accept = opcode::Accept::new(listener, address.cast(), length)
                .file_index(Some(DestinationSlot::auto_target()));
            self.push(accept.build(), Token::new(Purpose::Accept, queue as u32, 0));
        }
    }

    /// The listener of `queue`.
    ///
    /// # Panics
    /// When there is no such queue.
    #[must_use]
    pub fn listener(&self, queue: usize) -> &TcpListener {
        &self.listeners[queue]
    }

    /// Accepts no more. What was accepted meanwhile is still reported.
    pub fn stop_accepting(&mut self) {
        let queues: Vec<u32> = self.lent.accepts.in_flight().collect();
        for queue in queues {
            self.cancel(Token::new(Purpose::Accept, queue, 0));
        }
    }

    /// Receives on `line` until the receive ends.
    ///
    /// # Panics
    /// When it already does.
    pub fn receive(&mut self, line: LineId) {
        self.receive_by(line, Target::receive);
    }

    /// The same, one buffer at most.
    ///
    /// # Panics
    /// When a receive is under way.
    pub fn receive_once(&mut self, line: LineId) {
        self.receive_by(line, Target::receive_once);
    }

    fn receive_by(&mut self, line: LineId, operation: impl FnOnce(Target) -> Entry) {
        let place = self.lent.lines.open_mut(line);
        assert!(place.receive == Receive::Idle, "one receive at a time");
        place.receive = Receive::Armed;
        let receive = operation(Target::of(line.index, place));
        self.push(receive, Token::new(Purpose::Receive, line.index, line.generation));
    }

    /// Whether a receive is under way and not being stopped.
    pub fn is_receiving(&mut self, line: LineId) -> bool {
        self.lent.lines.open_mut(line).receive == Receive::Armed
    }

    /// Whether no receive is under way, stopped or not.
    pub fn may_receive(&mut self, line: LineId) -> bool {
        self.lent.lines.open_mut(line).receive == Receive::Idle
    }

    /// Stops the receive of `line`, if there is one. What was received before it ends is still reported, then its end.
    pub fn stop_receiving(&mut self, line: LineId) {
        let place = self.lent.lines.open_mut(line);
        if place.receive == Receive::Armed {
            place.receive = Receive::Cancelling;
            self.cancel(Token::new(Purpose::Receive, line.index, line.generation));
        }
    }

    /// Sends all of `buffer`, which is given back by its completion.
    ///
    /// # Panics
    /// When a send is under way on `line`, or `buffer` is empty.
    pub fn send(&mut self, line: LineId, buffer: Vec<u8>) {
        assert!(!buffer.is_empty(), "something to send");
        let place = self.lent.lines.open_mut(line);
        assert!(place.sending.is_none(), "one send at a time");
        place.sending = Some(Sending { buffer, begin: 0 });
        // Tried at once, so that its completion is there when the submission returns and waiting for one more is waiting
        // for news; what the socket does not take waits for it in a second send.
        self.send_rest(line, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        self.note_at_once();
    }

    /// The operation just queued completes while it is submitted.
    pub(super) const fn note_at_once(&mut self) {
        self.at_once += 1;
    }

    /// Sends what is left, waiting for the peer.
    pub(super) fn send_patiently(&mut self, line: LineId) {
        self.send_rest(line, SendFlags::NOSIGNAL);
    }

    fn send_rest(&mut self, line: LineId, flags: SendFlags) {
        let place = self.lent.lines.open_mut(line);
        let sending = place.sending.as_ref().expect("a send under way");
        let rest = &sending.buffer[sending.begin..];
        let length = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        let send = Target::of(line.index, place).send(rest.as_ptr(), length, flags);
        self.push(send, Token::new(Purpose::Send, line.index, line.generation));
    }

    /// Whether a send is under way.
    pub fn is_sending(&mut self, line: LineId) -> bool {
        self.lent.lines.open_mut(line).sending.is_some()
    }

    /// Cuts off the send of `line`, if there is one; its completion says how it ended.
    pub fn stop_sending(&mut self, line: LineId) {
        if self.is_sending(line) {
            self.cancel(Token::new(Purpose::Send, line.index, line.generation));
        }
    }

    /// Tells the peer of `line` that nothing more comes.
    ///
    /// # Panics
    /// When that is under way.
    pub fn shut_down(&mut self, line: LineId) {
        let place = self.lent.lines.open_mut(line);
        assert!(!std::mem::replace(&mut place.is_shutting_down, true), "once");
        let shutdown = Target::of(line.index, place).shut_down();
        self.push(shutdown, Token::new(Purpose::Shutdown, line.index, line.generation));
    }

    /// Whether nothing is in flight on `line`, so that it may be closed.
    pub fn is_idle(&mut self, line: LineId) -> bool {
        self.lent.lines.open_mut(line).is_idle()
    }

    /// Closes `line`; its name is void from now on.
    ///
    /// # Panics
    /// When something is in flight: closed with a receive in flight the peer would hear nothing.
    pub fn close(&mut self, line: LineId) {
        let place = self.lent.lines.open_mut(line);
        assert!(place.is_idle(), "nothing is in flight");
        place.is_open = false;
        if place.stream.take().is_some() {
            return;
        }
        let close = opcode::Close::new(Fixed(line.index));
        self.push(close.build(), Token::new(Purpose::Close, line.index, line.generation));
    }

    /// What was received.
    #[must_use]
    pub fn bytes(&self, filled: &Filled) -> &[u8] {
        self.lent.buffers.bytes(filled)
    }

    /// Gives a buffer back to the kernel, with the next [`Ring::enter`].
    pub fn recycle(&mut self, filled: Filled) {
        self.lent.buffers.recycle(filled);
    }

    /// Asks to be told once when `descriptor` has something to read: at once if it does now. The caller keeps it open for as
    /// long as it waits; if it did not, it would be told nothing, or of another descriptor.
    pub fn await_readable(&mut self, descriptor: BorrowedFd<'_>) {
        let poll = opcode::PollAdd::new(Fd(descriptor.as_raw_fd()), PollFlags::IN.bits().into());
        self.push(poll.build(), Token::new(Purpose::Readable, 0, 0));
    }

    pub(super) fn listen_to_bell(&mut self) {
        let bytes = self.lent.bell_bytes.as_mut_ptr();
        // A recv, not a read: a read of a non-blocking socket would end at once with EAGAIN.
        let bell = opcode::Recv::new(Fd(self.bell.as_raw_fd()), bytes, BELL_BYTES as u32);
        self.push(bell.build(), Token::new(Purpose::Bell, 0, 0));
    }

    pub(super) fn tick(&mut self) {
        let timeout = opcode::Timeout::new(&raw const *self.lent.tick);
        self.push(timeout.build(), Token::new(Purpose::Tick, 0, 0));
    }

    fn cancel(&mut self, target: Token) {
        let cancel = opcode::AsyncCancel2::new(CancelBuilder::user_data(target.to_bits()));
        self.push(cancel.build(), Token { purpose: Purpose::Cancel, ..target });
    }

    pub(super) fn push(&mut self, entry: Entry, token: Token) {
        self.in_flight += 1;
        self.backlog.push_back(entry.user_data(token.to_bits()));
        self.submit_backlog();
    }

    /// Moves what it can into the submission queue.
    fn submit_backlog(&mut self) {
        let mut submission = self.uring.submission();
        while let Some(entry) = self.backlog.front() {
            // SAFETY: every address in an entry is into `lent`, or a buffer owned by it, and stays there until its completion
            // is reaped: accept places, send buffers, places and form of packets, and the bell's bytes are given out again only then, and `Drop` frees
            // them only when nothing is in flight. Descriptors are the ring's own or open as long as the ring.
            if unsafe { submission.push(entry) }.is_err() {
                return;
            }
            self.backlog.pop_front();
        }
    }

    /// Submits what was queued and waits as `wait` says, but not while there is something to reap.
    ///
    /// # Errors
    /// The kernel's, when the ring cannot go on.
    pub fn enter(&mut self, wait: Wait) -> io::Result<()> {
        self.lent.buffers.publish();
        self.lent.packets.iter_mut().for_each(|packets| packets.buffers().publish());
        // Deferred work is no reason not to sleep: the kernel does it before it sleeps. The flag that tells of it may even be stale:
        // set by another core after the work was done here, it stays until there is work again.
        let is_news = !self.reaped.is_empty() || !self.backlog.is_empty() || self.has_completions();
        self.old_news += self.at_once;
        let want = match wait {
            Wait::Sleep | Wait::SleepAtMost(_) if !is_news => self.old_news + 1,
            _ => 0,
        };
        let entered = match wait {
            Wait::SleepAtMost(limit) if want > 0 => {
                let limit = Timespec::from(limit);
                self.uring.submitter().submit_with_args(want, &SubmitArgs::new().timespec(&limit))
            }
            _ => self.uring.submit_and_wait(want),
        };
        self.at_once = 0;
        self.shortages.completions_overflowed += u64::from(self.uring.submission().cq_overflow());
        self.submit_backlog();
        match entered.map_err(|error| (Errno::from_io_error(&error), error)) {
            Ok(_) => Ok(()),
            // A signal; no memory for a request now; completions that must be reaped first; the time is over.
            Err((Some(Errno::INTR | Errno::AGAIN | Errno::BUSY | Errno::TIME), _)) => Ok(()),
            Err((_, error)) => Err(error),
        }
    }

    /// Whether there is something to reap, or perhaps to be had by [`Ring::enter`], beside the sends that completed while they
    /// were submitted. No system call.
    pub fn has_news(&mut self) -> bool {
        self.has_completions() || self.uring.submission().taskrun()
    }

    /// Whether there is something to reap, beside those sends. No system call.
    pub fn has_completions(&mut self) -> bool {
        self.uring.completion().len() > self.old_news
    }

    /// What ran out since this was last asked.
    pub fn take_shortages(&mut self) -> Shortages {
        std::mem::take(&mut self.shortages)
    }

    /// Ends everything in flight; false when the kernel does not let go of something.
    fn quiesce(&mut self) -> bool {
        for _ in 0..QUIESCE_ATTEMPTS {
            while self.next_raw().is_some() {}
            if self.in_flight == 0 {
                return true;
            }
            let everything = opcode::AsyncCancel2::new(CancelBuilder::any().all());
            self.push(everything.build(), Token::new(Purpose::Cancel, 0, 0));
            if self.enter(Wait::Sleep).is_err() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        false
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let is_quiet = self.quiesce();
        // SAFETY: dropped once, here, and not used after.
        unsafe { ManuallyDrop::drop(&mut self.uring) };
        if is_quiet {
            // SAFETY: dropped once, here; nothing is in flight and the ring is closed, so the kernel does not touch it. If
            // something were in flight the memory would be left to the kernel for good.
            unsafe { ManuallyDrop::drop(&mut self.lent) };
        }
    }
}
