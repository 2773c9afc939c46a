//! Load without a clock: as much as is answered, or so many times as much, however fast the machine is.
#![allow(dead_code)] // each test binary uses its part

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Instant,
};

use mvt_proto::{Suite, session::ClientSession};
use rustix::net::sockopt::set_socket_send_buffer_size;

use crate::support::{PATIENCE, Server, seal};

/// A request, and an answer without payload.
const FRAME_BYTES: usize = 44;

/// Answers by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// RESP: verified and executed.
    pub executed: usize,
    /// ERR, LOST, and whatever else.
    pub refused: usize,
}

/// Frames sealed at once. No more: a frame is judged by its age, and is to wait in sockets alone, where that is bounded.
const PIECE: usize = 256;
/// What the kernel keeps of ours before it is the server's, at most a few times this.
const SEND_BYTES: usize = 64 * 1024;

/// One connection with its session, and what it has on its way.
pub struct Source {
    stream: TcpStream,
    session: ClientSession,
    /// Sealed frames, `sent` bytes of which the socket has taken.
    sealed: Vec<u8>,
    sent: usize,
    /// Frames sealed in this run.
    offered: usize,
    rest: Vec<u8>,
    tally: Tally,
}

impl Source {
    pub fn new(server: &Server) -> Self {
        let (wire, session) = server.login(Suite::Hs256);
        wire.stream.set_nonblocking(true).expect("set");
        set_socket_send_buffer_size(&wire.stream, SEND_BYTES).expect("set");
        Self {
            stream: wire.stream,
            session,
            sealed: Vec::new(),
            sent: 0,
            offered: 0,
            rest: Vec::new(),
            tally: Tally::default(),
        }
    }

    fn begin(&mut self) {
        assert_eq!(self.sent, self.sealed.len(), "the last run is over");
        (self.offered, self.tally) = (0, Tally::default());
    }

    fn answered(&self) -> usize {
        self.tally.executed + self.tally.refused
    }

    /// Writes what the socket takes of the first `due` frames.
    fn write(&mut self, due: usize) {
        loop {
            if self.sent == self.sealed.len() {
                self.sealed.clear();
                self.sent = 0;
                for _ in self.offered..due.min(self.offered + PIECE) {
                    let (_, frame) = seal(&mut self.session, b"");
                    self.sealed.extend_from_slice(&frame);
                    self.offered += 1;
                }
                if self.sealed.is_empty() {
                    return;
                }
            }
            match self.stream.write(&self.sealed[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("not written: {error}"),
            }
        }
    }

    fn read(&mut self) {
        let mut buffer = [0; 65536];
        match self.stream.read(&mut buffer) {
            Ok(0) => panic!("the server has closed"),
            Ok(count) => self.rest.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("not read: {error}"),
        }
        let mut whole = 0;
        while let Some([high, low, kind]) = self.rest[whole..].first_chunk() {
            let end = whole + 2 + usize::from(u16::from_be_bytes([*high, *low]));
            if end > self.rest.len() {
                break;
            }
            match kind {
                0x12 => self.tally.executed += 1,
                // A TICKET answers nothing.
                0x14 => {}
                _ => self.tally.refused += 1,
            }
            whole = end;
        }
        self.rest.drain(..whole);
    }
}

/// What a run came to.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    pub tally: Tally,
    /// Executed requests for each second the server spent on a core.
    pub goodput: f64,
    /// Frames that were due and not yet taken or answered, at most.
    pub behind_max: usize,
}

/// Sends `count` frames over each of `sources`, `due` of them when so many were answered, and waits for all answers.
fn run(server: &Server, sources: &mut [Source], count: usize, due: impl Fn(usize) -> usize) -> Outcome {
    sources.iter_mut().for_each(Source::begin);
    let before = server.cpu_ns();
    let (mut behind_max, mut answered_before, mut moved) = (0, 0, Instant::now());
    while sources.iter().any(|source| source.answered() < count) {
        let (mut behind, mut answered) = (0, 0);
        for source in &mut *sources {
            let due = due(source.answered()).min(count);
            source.write(due);
            source.read();
            behind += due - source.answered();
            answered += source.answered();
        }
        behind_max = behind_max.max(behind);
        if answered > answered_before {
            (answered_before, moved) = (answered, Instant::now());
        }
        // However long all of them take.
        assert!(moved.elapsed() < PATIENCE, "every frame is answered");
        // The server may need this core.
        std::thread::yield_now();
    }
    let cpu_s = (server.cpu_ns() - before) as f64 / 1e9;
    let tally = sources.iter().fold(Tally::default(), |sum, source| Tally {
        executed: sum.executed + source.tally.executed,
        refused: sum.refused + source.tally.refused,
    });
    Outcome { tally, goodput: tally.executed as f64 / cpu_s, behind_max }
}

/// Never more than `in_flight` frames of each source on their way: as much as the server does.
pub fn closed_loop(server: &Server, sources: &mut [Source], count: usize, in_flight: usize) -> Outcome {
    run(server, sources, count, |answered| answered + in_flight)
}

/// The same and `times` as many as the server does, as long as there are any: each that is answered lets as many more be due. A rate by the
/// clock would be an overload on some machines, and on others not.
pub fn overload(
    server: &Server,
    sources: &mut [Source],
    count: usize,
    in_flight: usize,
    times: usize,
) -> Outcome {
    run(server, sources, count, |answered| in_flight + times * answered)
}
