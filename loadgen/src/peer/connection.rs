//! One connection to a peer. A turn is at most one read and one write, as in [`crate::connection`].

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use mio::{Interest, Registry, Token};

use super::exchange::{ANSWER_BYTES_MAX, Cut, Exchange};
use crate::connection::{READ_BYTES_MAX, WRITE_BYTES_MAX};

/// A peer that does not accept in this time is unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// What one turn brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answers {
    /// Right answers.
    pub right: u64,
    /// Whole answers that were not right.
    pub wrong: u64,
}

/// Why a connection ended, which ends the run.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The peer closed the connection.
    #[error("the peer closed the connection")]
    Closed,
    /// Bytes that are no answer of the protocol, or an answer to no request.
    #[error("the peer sent what is no answer: {0:?}")]
    Malformed(String),
}

/// A connection. Bytes `..filled` of `inbox` were read and not yet cut.
#[derive(Debug)]
pub struct Connection {
    stream: mio::net::TcpStream,
    inbox: Box<[u8]>,
    filled: usize,
    /// Requests that wait for their answer; those not wholly written count.
    waiting: usize,
    /// Bytes of them not yet written; what comes first is the rest of a request.
    unsent_bytes: usize,
    /// The kernel may hold more bytes than were read (readiness is edge-triggered).
    readable: bool,
    blocked: bool,
}

/// Whole requests one after the other, from which every write is taken.
#[derive(Debug)]
pub struct Pattern {
    bytes: Vec<u8>,
    request_bytes: usize,
}

impl Pattern {
    /// `request` as often as `in_flight` needs, within one write.
    #[must_use]
    pub fn new(request: &[u8], in_flight: usize) -> Self {
        let count = (WRITE_BYTES_MAX / request.len()).clamp(1, in_flight.max(1));
        Self { bytes: request.repeat(count), request_bytes: request.len() }
    }

    /// What to write next, when `unsent_bytes` are left: at most all of them.
    fn next(&self, unsent_bytes: usize) -> &[u8] {
        let written_of_first = (self.request_bytes - unsent_bytes % self.request_bytes) % self.request_bytes;
        let rest = &self.bytes[written_of_first..];
        &rest[..rest.len().min(unsent_bytes)]
    }
}

impl Connection {
    /// Connects and registers with `registry`.
    ///
    /// # Errors
    /// When there is no connection.
    pub fn open(address: SocketAddr, registry: &Registry, token: Token) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            stream,
            inbox: vec![0; READ_BYTES_MAX + ANSWER_BYTES_MAX].into_boxed_slice(),
            filled: 0,
            waiting: 0,
            unsent_bytes: 0,
            readable: false,
            blocked: false,
        })
    }

    /// Requests that wait.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// The kernel said there is something to read.
    pub const fn note_readable(&mut self) {
        self.readable = true;
    }

    /// The kernel said there is room to write.
    pub const fn note_writable(&mut self) {
        self.blocked = false;
    }

    /// One read, then requests up to `in_flight` in one write. `true`: there is more to do without a new event.
    ///
    /// # Errors
    /// [`ConnectionError`], which ends the run.
    pub fn turn(
        &mut self,
        exchange: &dyn Exchange,
        pattern: &Pattern,
        in_flight: usize,
        answers: &mut Answers,
    ) -> Result<bool, ConnectionError> {
        if self.readable {
            self.receive(exchange, answers)?;
        }
        // As with an MVT server, nothing new is written before the kernel has taken what was.
        if self.unsent_bytes == 0 {
            let due = in_flight.saturating_sub(self.waiting);
            self.waiting += due;
            self.unsent_bytes = due * pattern.request_bytes;
        }
        self.flush(pattern)?;
        Ok(self.readable || self.unsent_bytes > 0 && !self.blocked)
    }

    fn receive(&mut self, exchange: &dyn Exchange, answers: &mut Answers) -> Result<(), ConnectionError> {
        let room = &mut self.inbox[self.filled..self.filled + READ_BYTES_MAX];
        match self.stream.read(room) {
            Ok(0) => return Err(ConnectionError::Closed),
            Ok(count) => {
                // A short read has emptied the kernel's buffer; the next bytes make a new event.
                self.readable = count == READ_BYTES_MAX;
                self.filled += count;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let mut start = 0;
        loop {
            let rest = &self.inbox[start..self.filled];
            let (length, count) = match exchange.cut(rest) {
                Cut::Right(length) if self.waiting > 0 => (length, &mut answers.right),
                Cut::Wrong(length) if self.waiting > 0 => (length, &mut answers.wrong),
                Cut::Partial => break,
                Cut::Right(_) | Cut::Wrong(_) | Cut::Malformed => return Err(malformed(rest)),
            };
            *count += 1;
            self.waiting -= 1;
            start += length;
        }
        self.inbox.copy_within(start..self.filled, 0);
        self.filled -= start;
        Ok(())
    }

    fn flush(&mut self, pattern: &Pattern) -> io::Result<()> {
        if self.unsent_bytes == 0 || self.blocked {
            return Ok(());
        }
        let bytes = pattern.next(self.unsent_bytes);
        match self.stream.write(bytes) {
            Ok(count) => {
                self.blocked = count < bytes.len();
                self.unsent_bytes -= count;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.blocked = true,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn malformed(bytes: &[u8]) -> ConnectionError {
    ConnectionError::Malformed(String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_of_any_size_make_whole_requests() {
        let request = b"0123456";
        for in_flight in [1, 3, 10] {
            let pattern = Pattern::new(request, in_flight);
            for step in 1..=pattern.bytes.len() {
                let (mut unsent, mut stream) = (10 * request.len(), Vec::new());
                while unsent > 0 {
                    let next = pattern.next(unsent);
                    let taken = next.len().min(step);
                    stream.extend_from_slice(&next[..taken]);
                    unsent -= taken;
                }
                assert_eq!(stream, request.repeat(10), "{in_flight} in flight, {step} bytes a write");
            }
        }
    }

    #[test]
    fn a_pattern_is_at_most_one_write() {
        let pattern = Pattern::new(&[0; 1_000], 65_536);
        assert!(pattern.bytes.len() <= WRITE_BYTES_MAX && pattern.bytes.len() > WRITE_BYTES_MAX - 1_000);
    }
}
