//! Readiness by epoll: the connection reads and writes itself.

use std::{
    io,
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use mio::{Events, Interest, Poll, Token};

use super::{
    Happening,
    quic::{Buffers, Dialer, QuicLink},
};
use crate::clock::Clock;

/// Events of one poll.
const EVENT_COUNT_MAX: usize = 1_024;

/// One epoll; the token of a connection is its place.
#[derive(Debug)]
pub struct Epoll {
    poll: Poll,
    events: Events,
    clock: Clock,
    /// For packets of QUIC.
    pub(super) buffers: Buffers,
}

impl Epoll {
    pub(super) fn new(clock: Clock) -> io::Result<Self> {
        let events = Events::with_capacity(EVENT_COUNT_MAX);
        Ok(Self { poll: Poll::new()?, events, clock, buffers: Buffers::default() })
    }

    pub(super) fn open(&mut self, stream: TcpStream, place: usize) -> io::Result<mio::net::TcpStream> {
        stream.set_nonblocking(true)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        self.poll.registry().register(&mut stream, Token(place), Interest::READABLE | Interest::WRITABLE)?;
        Ok(stream)
    }

    pub(super) fn dial(&mut self, server: SocketAddr, dialer: &Dialer, place: usize) -> io::Result<QuicLink> {
        let mut link = QuicLink::dial(server, dialer, self.clock)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(link.socket(), Token(place), interest)?;
        Ok(link)
    }

    pub(super) fn wait(
        &mut self,
        timeout_ns: u64,
        mut each: impl FnMut(usize, Happening<'_>),
    ) -> io::Result<()> {
        match self.poll.poll(&mut self.events, Some(Duration::from_nanos(timeout_ns))) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &self.events {
            let Token(place) = event.token();
            let hung_up = event.is_read_closed() || event.is_error();
            each(place, Happening::Ready { readable: event.is_readable() || hung_up, hung_up });
        }
        Ok(())
    }
}
