//! One connection of a flood, made anew whenever the server has enough of it.

use std::{
    net::{SocketAddr, SocketAddrV4},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, recv, send, socket_with,
        sockopt::{set_socket_linger, set_socket_reuseaddr},
    },
};

/// How long one may take to be there.
const CONNECT_PATIENCE: Duration = Duration::from_millis(50);

/// Where it stands.
#[derive(Debug, Default)]
pub(super) struct Line {
    socket: Option<OwnedFd>,
    begun: Option<Instant>,
    at: usize,
}

impl Line {
    /// Connects from `source` unless it is connected; whether it did.
    pub(super) fn open(&mut self, source: SocketAddrV4, target: SocketAddr) -> bool {
        if self.socket.is_some() {
            return false;
        }
        self.socket = Self::connect(source, target).ok();
        self.begun = Some(Instant::now());
        self.at = 0;
        self.socket.is_some()
    }

    fn connect(source: SocketAddrV4, target: SocketAddr) -> rustix::io::Result<OwnedFd> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        set_socket_reuseaddr(&socket, true)?;
        // A reset at the end: its port can be had again at once.
        set_socket_linger(&socket, Some(Duration::ZERO))?;
        bind(&socket, &source)?;
        match connect(&socket, &target) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
            Err(error) => Err(error),
        }
    }

    /// Ends it.
    pub(super) fn close(&mut self) {
        self.socket = None;
    }

    /// Takes what was answered; `None` when the server has closed. Unless it is stubborn: then it goes on as if it had not.
    pub(super) fn answers<'a>(&mut self, room: &'a mut [u8], is_stubborn: bool) -> Option<&'a [u8]> {
        let socket = self.socket.as_ref()?;
        match recv(socket, &mut *room, RecvFlags::empty()) {
            Ok((0, _)) if is_stubborn => Some(&[]),
            Ok((0, _)) => None,
            Ok((count, _)) => Some(&room[..count]),
            Err(Errno::AGAIN | Errno::NOTCONN) => Some(&[]),
            Err(_) => None,
        }
    }

    /// Sends what the socket takes of `block`, again and again; bytes. `None` when that is over, or it never came to be.
    pub(super) fn push(&mut self, block: &[u8]) -> Option<usize> {
        let socket = self.socket.as_ref()?;
        match send(socket, &block[self.at..], SendFlags::NOSIGNAL) {
            Ok(count) => {
                self.at = (self.at + count) % block.len();
                self.begun = None;
                Some(count)
            }
            Err(Errno::AGAIN | Errno::NOTCONN) => {
                self.begun.is_none_or(|then| then.elapsed() < CONNECT_PATIENCE).then_some(0)
            }
            Err(_) => None,
        }
    }
}
