//! Completions from a ring of our own (`mvt_sys::uring`): one multishot receive for each connection, one send at a time,
//! one system call that submits what is queued while it waits.

use std::{io, net::TcpStream, os::unix::net::UnixStream, time::Duration};

use mvt_sys::uring::{Completion, LineId, ReceiveEnd, Ring, RingOptions, Wait};

use super::Happening;
use crate::clock::Clock;

/// A sleep without a nearer end is ended by this tick.
const TICK: Duration = Duration::from_millis(50);

/// The ring of one worker.
pub struct Uring {
    ring: Ring,
    /// The place of each line, by its index; none when the line is being closed.
    places: Vec<Option<(LineId, usize)>>,
    /// Lines to be closed when nothing is in flight on them any more.
    closing: Vec<LineId>,
    clock: Clock,
    arrived_ns: u64,
    /// Nobody rings it; the ring waits on the other end.
    _bell: UnixStream,
}

impl std::fmt::Debug for Uring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Uring").field("closing", &self.closing).finish_non_exhaustive()
    }
}

impl Uring {
    pub(super) fn new(clock: Clock) -> io::Result<Self> {
        let (bell, waiter) = UnixStream::pair()?;
        waiter.set_nonblocking(true)?;
        let ring = Ring::dialer(waiter, RingOptions::new(1, TICK))?;
        let (places, closing) = (Vec::new(), Vec::new());
        Ok(Self { ring, places, closing, clock, arrived_ns: 0, _bell: bell })
    }

    pub(super) fn open(&mut self, stream: TcpStream, place: usize) -> io::Result<LineId> {
        let line = self.ring.adopt(stream)?;
        if line.index() >= self.places.len() {
            self.places.resize(line.index() + 1, None);
        }
        self.places[line.index()] = Some((line, place));
        self.ring.receive(line);
        Ok(line)
    }

    pub(super) fn close(&mut self, line: LineId) {
        self.places[line.index()] = None;
        self.ring.hang_up(line);
        self.closing.push(line);
    }

    /// Sends all of `buffer`, which comes back with [`Happening::Sent`].
    pub(super) fn send(&mut self, line: LineId, buffer: Vec<u8>) {
        self.ring.send(line, buffer);
    }

    pub(super) fn submit(&mut self) -> io::Result<()> {
        if self.ring.is_unsubmitted() { self.ring.enter(Wait::Poll) } else { Ok(()) }
    }

    pub(super) const fn arrived_ns(&self) -> u64 {
        self.arrived_ns
    }

    pub(super) fn wait(
        &mut self,
        timeout_ns: u64,
        mut each: impl FnMut(usize, Happening<'_>),
    ) -> io::Result<()> {
        let timeout = Duration::from_nanos(timeout_ns);
        if timeout >= TICK {
            self.ring.enter(Wait::Sleep)?;
        } else if timeout_ns > 0 {
            self.ring.enter(Wait::SleepAtMost(timeout))?;
        } else if self.ring.is_unsubmitted() || self.ring.has_news() {
            self.ring.enter(Wait::Poll)?;
        }
        // What is reaped now had arrived by now; the time its handling takes is not its latency.
        self.arrived_ns = self.clock.now_ns();
        while let Some(completion) = self.ring.next_completion() {
            self.take(completion, &mut each);
        }
        self.let_go();
        Ok(())
    }

    fn take(&mut self, completion: Completion, each: &mut impl FnMut(usize, Happening<'_>)) {
        match completion {
            Completion::Received { line, filled, is_armed } => {
                let place = self.place_of(line);
                if let Some(place) = place {
                    each(place, Happening::Received(self.ring.bytes(&filled)));
                }
                self.ring.recycle(filled);
                if !is_armed && place.is_some() {
                    self.ring.receive(line);
                }
            }
            Completion::ReceiveEnded { line, end } => {
                let Some(place) = self.place_of(line) else { return };
                match end {
                    ReceiveEnd::Stopped => self.ring.receive(line),
                    ReceiveEnd::EndOfStream => each(place, Happening::Ended(None)),
                    ReceiveEnd::Broken(error) => each(place, Happening::Ended(Some(error))),
                }
            }
            Completion::Sent { line, buffer, result } => {
                if let Some(place) = self.place_of(line) {
                    each(place, Happening::Sent(buffer, result));
                }
            }
            Completion::Accepted { .. }
            | Completion::AcceptFailed(_)
            | Completion::ShutDown { .. }
            | Completion::Packets(_)
            | Completion::PacketsFailed(_)
            | Completion::PacketsUnsent { .. }
            | Completion::Readable
            | Completion::Rung
            | Completion::Ticked => {}
        }
    }

    fn place_of(&self, line: LineId) -> Option<usize> {
        let (name, place) = (*self.places.get(line.index())?)?;
        (name == line).then_some(place)
    }

    /// Closes the lines on which nothing is in flight any more.
    fn let_go(&mut self) {
        let ring = &mut self.ring;
        self.closing.retain(|line| {
            let is_idle = ring.is_idle(*line);
            if is_idle {
                ring.close(*line);
            }
            !is_idle
        });
    }
}
