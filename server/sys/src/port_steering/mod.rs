//! A program for the kernel that chooses which of the sockets that share a port gets a connection: the client's port says whose, a
//! hash of its address which of those, unless it is named.
//!
//! - [`SourceHash`] says which accept queue an address has; a [`Source`] is one that may be named. `program` is the program.

mod program;
mod source;

use std::{
    io,
    net::TcpListener,
    os::fd::{AsRawFd, OwnedFd},
};

use libc::sock_fprog;

pub use source::{Source, SourceHash};

/// Accept queues among which addresses are spread: 8 by prefix (24 bits of IPv4, 48 of IPv6), each 4 by address (of IPv6, 64 bits). So
/// one address fills one, and a whole prefix four.
const SPREAD_COUNT: usize = 1 << (PREFIX_BITS + ADDRESS_BITS);
/// The queue of those that are named.
pub const SET_APART: usize = SPREAD_COUNT;
/// All of them.
pub const QUEUE_COUNT: usize = SPREAD_COUNT + 1;
/// Sources that are named at most.
pub const APART_MAX: usize = 16;
const PREFIX_BITS: u32 = 3;
const ADDRESS_BITS: u32 = 2;

/// How a port becomes the number of a group of sockets: `(port * multiplier mod 2^32 >> shift) mod groups`.
#[derive(Debug, Clone, Copy)]
pub struct PortHash {
    /// Multiplied modulo 2^32.
    pub multiplier: u32,
    /// Lower bits that are dropped, below 32.
    pub shift: u32,
}

/// Listeners that share a port, in the order in which they began to listen: [`QUEUE_COUNT`] of each shard, or one.
#[derive(Debug)]
pub struct Steering {
    /// One of them: what is attached to it holds for all.
    listener: OwnedFd,
    hash: PortHash,
    shard_count: u32,
    has_queues: bool,
}

impl Steering {
    /// Of the `listeners` of `shard_count` shards; nothing is attached yet.
    ///
    /// # Errors
    /// The OS's.
    ///
    /// # Panics
    /// When those are not as many for each shard as said.
    pub fn new(listeners: &[TcpListener], shard_count: usize, hash: PortHash) -> io::Result<Self> {
        let each = listeners.len() / shard_count;
        assert!(each * shard_count == listeners.len() && (each == 1 || each == QUEUE_COUNT), "as many each");
        Ok(Self {
            listener: listeners[0].try_clone()?.into(),
            hash,
            shard_count: u32::try_from(shard_count).map_err(io::Error::other)?,
            has_queues: each > 1,
        })
    }

