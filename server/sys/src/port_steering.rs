//! A program for the kernel that chooses, by the client's port, which of the sockets that share a port gets a connection.

use std::{io, net::TcpListener, os::fd::AsRawFd};

use libc::{
    BPF_ABS, BPF_ALU, BPF_B, BPF_H, BPF_IND, BPF_JA, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_LDX, BPF_MOD,
    BPF_MSH, BPF_MUL, BPF_RET, BPF_RSH, sock_filter, sock_fprog,
};

/// Offsets from here are offsets into the IP header (`SKF_NET_OFF`); the program sees the bytes behind the TCP header.
const NET: u32 = libc::SKF_NET_OFF.cast_unsigned();
/// Offset of the protocol of what follows the header of IPv6, and its length.
const NEXT_HEADER_AT: u32 = 6;
const IPV6_HEADER_BYTES: u32 = 40;
const TCP: u32 = libc::IPPROTO_TCP.cast_unsigned();
/// No socket's number: the kernel then chooses as it does without a program.
const NO_CHOICE: u32 = u32::MAX;
/// The result is the accumulator (`BPF_A`).
const RETURN_A: u32 = BPF_RET | 0x10;

/// How a port becomes the number of a socket: `(port * multiplier mod 2^32 >> shift) mod sockets`.
#[derive(Debug, Clone, Copy)]
pub struct PortHash {
    /// Multiplied modulo 2^32.
    pub multiplier: u32,
    /// Lower bits that are dropped, below 32.
    pub shift: u32,
}

/// Hands every connection to `listeners` to the one its client's port selects; they are numbered in the order in which they
/// began to listen, and share one address. With a single one there is nothing to choose.
///
/// # Errors
/// The OS's; then the kernel chooses as before, by a hash of its own.
pub fn steer_by_port(listeners: &[TcpListener], hash: PortHash) -> io::Result<()> {
    let (Some(first), Ok(count)) = (listeners.first(), u32::try_from(listeners.len())) else { return Ok(()) };
    if count < 2 {
        return Ok(());
    }
    let mut program = program(hash, count);
    let filter = sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: an open socket; the kernel reads one `sock_fprog` and the instructions it points to, and copies both.
    let result = unsafe {
        libc::setsockopt(
            first.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const filter).cast(),
            size_of::<sock_fprog>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn program(hash: PortHash, count: u32) -> [sock_filter; 14] {
    let step = |code: u32, k: u32| sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let jump = |k: u32, jt: u8, jf: u8| sock_filter { code: (BPF_JMP | BPF_JEQ | BPF_K) as u16, jt, jf, k };
    [
        step(BPF_LD | BPF_B | BPF_ABS, NET),
        step(BPF_ALU | BPF_RSH | BPF_K, 4),
        jump(4, 0, 3),
        // IPv4: the port is behind a header of any length.
        step(BPF_LDX | BPF_B | BPF_MSH, NET),
        step(BPF_LD | BPF_H | BPF_IND, NET),
        step(BPF_JMP | BPF_JA, 4),
        // IPv6: only where TCP follows at once.
        step(BPF_LD | BPF_B | BPF_ABS, NET + NEXT_HEADER_AT),
        jump(TCP, 1, 0),
        step(BPF_RET | BPF_K, NO_CHOICE),
        step(BPF_LD | BPF_H | BPF_ABS, NET + IPV6_HEADER_BYTES),
        // The port, however it was found.
        step(BPF_ALU | BPF_MUL | BPF_K, hash.multiplier),
        step(BPF_ALU | BPF_RSH | BPF_K, hash.shift),
        step(BPF_ALU | BPF_MOD | BPF_K, count),
        step(RETURN_A, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        collections::BTreeMap,
        net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
        time::Duration,
    };

    const HASH: PortHash = PortHash { multiplier: 0x9e37_79b1, shift: 24 };

    fn chosen(port: u16, count: usize) -> usize {
        (u32::from(port).wrapping_mul(HASH.multiplier) >> HASH.shift) as usize % count
    }

    /// Which listener got the connection from each port.
    fn accepted(listeners: &[TcpListener], count: usize) -> BTreeMap<u16, usize> {
        let mut seen = BTreeMap::new();
        for _ in 0..1000 {
            for (index, listener) in listeners.iter().enumerate() {
                while let Ok((_, peer)) = listener.accept() {
                    seen.insert(peer.port(), index);
                }
            }
            if seen.len() == count {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        seen
    }

    #[test]
    fn the_clients_port_chooses_the_listener() {
        for ip in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
            for count in [1, 2, 3, 4] {
                let listeners = match crate::socket::listen_tcp(SocketAddr::new(ip, 0), count) {
                    Ok(listeners) => listeners,
                    // A host without IPv6.
                    Err(error) => {
                        assert!(ip.is_ipv6(), "{error}");
                        continue;
                    }
                };
                steer_by_port(&listeners, HASH).expect("attached");
                let address = listeners[0].local_addr().expect("bound");
                let streams: Vec<_> =
                    (0..60).map(|_| TcpStream::connect(address).expect("connected")).collect();
                let seen = accepted(&listeners, streams.len());
                assert_eq!(seen.len(), streams.len());
                for (port, index) in seen {
                    assert_eq!(index, chosen(port, count), "port {port} of {count} on {ip}");
                }
            }
        }
    }
}
