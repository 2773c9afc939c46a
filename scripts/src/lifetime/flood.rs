//! HELLOs without end from one core: each costs a server that believes it four key agreements, and its sender nothing, because
//! the same ones are sent again and again.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Context;

use super::visitor::random;
use crate::reference::{login::Client, x25519::KeyPair};

/// Different HELLOs.
const HELLO_COUNT: usize = 128;
/// Connections that are flooded by turns.
const CONNECTION_COUNT: usize = 64;
/// How long one may take to be there.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(5);
/// So that the load beside it, which does little, is on time: the flood gets all the rest of the core.
const NICE: i32 = 10;

/// HELLOs whose Noise message opens, of clients nobody enrolled: the dearest there are (SPEC §10.3.3).
pub(super) fn hellos(server_public: &[u8; 32]) -> anyhow::Result<Vec<Vec<u8>>> {
    let pair = || anyhow::Ok(KeyPair::new(random()?));
    (0..HELLO_COUNT as u64)
        .map(|number| {
            let client = Client {
                identity: pair()?,
                ephemeral: pair()?,
                server_public: *server_public,
                channel_binding: Vec::new(),
            };
            Ok(client.padded_hello(number, &[], &[1, 2]).0)
        })
        .collect()
}

/// A flood under way.
pub(super) struct Flood {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
    begun: Instant,
}

impl Flood {
    /// Starts one at `target` from `core`.
    pub(super) fn start(target: SocketAddr, hellos: Vec<Vec<u8>>, core: usize) -> Self {
        let is_over = Arc::<AtomicBool>::default();
        let ends = is_over.clone();
        let thread = thread::spawn(move || {
            settle_on(core);
            let block = hellos.concat();
            let mut lines: Vec<Line> = (0..CONNECTION_COUNT).map(|_| Line::default()).collect();
            let mut sent = 0;
            while !ends.load(Ordering::Relaxed) {
                for line in &mut lines {
                    sent += line.push(target, &block);
                }
            }
            sent / 512
        });
        Self { is_over, thread, begun: Instant::now() }
    }

    /// Ends it; HELLOs sent in a second.
    pub(super) fn stop(self) -> anyhow::Result<f64> {
        self.is_over.store(true, Ordering::Relaxed);
        let elapsed = self.begun.elapsed();
        let count = self.thread.join().ok().context("the flood failed")?;
        Ok(count as f64 / elapsed.as_secs_f64())
    }
}

/// On Linux both concern the calling thread alone. A flood that cannot be moved is one all the same.
fn settle_on(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    let _ = rustix::thread::sched_setaffinity(None, &set);
    let _ = rustix::process::setpriority_process(None, NICE);
}

/// One connection, made anew whenever the server has enough of it.
#[derive(Default)]
struct Line {
    stream: Option<TcpStream>,
    at: usize,
}

impl Line {
    /// Sends what the socket takes; bytes.
    fn push(&mut self, target: SocketAddr, block: &[u8]) -> u64 {
        if self.stream.is_none() {
            let stream = TcpStream::connect_timeout(&target, CONNECT_TIMEOUT).ok();
            self.stream = stream.filter(|stream| stream.set_nonblocking(true).is_ok());
            self.at = 0;
        }
        let Some(stream) = &mut self.stream else { return 0 };
        // What is said back is not needed, and must not stop the server from saying more.
        let mut answers = [0; 16 * 1024];
        let is_open = match stream.read(&mut answers) {
            Ok(count) => count > 0,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        };
        match stream.write(&block[self.at..]) {
            Ok(count) if is_open => {
                self.at = (self.at + count) % block.len();
                count as u64
            }
            Err(error) if is_open && error.kind() == ErrorKind::WouldBlock => 0,
            _ => {
                self.stream = None;
                0
            }
        }
    }
}
