//! One connection: its link, its two buffers, which are reused for the whole run.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    time::Duration,
};

use super::{Carrier, Happening, Io, Link, READ_BYTES_MAX, WRITE_BYTES_MAX, inbox::Inbox};

/// A target that does not accept in this time is unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A connected socket.
#[derive(Debug)]
pub struct Socket {
    link: Option<Link>,
    local_ip: IpAddr,
    /// What was read.
    pub inbox: Inbox,
    /// Bytes to write are appended here.
    pub outbox: Vec<u8>,
    /// The outbox while a ring has the other one.
    spare: Vec<u8>,
    /// Bytes of the outbox that epoll or QUIC has written.
    written: usize,
    /// There are bytes, or an end, that [`Self::fill`] has not given yet; of epoll, there may be.
    readable: bool,
    /// The peer has finished sending: the end is read without a further event.
    hung_up: bool,
    /// The last write left something, or a ring has it still.
    blocked: bool,
    /// Why the connection is broken.
    failure: Option<io::Error>,
}

/// What one read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    /// Something.
    Bytes,
    /// Nothing now.
    Nothing,
    /// The end.
    Closed,
}

impl Socket {
    /// Connects, by QUIC without waiting for it: it is a write that is blocked until then. A rest of a frame or answer has at
    /// most `rest_bytes_max`.
    ///
    /// # Errors
    /// When there is no connection in three seconds.
    pub fn connect(
        address: SocketAddr,
        carrier: &Carrier,
        rest_bytes_max: usize,
        io: &mut Io,
        place: usize,
    ) -> io::Result<Self> {
        let (link, local_ip) = match carrier {
            Carrier::Tcp => {
                let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
                stream.set_nodelay(true)?;
                let local_ip = stream.local_addr()?.ip();
                (io.open(stream, place)?, local_ip)
            }
            Carrier::Quic(dialer) => {
                let link = io.dial(address, dialer, place)?;
                let Link::Quic(quic) = &link else { unreachable!("it was dialled") };
                let local_ip = quic.local_ip()?;
                (link, local_ip)
            }
        };
        let blocked = matches!(link, Link::Quic(_));
        Ok(Self {
            link: Some(link),
            local_ip,
            inbox: Inbox::new(rest_bytes_max),
            outbox: Vec::with_capacity(WRITE_BYTES_MAX),
            spare: Vec::with_capacity(WRITE_BYTES_MAX),
            written: 0,
            readable: false,
            hung_up: false,
            blocked,
            failure: None,
        })
    }

    /// Ends the connection and begins another one to `address`, without waiting for it: it is a write that is blocked
    /// until then. Nothing may be on its way.
    ///
    /// # Errors
    /// When there is no new socket.
    pub fn reconnect(
        &mut self,
        address: SocketAddr,
        carrier: &Carrier,
        io: &mut Io,
        place: usize,
    ) -> io::Result<()> {
        self.close(io);
        self.link = Some(match carrier {
            Carrier::Tcp => {
                let stream = mio::net::TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                io.open(stream.into(), place)?
            }
            Carrier::Quic(dialer) => io.dial(address, dialer, place)?,
        });
        self.inbox.clear();
        self.outbox.clear();
        self.written = 0;
        let blocked = matches!(self.link, Some(Link::Quic(_)));
        (self.readable, self.hung_up, self.blocked, self.failure) = (false, false, blocked, None);
        Ok(())
    }

    /// Ends the connection.
    pub fn close(&mut self, io: &mut Io) {
        if let Some(link) = self.link.take() {
            io.close(link);
        }
    }

    /// This end's address.
    #[must_use]
    pub const fn local_ip(&self) -> IpAddr {
        self.local_ip
    }

    /// What logins on this connection are bound to: nothing of TCP; `None` while there is no QUIC connection yet.
    #[must_use]
    pub fn channel_binding(&self) -> Option<&[u8]> {
        match &self.link {
            Some(Link::Quic(quic)) => quic.channel_binding().map(|binding| &binding[..]),
            _ => Some(&[]),
        }
    }

    /// When [`Self::flush`] is to be called although nothing happened; of QUIC alone.
    #[must_use]
    #[inline]
    pub fn deadline_ns(&self) -> Option<u64> {
        match &self.link {
            Some(Link::Quic(quic)) => quic.deadline_ns(),
            _ => None,
        }
    }

