//! Sockets that clients reach us at.

use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    os::fd::{AsRawFd, BorrowedFd},
};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections the kernel holds for us before they are accepted.
pub const LISTEN_BACKLOG: i32 = 4096;
/// Datagrams the kernel is asked to hold for a UDP socket, bytes; it may hold fewer.
const DATAGRAM_BYTES_HELD: usize = 4 << 20;

/// What the kernel holds of a connection for us before it was read (twice that, its own bookkeeping included). Left to
/// itself it would grow to megabytes, and under overload what waits there turns stale before it is judged: then everything
/// would be verified and nothing executed.
pub const RECEIVE_BYTES: usize = 256 * 1024;

/// `count` listening TCP sockets on `address` that share its port (`SO_REUSEPORT`), non-blocking, with `TCP_NODELAY`
/// inherited by what they accept. Port 0 is chosen by the kernel once for all of them. All or none.
///
/// # Errors
/// The OS's. A port that another process listens on is refused even if that process shares it.
pub fn listen_tcp(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    // SO_REUSEPORT would let us join another server's port: ask for the port alone first.
    let address = listener(address, false)?.local_addr()?;
    (0..count).map(|_| listener(address, true)).collect()
}

/// Has the kernel hold as many connections for `listener` before they are accepted, from now on; what it holds already stays.
///
/// # Errors
/// The OS's.
pub fn set_backlog(listener: &impl AsRawFd, count: i32) -> io::Result<()> {
    // SAFETY: the descriptor of an object that lives as long as the call.
    let listener = unsafe { BorrowedFd::borrow_raw(listener.as_raw_fd()) };
    Ok(rustix::net::listen(listener, count)?)
}

fn listener(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_tcp_nodelay(true)?;
    // Before it listens: what it accepts inherits both.
    socket.set_recv_buffer_size(RECEIVE_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if shared {
        socket.listen(LISTEN_BACKLOG)?;
    } else {
        // Bound alone: a listener of another process would have refused it; SO_REUSEADDR alone does not
        // share with a listening socket.
        socket.listen(1)?;
    }
    Ok(socket.into())
}

/// `count` UDP sockets on `address` that share its port (`SO_REUSEPORT`), non-blocking, bound in order. All or none.
///
/// # Errors
/// The OS's. A port that another process has is refused even if that process shares it.
pub fn bind_udp(address: SocketAddr, count: usize) -> io::Result<Vec<UdpSocket>> {
    let address = datagram_socket(address, false)?.local_addr()?;
    (0..count).map(|_| datagram_socket(address, true)).collect()
}

fn datagram_socket(address: SocketAddr, shared: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(DATAGRAM_BYTES_HELD)?;
    socket.set_send_buffer_size(DATAGRAM_BYTES_HELD)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}
