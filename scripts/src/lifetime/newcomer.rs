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

use super::{flood::pin_to, usage::own_core_ns, visitor::random};
use crate::reference::{frame::Header, login::Client, retry, x25519::KeyPair};

/// HELLOs made in advance: key agreements of the reference are slow, and the flood is to have that time.
const HELLO_COUNT: usize = 192;
/// No flood comes from here.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Between a login and the next.
const PAUSE: Duration = Duration::from_millis(20);
/// After which a login counts as failed, and as having taken this long.
const PATIENCE: Duration = Duration::from_secs(2);

/// What it logs in with: a client and its HELLO, without a cookie.
pub(super) type Attempts = Arc<[(Client, Vec<u8>)]>;

/// Many of them; `identity` is enrolled.
pub(super) fn attempts(server_public: [u8; 32], identity: KeyPair) -> anyhow::Result<Attempts> {
    let attempt = || {
        let ephemeral = KeyPair::new(random()?);
        let client = Client { identity, ephemeral, server_public, channel_binding: Vec::new() };
        let hello = client.padded_hello(1, &[], &[1]).0;
        Ok((client, hello))
    };
    (0..HELLO_COUNT).map(|_| attempt()).collect()
}

/// What became of it.
#[derive(Debug, Clone)]
pub(super) struct Logins {
    /// How long each login took, from its first SYN to its HELLO_R.
    pub(super) taken: Vec<Duration>,
    /// Of a core.
    pub(super) core_share: f64,
}

/// One at work.
pub(super) struct Newcomer {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Logins>>,
}

impl Newcomer {
    /// Starts.
    pub(super) fn start(target: SocketAddr, attempts: Attempts, core: usize) -> Self {
        let is_over = Arc::<AtomicBool>::default();
        let ends = is_over.clone();
        let thread = thread::spawn(move || {
            pin_to(core);
            let (begun, before_ns) = (Instant::now(), own_core_ns()?);
            let mut taken = Vec::new();
            for (client, hello) in attempts.iter().cycle() {
                if ends.load(Ordering::Relaxed) {
                    break;
                }
                taken.push(log_in(target, client, hello));
                thread::sleep(PAUSE);
            }
            let core_ns = (own_core_ns()? - before_ns) as f64;
            Ok(Logins { taken, core_share: core_ns / begun.elapsed().as_nanos() as f64 })
        });
        Self { is_over, thread }
    }

    /// Ends it.
    pub(super) fn stop(self) -> anyhow::Result<Logins> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().ok().context("the newcomer failed")?
    }
}

/// Tries until it is let in, or out of patience.
fn log_in(target: SocketAddr, client: &Client, hello: &[u8]) -> Duration {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Ok(true) = attempt(target, client, hello, begun) {
            return begun.elapsed();
        }
    }
    PATIENCE
}

/// One connection; true when the server answered with HELLO_R.
fn attempt(target: SocketAddr, client: &Client, hello: &[u8], begun: Instant) -> std::io::Result<bool> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    let rest = PATIENCE.saturating_sub(begun.elapsed()).max(Duration::from_millis(1));
    set_socket_timeout(&socket, Timeout::Send, Some(rest))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(rest))?;
    set_tcp_nodelay(&socket, true)?;
    bind(&socket, &SocketAddrV4::new(ADDRESS, 0))?;
    connect(&socket, &target)?;
    let mut stream = TcpStream::from(socket);
    let mut hello = hello.to_vec();
    loop {
        stream.write_all(&hello)?;
        let answer = frame(&mut stream)?;
        if Header::decode(&answer).kind == Header::of("HELLO_R").kind {
            return Ok(true);
        }
        match retry::open_retry(&client.server_public, &hello, &answer) {
            Ok((retry::COOKIE, cookie)) => hello = client.padded_hello(1, &cookie, &[1]).0,
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
