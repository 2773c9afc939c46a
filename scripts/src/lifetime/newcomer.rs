//! An honest client that logs in without end, from an address of its own, while others flood.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Context;
use rustix::net::{
    AddressFamily, SocketType, bind, connect, socket,
    sockopt::{Timeout, set_socket_timeout, set_tcp_nodelay},
};

use super::{flood::pin_to, visitor::random};
use crate::reference::{frame::Header, login::Client, retry, x25519::KeyPair};

/// No flood comes from here.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Between a login and the next.
const PAUSE: Duration = Duration::from_millis(20);
/// After which a login counts as failed, and as having taken this long.
const PATIENCE: Duration = Duration::from_secs(2);

/// One at work.
pub(super) struct Newcomer {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Vec<Duration>>>,
}

impl Newcomer {
    /// Starts; `identity` is enrolled.
    pub(super) fn start(target: SocketAddr, server_public: [u8; 32], identity: KeyPair, core: usize) -> Self {
        let is_over = Arc::<AtomicBool>::default();
        let ends = is_over.clone();
        let thread = thread::spawn(move || {
            pin_to(core);
            let mut taken = Vec::new();
            while !ends.load(Ordering::Relaxed) {
                let ephemeral = KeyPair::new(random()?);
                let client = Client { identity, ephemeral, server_public, channel_binding: Vec::new() };
                taken.push(log_in(target, &client));
                thread::sleep(PAUSE);
            }
            Ok(taken)
        });
        Self { is_over, thread }
    }

    /// Ends it; how long each login took, from its first SYN to its HELLO_R.
    pub(super) fn stop(self) -> anyhow::Result<Vec<Duration>> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().ok().context("the newcomer failed")?
    }
}

/// Tries until it is let in, or out of patience.
fn log_in(target: SocketAddr, client: &Client) -> Duration {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Ok(true) = attempt(target, client, begun) {
            return begun.elapsed();
        }
    }
    PATIENCE
}

/// One connection; true when the server answered with HELLO_R.
fn attempt(target: SocketAddr, client: &Client, begun: Instant) -> std::io::Result<bool> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    let rest = PATIENCE.saturating_sub(begun.elapsed()).max(Duration::from_millis(1));
    set_socket_timeout(&socket, Timeout::Send, Some(rest))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(rest))?;
    set_tcp_nodelay(&socket, true)?;
    bind(&socket, &SocketAddrV4::new(ADDRESS, 0))?;
    connect(&socket, &target)?;
    let mut stream = TcpStream::from(socket);
    let mut cookie = Vec::new();
    loop {
        let (hello, _) = client.padded_hello(1, &cookie, &[1]);
        stream.write_all(&hello)?;
        let answer = frame(&mut stream)?;
        if Header::decode(&answer).kind == Header::of("HELLO_R").kind {
            return Ok(true);
        }
        match retry::open_retry(&client.server_public, &hello, &answer) {
            Ok((retry::COOKIE, bytes)) => cookie = bytes,
            Ok((retry::BUSY, bytes)) if bytes.len() == 4 => {
                thread::sleep(Duration::from_millis(
                    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).into(),
                ));
            }
            _ => return Err(ErrorKind::InvalidData.into()),
        }
        if begun.elapsed() > PATIENCE {
            return Ok(false);
        }
    }
}

fn frame(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut frame = vec![0; 2];
    stream.read_exact(&mut frame)?;
    frame.resize(2 + usize::from(u16::from_be_bytes([frame[0], frame[1]])), 0);
    stream.read_exact(&mut frame[2..])?;
    Ok(frame)
}
