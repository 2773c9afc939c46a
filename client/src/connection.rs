//! A connection, TCP or a stream of QUIC, that gives whole frames by a deadline.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use mvt_proto::{
    Header, Reject, Role,
    constants::FRAME_BYTES_MAX,
    framer::{Cut, cut},
    steering::ports_of_shard_byte,
};
use socket2::{Domain, Protocol, Socket, Type};

use crate::Config;
#[cfg(feature = "quic")]
use crate::quic::QuicStream;

/// Ports tried to reach a shard, at most, before any port will do.
const PORTS_TRIED_MAX: usize = 8;

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
    /// Connects to the first of `addresses` that answers by `deadline`, in the way the settings ask for; by TCP from a port that
    /// leads to `shard`, if there is one to be had (§17.1.2).
    pub(crate) fn open(
        config: &Config,
        addresses: &[SocketAddr],
        deadline: Instant,
        shard: Option<u8>,
    ) -> Result<Self, io::ErrorKind> {
        let mut last = io::ErrorKind::TimedOut;
        for address in addresses {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match Way::open(config, *address, left, shard) {
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

    /// The next frame if it is there already; `None` when nothing more is. Asked before a request is risked on an idle
    /// connection, and after the last answer: what the peer said meanwhile, or that it has closed.
    pub(crate) fn receive_ready(&mut self) -> Result<Option<(Header, &mut [u8])>, Ended> {
        loop {
            match cut(&self.buffer[self.taken..self.filled], Role::Client).map_err(Ended::Protocol)? {
                Cut::Frame(bytes) => return self.take(bytes).map(Some),
                Cut::Need(_) => {
                    self.make_room();
                    let room = &mut self.buffer[self.filled..];
                    let received = match &mut self.way {
                        Way::Tcp(stream) => receive_ready(stream, room)?,
                        #[cfg(feature = "quic")]
                        Way::Quic(stream) => stream.receive_ready(room)?,
                    };
                    match received {
                        Some(received) => self.filled += received,
                        None => return Ok(None),
                    }
                }
            }
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
        self.take(frame_bytes)
    }

    fn take(&mut self, frame_bytes: usize) -> Result<(Header, &mut [u8]), Ended> {
        let frame = &mut self.buffer[self.taken..self.taken + frame_bytes];
        self.taken += frame_bytes;
        let header = Header::parse(frame, Role::Client).map_err(Ended::Protocol)?;
        Ok((header, frame))
    }

    /// The buffer holds two frames, so there is room behind less than one.
    fn make_room(&mut self) {
        self.buffer.copy_within(self.taken..self.filled, 0);
        self.filled -= self.taken;
        self.taken = 0;
    }

    /// Reads once.
    fn fill(&mut self, deadline: Instant) -> Result<(), Ended> {
        self.make_room();
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
    fn open(config: &Config, address: SocketAddr, left: Duration, shard: Option<u8>) -> io::Result<Self> {
        #[cfg(feature = "quic")]
        if let Some(certificate) = &config.quic {
            return QuicStream::open(address, certificate, left).map(|stream| Self::Quic(Box::new(stream)));
        }
        let _ = config;
        let stream = shard
            .and_then(|shard| connect_to_shard(address, shard, left).transpose())
            .unwrap_or_else(|| TcpStream::connect_timeout(&address, left))?;
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }
}

/// Reads what is there already; `None` when nothing is.
fn receive_ready(stream: &mut TcpStream, room: &mut [u8]) -> Result<Option<usize>, Ended> {
    loop {
        stream.set_nonblocking(true)?;
        let received = stream.read(room);
        stream.set_nonblocking(false)?;
        match received {
            Ok(0) => return Err(Ended::Closed),
            Ok(received) => return Ok(Some(received)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
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

/// Connects from a port that leads to `shard`; `None` when none of those tried is free.
fn connect_to_shard(address: SocketAddr, shard: u8, left: Duration) -> io::Result<Option<TcpStream>> {
    let mut first = [0; 2];
    if getrandom::fill(&mut first).is_err() {
        return Ok(None);
    }
    for port in ports_of_shard_byte(shard, u16::from_be_bytes(first)).take(PORTS_TRIED_MAX) {
        match connect_from(port, address, left) {
            Ok(stream) => return Ok(Some(stream)),
            // Taken, or not for us to take.
            Err(error) if is_about_the_port(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn is_about_the_port(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};
    matches!(error.kind(), AddrInUse | AddrNotAvailable | PermissionDenied)
}

fn connect_from(port: u16, address: SocketAddr, left: Duration) -> io::Result<TcpStream> {
    let any = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
    };
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A port whose last connection is still fading away may lead to another server.
    socket.set_reuse_address(true)?;
    socket.bind(&any.into())?;
    socket.connect_timeout(&address.into(), left)?;
    Ok(socket.into())
}

/// The time left; a socket takes no timeout of zero.
pub(crate) fn left(deadline: Instant) -> Result<Duration, Ended> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(Ended::TimedOut) } else { Ok(left) }
}
