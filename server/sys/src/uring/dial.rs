//! Lines of a client: connections that the caller makes for the ring, which owns their descriptors.

use std::{
    io,
    net::{Shutdown, TcpStream},
    os::{fd::AsRawFd, unix::net::UnixStream},
};

use io_uring::{
    opcode,
    squeue::Entry,
    types::{Fd, Fixed},
};
use rustix::net::SendFlags;

use super::{LineId, Ring, RingOptions, buffers, lines::Line};

/// What an operation on a line names: its direct descriptor, or the open file the line owns. An open file is closed only
/// when nothing is in flight on it ([`Ring::close`] asserts so), so its number cannot be another's in a queued operation.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    Direct(Fixed),
    Owned(Fd),
}

impl Target {
    pub(super) fn of(index: u32, line: &Line) -> Self {
        match &line.stream {
            None => Self::Direct(Fixed(index)),
            Some(stream) => Self::Owned(Fd(stream.as_raw_fd())),
        }
    }

    pub(super) fn receive(self) -> Entry {
        match self {
            Self::Direct(line) => opcode::RecvMulti::new(line, buffers::LINES.group).build(),
            Self::Owned(line) => opcode::RecvMulti::new(line, buffers::LINES.group).build(),
        }
    }

    /// Of one buffer at most.
    pub(super) fn receive_once(self) -> Entry {
        let entry = match self {
            Self::Direct(line) => {
                opcode::Recv::new(line, std::ptr::null_mut(), 0).buf_group(buffers::LINES.group).build()
            }
            Self::Owned(line) => {
                opcode::Recv::new(line, std::ptr::null_mut(), 0).buf_group(buffers::LINES.group).build()
            }
        };
        entry.flags(io_uring::squeue::Flags::BUFFER_SELECT)
    }

    pub(super) fn send(self, bytes: *const u8, length: u32, flags: SendFlags) -> Entry {
        let flags = flags.bits().cast_signed();
        match self {
            Self::Direct(line) => opcode::Send::new(line, bytes, length).flags(flags).build(),
            Self::Owned(line) => opcode::Send::new(line, bytes, length).flags(flags).build(),
        }
    }

    pub(super) fn shut_down(self) -> Entry {
        let how = Shutdown::Write as i32;
        match self {
            Self::Direct(line) => opcode::Shutdown::new(line, how).build(),
            Self::Owned(line) => opcode::Shutdown::new(line, how).build(),
        }
    }
}

impl Ring {
    /// A ring for a client: it has no listener, and its lines come by [`Ring::adopt`]. `options.lines_max` bounds nothing
    /// here: the caller opens the files.
    ///
    /// # Errors
    /// The kernel's: see [`super::probe`].
    pub fn dialer(bell: UnixStream, options: RingOptions) -> io::Result<Self> {
        Self::build(Vec::new(), bell, None, RingOptions { lines_max: 1, ..options })
    }

    /// Takes over `stream`, connected or about to be, as a line; nothing is in flight on it yet.
    ///
    /// # Errors
    /// The kernel's, when the stream cannot be set to block: the ring waits for it, which it does not for one that does not
    /// block.
    ///
    /// # Panics
    /// On a ring with a listener: the kernel names its lines.
    pub fn adopt(&mut self, stream: TcpStream) -> io::Result<LineId> {
        assert!(!self.has_listeners(), "lines of a listener are accepted");
        stream.set_nonblocking(false)?;
        Ok(self.lent.lines.adopt(stream))
    }

    /// Ends an adopted `line` in both directions: what is in flight on it completes soon, and then it may be closed.
    pub fn hang_up(&mut self, line: LineId) {
        if let Some(stream) = &self.lent.lines.open_mut(line).stream {
            // It fails only when the peer has ended it already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Whether operations are queued that the kernel has not seen: [`Ring::enter`] would submit them.
    pub fn is_unsubmitted(&mut self) -> bool {
        !self.uring.submission().is_empty()
    }
}
