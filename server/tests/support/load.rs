//! Load of frames sealed beforehand, so that the generator is much faster than the server: by turns as much as is answered,
//! or as much as is decided.
#![allow(dead_code)] // each test binary uses its part

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use mvt_proto::{Suite, session::ClientSession};

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

/// One connection with its session, and what it has on its way.
pub struct Source {
    stream: TcpStream,
    session: ClientSession,
    /// Sealed frames, `sent` bytes of which the socket has taken.
    sealed: Vec<u8>,
    sent: usize,
    rest: Vec<u8>,
    tally: Tally,
}

impl Source {
    pub fn new(server: &Server) -> Self {
        let (wire, session) = server.login(Suite::Hs256);
        wire.stream.set_nonblocking(true).expect("set");
        Self {
            stream: wire.stream,
            session,
            sealed: Vec::new(),
            sent: 0,
            rest: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Seals the frames of the next run.
    pub fn seal(&mut self, count: usize) {
        self.sealed.clear();
        self.sent = 0;
        self.tally = Tally::default();
        for _ in 0..count {
            let (_, frame) = seal(&mut self.session, b"");
            self.sealed.extend_from_slice(&frame);
        }
    }

    fn answered(&self) -> usize {
        self.tally.executed + self.tally.refused
    }

    fn is_done(&self) -> bool {
        self.answered() * FRAME_BYTES == self.sealed.len()
    }

    /// Writes what the socket takes of the first `due` frames.
    fn write(&mut self, due: usize) {
        let end = (due * FRAME_BYTES).min(self.sealed.len());
        while self.sent < end {
            match self.stream.write(&self.sealed[self.sent..end]) {
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
    pub elapsed: Duration,
    /// Frames that were due and not yet taken or answered, at most.
    pub behind_max: usize,
}

/// Sends `count` frames over each of `sources`, `due` of them by the time given, and waits for all answers.
fn run(
    server: &Server,
    sources: &mut [Source],
    count: usize,
    due: impl Fn(&Source, Duration) -> usize,
) -> Outcome {
    sources.iter_mut().for_each(|source| source.seal(count));
    let (started, before) = (Instant::now(), server.cpu_ns());
    let mut behind_max = 0;
    while !sources.iter().all(Source::is_done) {
        let elapsed = started.elapsed();
        assert!(elapsed < PATIENCE, "every frame is answered");
        let mut behind = 0;
        for source in &mut *sources {
            let due = due(source, elapsed).min(count);
            source.write(due);
            source.read();
            behind += due - source.answered();
        }
        behind_max = behind_max.max(behind);
        // The server may need this core.
        std::thread::yield_now();
    }
    let cpu_s = (server.cpu_ns() - before) as f64 / 1e9;
    let tally = sources.iter().fold(Tally::default(), |sum, source| Tally {
        executed: sum.executed + source.tally.executed,
        refused: sum.refused + source.tally.refused,
    });
    Outcome { tally, goodput: tally.executed as f64 / cpu_s, elapsed: started.elapsed(), behind_max }
}

/// Never more than `in_flight` frames of each source on their way: as much as the server does.
pub fn closed_loop(server: &Server, sources: &mut [Source], count: usize, in_flight: usize) -> Outcome {
    run(server, sources, count, |source, _| source.answered() + in_flight)
}

/// `count` frames of each source in `time`, whatever the server does.
pub fn open_loop(server: &Server, sources: &mut [Source], count: usize, time: Duration) -> Outcome {
    run(server, sources, count, |_, elapsed| {
        (elapsed.as_secs_f64() / time.as_secs_f64() * count as f64) as usize
    })
}
