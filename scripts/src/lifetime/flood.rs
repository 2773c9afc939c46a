//! Login frames without end from one core, at no more cost to their sender than sending them.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use anyhow::Context;

use super::{
    flood_kind::Kind,
    flood_line::Line,
    usage::{CoreTicks, CoreUse, own_core_ns},
    visitor::random,
};
use crate::reference::{frame::Header, login::Client, retry, x25519::KeyPair};

/// Different HELLOs.
const HELLO_COUNT: usize = 128;
const HELLO_BYTES: usize = 512;
/// Copies of a HELLO with a cookie in one write.
const COPY_COUNT: usize = 64;
/// As much as the load beside it, which does little: the flood gets all the rest of the core.
const NICE: i32 = 0;

/// What a flood sends: HELLOs whose Noise message opens, of clients nobody enrolled, the dearest there are (SPEC §10.3.3).
#[derive(Debug, Clone)]
pub(super) struct Ammunition {
    client: Client,
    hellos: Vec<Vec<u8>>,
}

impl Ammunition {
    pub(super) fn new(server_public: &[u8; 32]) -> anyhow::Result<Self> {
        let pair = || anyhow::Ok(KeyPair::new(random()?));
        let client = Client {
            identity: pair()?,
            ephemeral: pair()?,
            server_public: *server_public,
            channel_binding: Vec::new(),
        };
        let hellos = (0..HELLO_COUNT as u64)
            .map(|number| {
                let client = Client { identity: pair()?, ephemeral: pair()?, ..client.clone() };
                Ok(client.padded_hello(number, &[], &[1, 2]).0)
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { client, hellos })
    }

    /// What every connection begins with.
    fn block(&self, kind: Kind) -> Vec<u8> {
        match kind {
            _ if kind.is_half_open() => self.hellos[0][..HELLO_BYTES / 2].to_vec(),
            _ if kind.comes_and_goes() => self.hellos[0].clone(),
            Kind::BadMac => {
                let mut hellos = self.hellos.clone();
                hellos.iter_mut().filter_map(|hello| hello.last_mut()).for_each(|byte| *byte ^= 1);
                hellos.concat()
            }
            // One login id, so that one cookie is all it takes.
            _ if kind.brings_cookies() => self.hellos[0].repeat(4),
            _ => self.hellos.concat(),
        }
    }

    /// The same with the cookie that was asked for, if one of `answers` asks.
    fn armed(&self, answers: &[u8]) -> Option<Vec<u8>> {
        let bytes = 2 + usize::from(u16::from_be_bytes([*answers.first()?, *answers.get(1)?]));
        let frame = answers.get(..bytes)?;
        if Header::decode(frame).kind == Header::of("RETRY").kind
            && let Ok((retry::COOKIE, cookie)) =
                retry::open_retry(&self.client.server_public, &self.hellos[0], frame)
        {
            return Some(self.client.padded_hello(0, &cookie, &[1, 2]).0.repeat(COPY_COUNT));
        }
        self.armed(&answers[bytes..])
    }
}

/// What was sent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sent {
    pub(super) frames_per_s: f64,
    pub(super) connections_per_s: f64,
    /// Of one core: its thread's own time, in which its softirqs run on loopback, what they do for the server included (a kernel
    /// without IRQ_TIME_ACCOUNTING counts them as the thread's).
    pub(super) core_share: f64,
    /// What all of its core did meanwhile, by the kernel's ticks.
    pub(super) core: CoreUse,
}

/// A flood under way.
pub(super) struct Flood {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Sent>>,
}

impl Flood {
    /// Starts one at `target` from `core`.
    pub(super) fn start(kind: Kind, target: SocketAddr, ammunition: Ammunition, core: usize) -> Self {
        let is_over = Arc::<AtomicBool>::default();
        let ends = is_over.clone();
        let thread = thread::spawn(move || {
            settle_on(core);
            let (begun, before_ns, before) = (Instant::now(), own_core_ns()?, CoreTicks::of(core)?);
            let (frames, connections) = flood(kind, target, &ammunition, &ends);
            let seconds = begun.elapsed().as_secs_f64();
            Ok(Sent {
                frames_per_s: frames / seconds,
                connections_per_s: connections as f64 / seconds,
                core_share: (own_core_ns()? - before_ns) as f64 / 1e9 / seconds,
                core: CoreTicks::of(core)?.since(&before),
            })
        });
        Self { is_over, thread }
    }

    /// Ends it.
    pub(super) fn stop(self) -> anyhow::Result<Sent> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().ok().context("the flood failed")?
    }
}

/// On Linux both concern the calling thread alone. Where either is refused it is a flood all the same.
fn settle_on(core: usize) {
    pin_to(core);
    let _ = rustix::process::setpriority_process(None, NICE);
}

/// The calling thread.
pub(super) fn pin_to(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    let _ = rustix::thread::sched_setaffinity(None, &set);
}

/// Frames sent, connections made.
fn flood(kind: Kind, target: SocketAddr, ammunition: &Ammunition, ends: &AtomicBool) -> (f64, u64) {
    let first = ammunition.block(kind);
    let mut armed: Vec<Option<Vec<u8>>> = vec![None; kind.line_count()];
    let mut lines: Vec<Line> = (0..kind.line_count()).map(|_| Line::default()).collect();
    let mut room = [0; 16 * 1024];
    let (mut bytes, mut connections) = (0, 0);
    while !ends.load(Ordering::Relaxed) {
        for (number, line) in lines.iter_mut().enumerate() {
            if kind.comes_and_goes() {
                line.close();
            }
            connections += u64::from(line.open(kind.source(number, connections), target));
            let is_stubborn = kind == Kind::NoCookie && number % 2 == 1;
            let answers =
                if kind.comes_and_goes() { Some(&[][..]) } else { line.answers(&mut room, is_stubborn) };
            if kind.brings_cookies()
                && let Some(block) = answers.and_then(|answers| ammunition.armed(answers))
            {
                armed[number] = Some(block);
            }
            let is_open = answers.is_some();
            match line.push(armed[number].as_deref().unwrap_or(&first)).filter(|_| is_open) {
                Some(count) => bytes += count,
                None => line.close(),
            }
            if ends.load(Ordering::Relaxed) {
                break;
            }
        }
    }
    (bytes as f64 / HELLO_BYTES as f64, connections)
}
