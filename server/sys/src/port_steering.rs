//! A program for the kernel that chooses which of the sockets that share a port gets a connection: the client's port says whose, a
//! hash of its address which of those.

use std::{
    io,
    net::{IpAddr, TcpListener},
    os::fd::{AsRawFd, OwnedFd},
};

use libc::{
    BPF_ABS, BPF_ALU, BPF_B, BPF_H, BPF_IND, BPF_JA, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_LDX, BPF_MEM,
    BPF_MOD, BPF_MSH, BPF_MUL, BPF_RET, BPF_RSH, BPF_ST, BPF_W, sock_filter, sock_fprog,
};

/// Accept queues among which addresses are spread: 8 by prefix (24 bits of IPv4, 48 of IPv6), each 4 by address (of IPv6, 64 bits). So
/// one address fills one, and a whole prefix four.
pub const QUEUE_COUNT: usize = 1 << (PREFIX_BITS + ADDRESS_BITS);
const PREFIX_BITS: u32 = 3;
const ADDRESS_BITS: u32 = 2;

/// Offsets from here are offsets into the IP header (`SKF_NET_OFF`); the program sees the bytes behind the TCP header.
const NET: u32 = libc::SKF_NET_OFF.cast_unsigned();
/// Offset of the protocol of what follows the header of IPv6, and its length.
const NEXT_HEADER_AT: u32 = 6;
const IPV6_HEADER_BYTES: u32 = 40;
/// Offsets of the source addresses.
const SOURCE_V4_AT: u32 = 12;
const SOURCE_V6_AT: u32 = 8;
const TCP: u32 = libc::IPPROTO_TCP.cast_unsigned();
/// No socket's number: the kernel then chooses as it does without a program.
const NO_CHOICE: u32 = u32::MAX;
/// The result is the accumulator (`BPF_A`).
const RETURN_A: u32 = BPF_RET | 0x10;
/// The other operand is the index register (`BPF_X`), which libc does not name; `BPF_ADD` is 0. Likewise moving A to X (`BPF_MISC`).
const ADD_X: u32 = BPF_ALU | 0x08;
const A_TO_X: u32 = 0x07;
/// Words of scratch memory: the port, the number of the queue.
const PORT: u32 = 0;
const QUEUE: u32 = 1;
const WORD: u32 = 2;

/// How a port becomes the number of a group of sockets: `(port * multiplier mod 2^32 >> shift) mod groups`.
#[derive(Debug, Clone, Copy)]
pub struct PortHash {
    /// Multiplied modulo 2^32.
    pub multiplier: u32,
    /// Lower bits that are dropped, below 32.
    pub shift: u32,
}

/// How an address becomes the number of a queue: by its prefix, then by itself (multiply-shift, so that without the multipliers nobody
/// knows who meets whom).
#[derive(Debug, Clone, Copy)]
pub struct SourceHash {
    prefix: [u32; 2],
    address: [u32; 2],
}

impl SourceHash {
    /// From random numbers, which are made odd.
    #[must_use]
    pub fn new(random: [u32; 4]) -> Self {
        let [a, b, c, d] = random.map(|number| number | 1);
        Self { prefix: [a, b], address: [c, d] }
    }

    /// The queue of `address`, below [`QUEUE_COUNT`]: what the program computes.
    #[must_use]
    pub fn queue_of(&self, address: IpAddr) -> usize {
        let (prefix, whole) = match address {
            IpAddr::V4(address) => {
                let word = u32::from(address);
                ([word >> 8, 0], [word, 0])
            }
            IpAddr::V6(address) => {
                let bits = u128::from(address);
                let [high, low] = [(bits >> 96) as u32, (bits >> 64) as u32];
                ([high, low >> 16], [high, low])
            }
        };
        let hash = |words: [u32; 2], by: [u32; 2], bits: u32| {
            let sum = words[0].wrapping_mul(by[0]).wrapping_add(words[1].wrapping_mul(by[1]));
            sum >> (u32::BITS - bits)
        };
        (hash(prefix, self.prefix, PREFIX_BITS) << ADDRESS_BITS | hash(whole, self.address, ADDRESS_BITS))
            as usize
    }
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

