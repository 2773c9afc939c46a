//! One caller of the admin socket: one request at a time, bounded in bytes and time.

use std::{
    io::{ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use rustix::event::PollFlags;
use zeroize::Zeroize;

use crate::limits::{ADMIN_PEER_MS, ADMIN_REQUEST_BYTES_MAX};

/// A caller. What it is told may be secret, so its buffers are wiped.
#[derive(Debug)]
pub struct Peer {
    stream: UnixStream,
    uid: u32,
    input: Vec<u8>,
    /// Bytes of the input known to hold no end of line.
    looked: usize,
    output: Vec<u8>,
    written: usize,
    deadline: Instant,
    is_done: bool,
}

impl Peer {
    /// A caller that just connected.
    #[must_use]
    pub fn new(stream: UnixStream, uid: u32, now: Instant) -> Self {
        let deadline = now + Duration::from_millis(ADMIN_PEER_MS);
        Self {
            stream,
            uid,
            input: Vec::new(),
            looked: 0,
            output: Vec::new(),
            written: 0,
            deadline,
            is_done: false,
        }
    }

    /// The user of its process.
    #[must_use]
    pub const fn uid(&self) -> u32 {
        self.uid
    }

    /// To wait on.
    #[must_use]
    pub const fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// What is waited for: an answer is written before the next request is read.
    #[must_use]
    pub const fn interest(&self) -> PollFlags {
        if self.output.is_empty() { PollFlags::IN } else { PollFlags::OUT }
    }

    /// Gives it the time that we did not look.
    pub fn make_up_for(&mut self, busy: Duration) {
        self.deadline += busy;
    }

    /// Whether it is to be forgotten.
    #[must_use]
    pub fn is_done(&self, now: Instant) -> bool {
        self.is_done || now >= self.deadline
    }

    /// Reads what is there; a whole request, without its end of line, when there is one.
    pub fn read(&mut self) -> Option<Vec<u8>> {
        let mut buffer = [0; 4096];
        while self.output.is_empty() {
            if let Some(end) = self.input[self.looked..].iter().position(|byte| *byte == b'\n') {
                let rest = self.input.split_off(self.looked + end + 1);
                self.looked = 0;
                let mut line = std::mem::replace(&mut self.input, rest);
                line.pop();
                return Some(line);
            }
            self.looked = self.input.len();
            if self.input.len() >= ADMIN_REQUEST_BYTES_MAX {
                tracing::warn!(uid = self.uid, "admin socket: a request beyond its bound");
                self.is_done = true;
                return None;
            }
            let room = buffer.len().min(ADMIN_REQUEST_BYTES_MAX - self.input.len());
            match self.stream.read(&mut buffer[..room]) {
                Ok(0) => self.is_done = true,
                Ok(length) => {
                    self.input.extend_from_slice(&buffer[..length]);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => self.is_done = true,
            }
            return None;
        }
        None
    }

    /// Begins to answer with `line`.
    pub fn answer(&mut self, line: Vec<u8>, now: Instant) {
        self.output = line;
        self.output.push(b'\n');
        self.written = 0;
        self.deadline = now + Duration::from_millis(ADMIN_PEER_MS);
        self.write();
    }

    /// Writes what the socket takes.
    pub fn write(&mut self) {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(length) => self.written += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    self.is_done = true;
                    return;
                }
            }
        }
        self.output.zeroize();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.output.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_not_cut_off_for_what_another_asked() {
        let (stream, _other) = UnixStream::pair().unwrap();
        let now = Instant::now();
        let mut peer = Peer::new(stream, 0, now);
        let deadline = now + Duration::from_millis(ADMIN_PEER_MS);
        assert!(peer.is_done(deadline));
        peer.make_up_for(Duration::from_secs(3));
        assert!(!peer.is_done(deadline) && peer.is_done(deadline + Duration::from_secs(3)));
    }
}