    /// The round trip as QUIC knows it.
    #[must_use]
    pub fn rtt_ns(&self) -> u64 {
        match &self.link {
            Some(Link::Quic(quic)) => quic.rtt_ns(),
            _ => 0,
        }
    }

    /// Notes what happened; whether it brought something to read.
    pub fn happen(&mut self, happening: Happening<'_>) -> bool {
        match happening {
            Happening::Ready { readable, hung_up } => {
                self.readable |= readable;
                // Of a UDP socket it is an error to be read, not the end.
                self.hung_up |= hung_up && !matches!(self.link, Some(Link::Quic(_)));
                true
            }
            Happening::Received(bytes) => {
                self.inbox.take(bytes);
                self.readable = true;
                true
            }
            Happening::Sent(buffer, result) => {
                self.spare = buffer;
                self.blocked = false;
                self.failure = result.err();
                self.failure.is_some() || !self.outbox.is_empty()
            }
            Happening::Ended(failure) => {
                self.failure = failure;
                (self.readable, self.hung_up) = (true, true);
                true
            }
        }
    }

    /// What there is to read now, at most one read of it.
    ///
    /// # Errors
    /// The socket's.
    pub fn fill(&mut self, io: &mut Io) -> io::Result<Filled> {
        match &mut self.link {
            Some(Link::Quic(quic)) => {
                if let Some(failure) = self.failure.take() {
                    return Err(failure);
                }
                let Io::Epoll(epoll) = io else { unreachable!("it was dialled") };
                let (may_have_more, filled) = quic.fill(&mut epoll.buffers, &mut self.inbox)?;
                self.readable = may_have_more;
                Ok(filled)
            }
            Some(Link::Stream(stream)) => match stream.read(self.inbox.room()) {
                Ok(0) => Ok(Filled::Closed),
                Ok(count) => {
                    // A short read has emptied the kernel's buffer; the next bytes make a new event.
                    self.readable = count == READ_BYTES_MAX || self.hung_up;
                    self.inbox.grow(count);
                    Ok(Filled::Bytes)
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    Ok(Filled::Nothing)
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Filled::Nothing),
                Err(error) => Err(error),
            },
            // The bytes are in the inbox already; the end is told after them.
            Some(Link::Line(_)) if self.readable => {
                self.readable = false;
                Ok(Filled::Bytes)
            }
            Some(Link::Line(_)) => match self.failure.take() {
                Some(error) => Err(error),
                None if self.hung_up => Ok(Filled::Closed),
                None => Ok(Filled::Nothing),
            },
            None => Ok(Filled::Closed),
        }
    }

    /// Whether [`Self::fill`] may bring something.
    #[must_use]
    pub const fn is_readable(&self) -> bool {
        self.readable || self.hung_up || self.failure.is_some()
    }

    /// Whether the kernel did not take all of the last write yet.
    #[must_use]
    pub const fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// The same where it takes an event of the peer's to change that: what a ring has been given now is written by the next wait.
    #[must_use]
    pub const fn is_blocked_by_peer(&self) -> bool {
        self.blocked && !matches!(self.link, Some(Link::Line(_)))
    }

    /// One write of what is in the outbox: tried at once by epoll, queued on a ring.
    ///
    /// # Errors
    /// The socket's.
    pub fn flush(&mut self, io: &mut Io) -> io::Result<()> {
        if let Some(Link::Quic(quic)) = &mut self.link {
            // Also without a byte to write: packets that were lost, acknowledgements.
            self.blocked = !quic.flush(&self.outbox, &mut self.written)?;
            if self.written == self.outbox.len() {
                self.outbox.clear();
                self.written = 0;
            }
            return Ok(());
        }
        if self.outbox.is_empty() {
            return Ok(());
        }
        match (&mut self.link, io) {
            (Some(Link::Stream(stream)), _) => match stream.write(&self.outbox[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if is_transient(&error) => {}
                Err(error) => return Err(error),
            },
            (Some(Link::Line(line)), Io::Uring(uring)) => {
                if !self.blocked {
                    self.blocked = true;
                    uring.send(*line, std::mem::replace(&mut self.outbox, std::mem::take(&mut self.spare)));
                }
                return Ok(());
            }
            _ => return Ok(()),
        }
        self.blocked = self.written < self.outbox.len();
        if !self.blocked {
            self.outbox.clear();
            self.written = 0;
        }
        Ok(())
    }
}

/// A connection that is still being made takes no bytes yet.
fn is_transient(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, NotConnected, WouldBlock};
    matches!(error.kind(), WouldBlock | Interrupted | NotConnected)
}