    /// Hands every connection that comes from now on to the shard its client's port selects, and there to the queue of its address.
    /// Connections whose handshake is under way stay where they are.
    ///
    /// # Errors
    /// The OS's; then connections are handed out as before, at first by a hash of the kernel's own.
    pub fn attach(&self, sources: &SourceHash) -> io::Result<()> {
        let mut program = program(self.hash, self.shard_count, self.has_queues.then_some(sources));
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

const fn step(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

fn program(hash: PortHash, shard_count: u32, sources: Option<&SourceHash>) -> Vec<sock_filter> {
    let jump = |k: u32, jt: u8, jf: u8| sock_filter { code: (BPF_JMP | BPF_JEQ | BPF_K) as u16, jt, jf, k };
    // IPv4: the port is behind a header of any length.
    let mut v4 =
        vec![step(BPF_LDX | BPF_B | BPF_MSH, NET), step(BPF_LD | BPF_H | BPF_IND, NET), step(BPF_ST, PORT)];
    // IPv6: only where TCP follows at once.
    let mut v6 = vec![
        step(BPF_LD | BPF_B | BPF_ABS, NET + NEXT_HEADER_AT),
        jump(TCP, 1, 0),
        step(BPF_RET | BPF_K, NO_CHOICE),
        step(BPF_LD | BPF_H | BPF_ABS, NET + IPV6_HEADER_BYTES),
        step(BPF_ST, PORT),
    ];
    let mut end = vec![
        step(BPF_LD | BPF_MEM, PORT),
        step(BPF_ALU | BPF_MUL | BPF_K, hash.multiplier),
        step(BPF_ALU | BPF_RSH | BPF_K, hash.shift),
        step(BPF_ALU | BPF_MOD | BPF_K, shard_count),
    ];
    if let Some(sources) = sources {
        v4.extend(queue_v4(sources));
        v6.extend(queue_v6(sources));
        end.extend([
            step(BPF_ALU | BPF_MUL | BPF_K, QUEUE_COUNT as u32),
            step(BPF_LDX | BPF_MEM, QUEUE),
            step(ADD_X, 0),
        ]);
    }
    v4.push(step(BPF_JMP | BPF_JA, v6.len() as u32));
    let begin =
        [step(BPF_LD | BPF_B | BPF_ABS, NET), step(BPF_ALU | BPF_RSH | BPF_K, 4), jump(4, 0, v4.len() as u8)];
    let mut program = begin.to_vec();
    program.append(&mut v4);
    program.append(&mut v6);
    program.append(&mut end);
    program.push(step(RETURN_A, 0));
    program
}

/// Puts the number of the queue in its place.
fn queue_v4(sources: &SourceHash) -> Vec<sock_filter> {
    let load = step(BPF_LD | BPF_W | BPF_ABS, NET + SOURCE_V4_AT);
    vec![
        load,
        step(BPF_ALU | BPF_RSH | BPF_K, 8),
        step(BPF_ALU | BPF_MUL | BPF_K, sources.prefix[0]),
        step(BPF_ALU | BPF_RSH | BPF_K, u32::BITS - PREFIX_BITS),
        step(BPF_ALU | BPF_MUL | BPF_K, 1 << ADDRESS_BITS),
        step(BPF_ST, QUEUE),
        load,
        step(BPF_ALU | BPF_MUL | BPF_K, sources.address[0]),
        step(BPF_ALU | BPF_RSH | BPF_K, u32::BITS - ADDRESS_BITS),
        step(BPF_LDX | BPF_MEM, QUEUE),
        step(ADD_X, 0),
        step(BPF_ST, QUEUE),
    ]
}

/// The same.
fn queue_v6(sources: &SourceHash) -> Vec<sock_filter> {
    let hash = |low: u32, by: [u32; 2], bits: u32| {
        [
            step(BPF_LD | BPF_W | BPF_ABS, NET + SOURCE_V6_AT),
            step(BPF_ALU | BPF_MUL | BPF_K, by[0]),
            step(BPF_ST, WORD),
            step(BPF_LD | low | BPF_ABS, NET + SOURCE_V6_AT + 4),
            step(BPF_ALU | BPF_MUL | BPF_K, by[1]),
            step(BPF_LDX | BPF_MEM, WORD),
            step(ADD_X, 0),
            step(BPF_ALU | BPF_RSH | BPF_K, u32::BITS - bits),
        ]
    };
    let mut steps = hash(BPF_H, sources.prefix, PREFIX_BITS).to_vec();
    steps.extend([step(BPF_ALU | BPF_MUL | BPF_K, 1 << ADDRESS_BITS), step(BPF_ST, QUEUE)]);
    steps.extend(hash(BPF_W, sources.address, ADDRESS_BITS));
    steps.extend([step(A_TO_X, 0), step(BPF_LD | BPF_MEM, QUEUE), step(ADD_X, 0), step(BPF_ST, QUEUE)]);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        collections::{BTreeMap, BTreeSet},
        net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
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
        for _ in 0..1000 {
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
                steering.attach(&sources).expect("attached");
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
            steering.attach(&sources).expect("attached");
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

    /// The program for IPv6 is interpreted here: a host has one address of it on loopback.
    #[test]
    fn the_program_computes_the_queue_of_every_address_of_ipv6() {
        let sources = SourceHash::new(SOURCES);
        let program = program(HASH, 3, Some(&sources));
        let mut queues = BTreeSet::new();
        for number in 0..4096u128 {
            let bits = 0x2001_0db8_u128 << 96 | (number.wrapping_mul(0x9e37_79b9_7f4a) << 40) | number;
            let mut packet = [0; 60];
            (packet[0], packet[6]) = (0x60, 6);
            packet[8..24].copy_from_slice(&bits.to_be_bytes());
            let port = number as u16 ^ 0x5a5a;
            packet[40..42].copy_from_slice(&port.to_be_bytes());
            let queue = sources.queue_of(Ipv6Addr::from(bits).into());
            let expected = chosen(port, 3) * QUEUE_COUNT + queue;
            assert_eq!(interpret(&program, &packet), expected as u32, "{number}");
            queues.insert(queue);
        }
        assert_eq!(queues.len(), QUEUE_COUNT);
        let mut other = [0; 60];
        (other[0], other[6]) = (0x60, 17);
        assert_eq!(interpret(&program, &other), NO_CHOICE);
    }

    /// Of the instructions that are used for IPv6.
    fn interpret(program: &[sock_filter], packet: &[u8]) -> u32 {
        let (mut a, mut x, mut memory, mut at) = (0u32, 0u32, [0u32; 16], 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            let bytes = |count: usize| {
                let from = (k - NET) as usize;
                packet[from..from + count].iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
            };
            at += 1;
            match u32::from(code) {
                code if code == BPF_LD | BPF_B | BPF_ABS => a = bytes(1),
                code if code == BPF_LD | BPF_H | BPF_ABS => a = bytes(2),
                code if code == BPF_LD | BPF_W | BPF_ABS => a = bytes(4),
                code if code == BPF_LD | BPF_MEM => a = memory[k as usize],
                code if code == BPF_LDX | BPF_MEM => x = memory[k as usize],
                code if code == BPF_ALU | BPF_MUL | BPF_K => a = a.wrapping_mul(k),
                code if code == BPF_ALU | BPF_RSH | BPF_K => a >>= k,
                code if code == BPF_ALU | BPF_MOD | BPF_K => a %= k,
                code if code == BPF_JMP | BPF_JEQ | BPF_K => at += usize::from(if a == k { jt } else { jf }),
                code if code == BPF_RET | BPF_K => return k,
                BPF_ST => memory[k as usize] = a,
                ADD_X => a = a.wrapping_add(x),
                A_TO_X => x = a,
                RETURN_A => return a,
                other => panic!("{other:#x}"),
            }
        }
    }

    /// A flood of one address has one queue, of one prefix four at most, and others are spread over all.
    #[test]
    fn a_prefix_has_four_queues_and_all_of_them_have_all() {
        let sources = SourceHash::new(SOURCES);
        let queues = |addresses: &mut dyn Iterator<Item = IpAddr>| {
            addresses.map(|address| sources.queue_of(address)).collect::<BTreeSet<_>>()
        };
        let v4 = |prefix: u16, host: u8| IpAddr::from([10, (prefix >> 8) as u8, prefix as u8, host]);
        for prefix in 0..1000 {
            let of_one = queues(&mut (0..=255).map(|host| v4(prefix, host)));
            assert!((2..=4).contains(&of_one.len()), "{prefix}: {of_one:?}");
        }
        assert_eq!(
            queues(&mut (0..1000).map(|prefix| v4(prefix, (prefix as u8).wrapping_mul(7)))).len(),
            QUEUE_COUNT
        );
        let v6 = |site: u128, net: u128, host: u128| {
            IpAddr::from(Ipv6Addr::from(0x2a00u128 << 112 | site << 80 | net << 64 | host))
        };
        for site in 0..1000 {
            assert_eq!(
                queues(&mut (0..100).map(|host| v6(site, 1, host))).len(),
                1,
                "one network, one queue"
            );
            assert!((2..=4).contains(&queues(&mut (0..256).map(|net| v6(site, net, 1))).len()));
        }
    }
}
