//! Readiness by epoll: the connection reads and writes itself.

use std::{io, net::TcpStream, time::Duration};

use mio::{Events, Interest, Poll, Token};

use super::Happening;

/// Events of one poll.
const EVENT_COUNT_MAX: usize = 1_024;

/// One epoll; the token of a connection is its place.
#[derive(Debug)]
pub struct Epoll {
    poll: Poll,
    events: Events,
}

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { poll: Poll::new()?, events: Events::with_capacity(EVENT_COUNT_MAX) })
    }

    pub(super) fn open(&mut self, stream: TcpStream, place: usize) -> io::Result<mio::net::TcpStream> {
        stream.set_nonblocking(true)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        self.poll.registry().register(&mut stream, Token(place), Interest::READABLE | Interest::WRITABLE)?;
        Ok(stream)
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
