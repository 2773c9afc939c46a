//! A non-blocking socket and its two buffers, which are reused for the whole run.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    time::Duration,
};

use mio::{Interest, Registry, Token};
use mvt_proto::{
    Reject, Role,
    constants::FRAME_BYTES_MAX,
    framer::{self, Cut},
};

/// Most bytes one read takes.
pub const READ_BYTES_MAX: usize = 64 * 1024;
/// Sealing stops here until the socket has taken what is there: bounds the outbox.
pub const WRITE_BYTES_MAX: usize = 128 * 1024;
/// A target that does not accept in this time is unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A connected socket. Bytes `..filled` of `inbox` were read and not yet cut; `written..` of `outbox` are not yet sent.
#[derive(Debug)]
pub(super) struct Socket {
    stream: mio::net::TcpStream,
    inbox: Box<[u8]>,
    filled: usize,
    /// Frames to send are appended here.
    pub(super) outbox: Vec<u8>,
    written: usize,
    /// The kernel may hold more bytes than were read (readiness is edge-triggered).
    readable: bool,
    /// The peer has finished sending: the end is read without a further event.
    hung_up: bool,
    /// The last write left something.
    blocked: bool,
}

/// What one read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filled {
    Bytes,
    Nothing,
    Closed,
}

impl Socket {
    pub(super) fn connect(address: SocketAddr, registry: &Registry, token: Token) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            stream,
            inbox: vec![0; READ_BYTES_MAX + FRAME_BYTES_MAX].into_boxed_slice(),
            filled: 0,
            outbox: Vec::with_capacity(WRITE_BYTES_MAX),
            written: 0,
            readable: false,
            hung_up: false,
            blocked: false,
        })
    }

    pub(super) fn local_ip(&self) -> io::Result<IpAddr> {
        Ok(self.stream.local_addr()?.ip())
    }

    /// One read of at most [`READ_BYTES_MAX`] bytes.
    pub(super) fn fill(&mut self) -> io::Result<Filled> {
        let room = &mut self.inbox[self.filled..self.filled + READ_BYTES_MAX];
        match self.stream.read(room) {
            Ok(0) => Ok(Filled::Closed),
            Ok(count) => {
                // A short read has emptied the kernel's buffer; the next bytes make a new event.
                self.readable = count == READ_BYTES_MAX || self.hung_up;
                self.filled += count;
                Ok(Filled::Bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(Filled::Nothing)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Filled::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Cuts the read bytes into whole frames for `each`; what is left of a frame waits at the front of the inbox.
    pub(super) fn cut_frames<E: From<Reject>>(
        inbox: &mut Inbox<'_>,
        mut each: impl FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut start = 0;
        while let Cut::Frame(bytes) = framer::cut(&inbox.bytes[start..*inbox.filled], Role::Client)? {
            each(&mut inbox.bytes[start..start + bytes])?;
            start += bytes;
        }
        inbox.bytes.copy_within(start..*inbox.filled, 0);
        *inbox.filled -= start;
        Ok(())
    }

    /// The parts of the socket that reading and answering need at the same time.
    pub(super) fn split(&mut self) -> (Inbox<'_>, &mut Vec<u8>) {
        (Inbox { bytes: &mut self.inbox, filled: &mut self.filled }, &mut self.outbox)
    }

    pub(super) const fn note_readable(&mut self, hung_up: bool) {
        self.readable = true;
        self.hung_up |= hung_up;
    }

    pub(super) const fn is_readable(&self) -> bool {
        self.readable
    }

    /// Whether the kernel did not take all of the last write.
    pub(super) const fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// One write of what is in the outbox; the rest stays for the next turn.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.outbox.is_empty() {
            return Ok(());
        }
        match self.stream.write(&self.outbox[self.written..]) {
            Ok(count) => self.written += count,
            Err(error) if is_transient(&error) => {}
            Err(error) => return Err(error),
        }
        self.blocked = self.written < self.outbox.len();
        if !self.blocked {
            self.outbox.clear();
            self.written = 0;
        }
        Ok(())
    }
}

/// The read bytes of a socket.
#[derive(Debug)]
pub(super) struct Inbox<'a> {
    bytes: &'a mut [u8],
    filled: &'a mut usize,
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
