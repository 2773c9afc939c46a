//! What moves the bytes of a worker's connections: an io_uring of our own, or epoll where there is none.
//!
//! - [`Io`]: one for each worker; opens and closes links, and waits for what happens on them.
//! - [`Socket`]: one connection: its link, what was read and not yet cut, what is still to be written.
//! - [`Carrier`]: what connections are of: TCP, or [`quic`], which is read by epoll.
//! - `uring`, `epoll`: the two ways. [`inbox`]: read bytes.

mod epoll;
pub mod inbox;
pub mod quic;
mod socket;
mod uring;

use std::{
    io,
    net::{SocketAddr, TcpStream},
};

use clap::ValueEnum;
use mvt_sys::uring::LineId;

pub use self::socket::{Filled, Socket};
use self::{
    epoll::Epoll,
    quic::{Dialer, QuicLink},
    uring::Uring,
};
use crate::clock::Clock;

/// Most bytes one read takes.
pub const READ_BYTES_MAX: usize = 64 * 1024;
/// Sealing stops here until the socket has taken what is there: bounds the outbox.
pub const WRITE_BYTES_MAX: usize = 128 * 1024;

/// Which way is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Choice {
    /// io_uring if the kernel gives it, else epoll
    #[default]
    Auto,
    /// io_uring or nothing
    Uring,
    /// epoll
    Epoll,
}

/// Which way is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// One ring for each worker.
    Uring,
    /// One epoll for each worker.
    Epoll,
}

impl Choice {
    /// The way to take, and for the report why it is epoll when it was not asked for.
    ///
    /// # Errors
    /// The kernel's, when io_uring is insisted on and not given.
    pub fn decide(self) -> io::Result<(Backend, String)> {
        match (self, mvt_sys::uring::probe()) {
            (Self::Epoll, _) => Ok((Backend::Epoll, "epoll".to_owned())),
            (_, Ok(())) => Ok((Backend::Uring, "io_uring".to_owned())),
            (Self::Uring, Err(error)) => Err(error),
            (Self::Auto, Err(error)) => {
                Ok((Backend::Epoll, format!("epoll ({})", mvt_sys::probe::explain(&error))))
            }
        }
    }
}

/// What carries the bytes of connections.
#[derive(Debug, Clone)]
pub enum Carrier {
    /// TCP.
    Tcp,
    /// QUIC, made so.
    Quic(Box<Dialer>),
}

impl Carrier {
    /// The way to take when `choice` is asked for, and in words.
    ///
    /// # Errors
    /// As [`Choice::decide`].
    pub fn decide(&self, choice: Choice) -> io::Result<(Backend, String)> {
        match self {
            Self::Tcp => choice.decide(),
            Self::Quic(_) => Ok((Backend::Epoll, "epoll, with GSO and GRO".to_owned())),
        }
    }

    /// The name on the command line and in reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Quic(dialer) => match dialer.way() {
                quic::Way::Stream => "quic-stream",
                quic::Way::Datagrams => "quic-datagram",
                quic::Way::StreamEach { .. } => "quic-stream-each",
            },
        }
    }

    /// Whether what is sent may be lost on its way.
    #[must_use]
    pub fn loses(&self) -> bool {
        matches!(self, Self::Quic(dialer) if dialer.way() == quic::Way::Datagrams)
    }
}

/// One connection as its way names it.
#[derive(Debug)]
pub enum Link {
    /// Of epoll.
    Stream(mio::net::TcpStream),
    /// Of the ring.
    Line(LineId),
    /// Of QUIC, by epoll.
    Quic(Box<QuicLink>),
}

/// What happened on the connection of a place.
#[derive(Debug)]
pub enum Happening<'a> {
    /// The kernel has something to read, or room to write.
    Ready {
        /// To read.
        readable: bool,
        /// The peer has finished sending, or the connection is broken.
        hung_up: bool,
    },
    /// Bytes that were read.
    Received(&'a [u8]),
    /// A write is over; its buffer, empty.
    Sent(Vec<u8>, io::Result<()>),
    /// Nothing more will be read.
    Ended(Option<io::Error>),
}

/// What moves the bytes of one worker.
#[derive(Debug)]
pub enum Io {
    /// By readiness.
    Epoll(Epoll),
    /// By completion.
    Uring(Box<Uring>),
}

impl Io {
    /// For the calling thread.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(backend: Backend, clock: Clock) -> io::Result<Self> {
        Ok(match backend {
            Backend::Epoll => Self::Epoll(Epoll::new(clock)?),
            Backend::Uring => Self::Uring(Box::new(Uring::new(clock)?)),
        })
    }

    /// Takes over `stream`, connected or about to be, for `place`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(&mut self, stream: TcpStream, place: usize) -> io::Result<Link> {
        match self {
            Self::Epoll(epoll) => epoll.open(stream, place).map(Link::Stream),
            Self::Uring(uring) => uring.open(stream, place).map(Link::Line),
        }
    }

    /// Begins a QUIC connection for `place`.
    ///
    /// # Errors
    /// The kernel's; [`io::ErrorKind::Unsupported`] on a ring, which [`Carrier::decide`] never gives.
    pub fn dial(&mut self, server: SocketAddr, dialer: &Dialer, place: usize) -> io::Result<Link> {
        match self {
            Self::Epoll(epoll) => epoll.dial(server, dialer, place).map(|link| Link::Quic(Box::new(link))),
            Self::Uring(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Ends a connection; nothing of it is heard any more.
    pub fn close(&mut self, link: Link) {
        match (self, link) {
            (Self::Uring(uring), Link::Line(line)) => uring.close(line),
            (_, Link::Quic(mut quic)) => quic.close(),
            _ => {}
        }
    }

    /// Lets the kernel see what was queued, without waiting.
    ///
    /// # Errors
    /// The kernel's.
    pub fn submit(&mut self) -> io::Result<()> {
        match self {
            Self::Epoll(_) => Ok(()),
            Self::Uring(uring) => uring.submit(),
        }
    }

    /// Waits for at most `timeout_ns` and tells `each` what happened, place by place. Without anything to submit or to
    /// reap, 0 is no system call on a ring.
    ///
    /// # Errors
    /// The kernel's.
    pub fn wait(&mut self, timeout_ns: u64, each: impl FnMut(usize, Happening<'_>)) -> io::Result<()> {
        match self {
            Self::Epoll(epoll) => epoll.wait(timeout_ns, each),
            Self::Uring(uring) => uring.wait(timeout_ns, each),
        }
    }

    /// When the bytes that the last wait brought had arrived; `None` where each read tells its own time.
    #[must_use]
    pub fn arrived_ns(&self) -> Option<u64> {
        match self {
            Self::Epoll(_) => None,
            Self::Uring(uring) => Some(uring.arrived_ns()),
        }
    }
}