    /// Hands every connection that comes from now on to the shard its client's port selects, and there to the queue of its address, or,
    /// if that is one of those `apart` (the first [`APART_MAX`]), to the queue of such. Connections whose handshake is under way stay where they are.
    ///
    /// # Errors
    /// The OS's; then connections are handed out as before, at first by a hash of the kernel's own.
    pub fn attach(&self, sources: &SourceHash, apart: &[Source]) -> io::Result<()> {
        let apart = &apart[..apart.len().min(APART_MAX)];
        let mut program =
            program::of(self.hash, self.shard_count, self.has_queues.then_some((sources, apart)));
        let filter = sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
        // SAFETY: an open socket; the kernel reads one `sock_fprog` and the instructions it points to, and copies both.
        let result = unsafe {
            libc::setsockopt(
                self.listener.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ATTACH_REUSEPORT_CBPF,
                (&raw const filter).cast(),
                size_of::<sock_fprog>() as libc::socklen_t,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        collections::BTreeMap,
        net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
        time::Duration,
    };

    const HASH: PortHash = PortHash { multiplier: 0x9e37_79b1, shift: 24 };
    const SOURCES: [u32; 4] = [0x2545_f491, 0x9e37_79b9, 0x85eb_ca6b, 0xc2b2_ae35];

    fn chosen(port: u16, count: usize) -> usize {
        (u32::from(port).wrapping_mul(HASH.multiplier) >> HASH.shift) as usize % count
    }

    /// Which listener got the connection from each port.
    fn accepted(listeners: &[TcpListener], count: usize) -> BTreeMap<SocketAddr, usize> {
        let mut seen = BTreeMap::new();
        for _ in 0..4000 {
            for (index, listener) in listeners.iter().enumerate() {
                while let Ok((_, peer)) = listener.accept() {
                    seen.insert(peer, index);
                }
            }
            if seen.len() == count {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        seen
    }

    /// `None` on a host without IPv6.
    fn listeners(ip: IpAddr, count: usize) -> Option<Vec<TcpListener>> {
        match crate::socket::listen_tcp(SocketAddr::new(ip, 0), count) {
            Ok(listeners) => Some(listeners),
            Err(error) => {
                assert!(ip.is_ipv6(), "{error}");
                None
            }
        }
    }

    fn connect(source: IpAddr, target: SocketAddr) -> TcpStream {
        use socket2::{Domain, Socket, Type};
        let socket = Socket::new(Domain::for_address(target), Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::new(source, 0).into()).expect("a source address");
        socket.connect(&target.into()).expect("connected");
        socket.into()
    }

    #[test]
    fn the_clients_port_chooses_the_shard() {
        for ip in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
            for (count, each) in [(1, 1), (2, 1), (3, 1), (4, 1), (1, QUEUE_COUNT), (3, QUEUE_COUNT)] {
                let Some(listeners) = listeners(ip, count * each) else { continue };
                let steering = Steering::new(&listeners, count, HASH).expect("a listener");
                let sources = SourceHash::new(SOURCES);
                steering.attach(&sources, &[]).expect("attached");
                let address = listeners[0].local_addr().expect("bound");
                let streams: Vec<_> =
                    (0..60).map(|_| TcpStream::connect(address).expect("connected")).collect();
                let seen = accepted(&listeners, streams.len());
                assert_eq!(seen.len(), streams.len());
                let queue = if each > 1 { sources.queue_of(ip) } else { 0 };
                for (peer, index) in seen {
                    let expected = chosen(peer.port(), count) * each + queue;
                    assert_eq!(index, expected, "port {} of {count} on {ip}", peer.port());
                }
            }
        }
    }

    /// And with other multipliers another one.
    #[test]
    fn the_clients_address_chooses_the_queue() {
        let all = IpAddr::from(Ipv4Addr::UNSPECIFIED);
        let listeners = listeners(all, 2 * QUEUE_COUNT).expect("IPv4");
        let steering = Steering::new(&listeners, 2, HASH).expect("a listener");
        let port = listeners[0].local_addr().expect("bound").port();
        let target = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
        let mut placings = Vec::new();
        for random in [SOURCES, [3, 5, 0x1234_5677, 0x0765_4321]] {
            let sources = SourceHash::new(random);
            steering.attach(&sources, &[]).expect("attached");
            let streams: Vec<_> = (0..128u8)
                .map(|number| connect(Ipv4Addr::new(127, 3 + number / 4, number % 2, number).into(), target))
                .collect();
            let seen = accepted(&listeners, streams.len());
            assert_eq!(seen.len(), streams.len());
            for (peer, index) in &seen {
                let expected = chosen(peer.port(), 2) * QUEUE_COUNT + sources.queue_of(peer.ip());
                assert_eq!(*index, expected, "{peer}");
            }
            placings.push(seen.keys().map(|peer| sources.queue_of(peer.ip())).collect::<Vec<_>>());
        }
        assert_ne!(placings[0], placings[1]);
    }

    /// Whoever is named has another queue, of however many prefixes and addresses, and its neighbours have not.
    #[test]
    fn those_that_are_named_are_set_apart() {
        let listeners = listeners(Ipv4Addr::UNSPECIFIED.into(), QUEUE_COUNT).expect("IPv4");
        let steering = Steering::new(&listeners, 1, HASH).expect("a listener");
        let port = listeners[0].local_addr().expect("bound").port();
        let target = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
        let sources = SourceHash::new(SOURCES);
        let source = |a: u8, b: u8| IpAddr::from([127, 9, a, b]);
        let mut apart = vec![Source::prefix(source(3, 1)), Source::address(source(4, 7))];
        apart.extend((0..APART_MAX as u8 - 3).map(|number| Source::address(source(100, number))));
        apart.push(Source::prefix(source(5, 0)));
        steering.attach(&sources, &apart).expect("attached");
        let all: Vec<IpAddr> = [(3, 1), (3, 200), (4, 7), (4, 8), (5, 9), (6, 1), (100, 2), (100, 99)]
            .map(|(a, b)| source(a, b))
            .into();
        let streams: Vec<_> = all.iter().map(|source| connect(*source, target)).collect();
        let seen = accepted(&listeners, streams.len());
        assert_eq!(seen.len(), streams.len());
        for (peer, index) in seen {
            let is_apart = apart.iter().any(|source| source.holds(peer.ip()));
            assert_eq!(index, if is_apart { SET_APART } else { sources.queue_of(peer.ip()) }, "{peer}");
        }
        assert_eq!(all.iter().filter(|it| apart.iter().any(|source| source.holds(**it))).count(), 5);
    }
}
