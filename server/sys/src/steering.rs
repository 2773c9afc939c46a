//! Which socket of a group that shares a UDP port gets a QUIC packet: the one its connection id names.

use std::{io, net::UdpSocket, os::fd::AsRawFd};

use libc::{
    BPF_ABS, BPF_B, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, SO_ATTACH_REUSEPORT_CBPF, SOL_SOCKET,
    sock_filter,
};

/// First bit of the first byte: a long header.
const LONG_HEADER_BIT: u32 = 0x80;
/// Where the destination connection id begins behind a long header's version and length (RFC 8999 §5.1).
pub const LONG_HEADER_ID_AT: usize = 6;
/// And behind a short header's first byte (RFC 8999 §5.2).
pub const SHORT_HEADER_ID_AT: usize = 1;
/// `ret a`: the classic BPF return of the accumulator, which libc does not name.
const BPF_A: u32 = 0x10;

/// Has the kernel give every packet to the socket whose number is the first byte of its destination connection id, in
/// the order the sockets of the group were bound. A byte that names no socket (a client chose it) falls to any.
///
/// # Errors
/// The OS's.
pub fn steer_by_connection_id(socket: &UdpSocket) -> io::Result<()> {
    let load = |at: usize| statement(BPF_LD | BPF_B | BPF_ABS, at as u32);
    let mut program = [
        load(0),
        sock_filter { jt: 0, jf: 2, ..statement(BPF_JMP | BPF_JSET | BPF_K, LONG_HEADER_BIT) },
        load(LONG_HEADER_ID_AT),
        statement(BPF_RET | BPF_A, 0),
        load(SHORT_HEADER_ID_AT),
        statement(BPF_RET | BPF_A, 0),
    ];
    let attached = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let size = size_of::<libc::sock_fprog>() as libc::socklen_t;
    let value = (&raw const attached).cast();
    // SAFETY: an open socket; the kernel copies the program, which has as many statements as `len` says, during the call.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, value, size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

const fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::socket::bind_udp;

    /// The number of the socket that gets a packet which begins with these bytes.
    fn receiver_of(sockets: &[UdpSocket], sender: &UdpSocket, packet: &[u8]) -> usize {
        sender.send_to(packet, sockets[0].local_addr().expect("bound")).expect("sent");
        let mut buffer = [0; 64];
        for _ in 0..4000 {
            for (index, socket) in sockets.iter().enumerate() {
                if socket.recv(&mut buffer).is_ok() {
                    return index;
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("nobody got it");
    }

    #[test]
    fn a_packet_reaches_the_socket_its_connection_id_names() {
        let sockets = bind_udp(([127, 0, 0, 1], 0).into(), 4).expect("bound");
        steer_by_connection_id(&sockets[0]).expect("steered");
        let senders: Vec<_> = (0..8).map(|_| UdpSocket::bind("127.0.0.1:0").expect("bound")).collect();
        for sender in &senders {
            for shard in 0..4u8 {
                let short = [0x40, shard, 9, 9, 9, 9, 9, 9, 9, 1, 2, 3];
                assert_eq!(receiver_of(&sockets, sender, &short), usize::from(shard));
                let long = [0xc0, 0, 0, 0, 1, 8, shard, 9, 9, 9, 9, 9, 9, 9];
                assert_eq!(receiver_of(&sockets, sender, &long), usize::from(shard));
            }
            // Of nobody, or too short to say: it arrives somewhere.
            receiver_of(&sockets, sender, &[0xc0, 0, 0, 0, 1, 8, 200, 9, 9, 9]);
            receiver_of(&sockets, sender, &[0x40]);
        }
    }
}
