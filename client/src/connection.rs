//! A connection, TCP or a stream of QUIC, that gives whole frames by a deadline.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use mvt_proto::{
    Header, Reject, Role,
    constants::FRAME_BYTES_MAX,
    framer::{Cut, cut},
};

use crate::Config;
#[cfg(feature = "quic")]
use crate::quic::QuicStream;

/// Why a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    TimedOut,
    Closed,
    Io(io::ErrorKind),
    Protocol(Reject),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                Self::Closed
            }
            kind => Self::Io(kind),
        }
    }
}

/// What a connection's bytes travel by.
#[derive(Debug)]
enum Way {
    Tcp(TcpStream),
    #[cfg(feature = "quic")]
    Quic(Box<QuicStream>),
}

/// One connection. After an [`Ended`] it is not used again.
#[derive(Debug)]
pub(crate) struct Connection {
    way: Way,
    /// Bytes received and not yet taken: `buffer[taken..filled]`.
    buffer: Box<[u8]>,
    taken: usize,
    filled: usize,
}

impl Connection {
    /// Connects to the first address that answers by `deadline`, in the way the settings ask for.
    pub(crate) fn open(config: &Config, deadline: Instant) -> Result<Self, io::ErrorKind> {
        let mut last = io::ErrorKind::TimedOut;
        for address in &config.addresses {
            if deadline.saturating_duration_since(Instant::now()).is_zero() {
                break;
            }
            match Way::open(config, *address, deadline) {
                Ok(way) => {
                    let buffer = vec![0; 2 * FRAME_BYTES_MAX].into_boxed_slice();
                    return Ok(Self { way, buffer, taken: 0, filled: 0 });
                }
                Err(error) => last = error.kind(),
            }
        }
        Err(last)
    }

    /// What logins on it are bound to (SPEC 10): nothing on TCP.
    pub(crate) fn channel_binding(&self) -> &[u8] {
        match &self.way {
            Way::Tcp(_) => &[],
            #[cfg(feature = "quic")]
            Way::Quic(stream) => stream.channel_binding(),
        }
    }

    /// Whether the peer has not closed it, as far as is known here; asked before a request is risked on an idle one.
    pub(crate) fn is_open(&self) -> bool {
        match &self.way {
            Way::Tcp(stream) => is_open(stream),
            #[cfg(feature = "quic")]
            Way::Quic(stream) => stream.is_open(),
        }
    }

    /// Sends all of `bytes` by `deadline`.
    pub(crate) fn send(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), Ended> {
        match &mut self.way {
            Way::Tcp(stream) => send(stream, bytes, deadline),
            #[cfg(feature = "quic")]
            Way::Quic(stream) => stream.send(bytes, deadline),
        }
    }

    /// The next frame, its header judged, by `deadline`.
    pub(crate) fn receive(&mut self, deadline: Instant) -> Result<(Header, &mut [u8]), Ended> {
        let frame_bytes = loop {
            match cut(&self.buffer[self.taken..self.filled], Role::Client).map_err(Ended::Protocol)? {
                Cut::Frame(bytes) => break bytes,
                Cut::Need(_) => self.fill(deadline)?,
            }
        };
        let frame = &mut self.buffer[self.taken..self.taken + frame_bytes];
        self.taken += frame_bytes;
        let header = Header::parse(frame, Role::Client).map_err(Ended::Protocol)?;
        Ok((header, frame))
    }

    /// Reads once. The buffer holds two frames, so there is room behind less than one.
    fn fill(&mut self, deadline: Instant) -> Result<(), Ended> {
        self.buffer.copy_within(self.taken..self.filled, 0);
        self.filled -= self.taken;
        self.taken = 0;
        let room = &mut self.buffer[self.filled..];
        self.filled += match &mut self.way {
            Way::Tcp(stream) => receive(stream, room, deadline)?,
            #[cfg(feature = "quic")]
            Way::Quic(stream) => stream.receive(room, deadline)?,
        };
        Ok(())
    }
}

impl Way {
    fn open(config: &Config, address: SocketAddr, deadline: Instant) -> io::Result<Self> {
        #[cfg(feature = "quic")]
        if let Some(certificate) = &config.quic {
            return QuicStream::open(address, certificate, deadline)
                .map(|stream| Self::Quic(Box::new(stream)));
        }
        let _ = config;
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let stream = TcpStream::connect_timeout(&address, left)?;
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }
}

fn is_open(stream: &TcpStream) -> bool {
    let peeked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
    let open = match peeked {
        Ok(received) => received > 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    };
    open && stream.set_nonblocking(false).is_ok()
}

fn send(stream: &mut TcpStream, mut rest: &[u8], deadline: Instant) -> Result<(), Ended> {
    while !rest.is_empty() {
        stream.set_write_timeout(Some(left(deadline)?))?;
        match stream.write(rest) {
            Ok(0) => return Err(Ended::Closed),
            Ok(sent) => rest = &rest[sent..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Reads once; not 0 bytes.
fn receive(stream: &mut TcpStream, room: &mut [u8], deadline: Instant) -> Result<usize, Ended> {
    loop {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(room) {
            Ok(0) => return Err(Ended::Closed),
            Ok(received) => return Ok(received),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The time left; a socket takes no timeout of zero.
pub(crate) fn left(deadline: Instant) -> Result<Duration, Ended> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(Ended::TimedOut) } else { Ok(left) }
}
