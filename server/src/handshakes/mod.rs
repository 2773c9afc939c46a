//! The pool that does the key agreement of logins, resumes and recoveries, beside the shards and bounded (SPEC §14.4).

mod cookies;
mod login;
mod outcomes;
mod queue;
mod recover;
mod resume;
mod stock;
mod threads;

use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use arc_swap::ArcSwapOption;
use mvt_proto::{
    Kind, Suite,
    agreement::Ephemeral,
    constants::{COOKIE_BYTES, KEY_BYTES},
    frame::grant::Grant,
    header,
    secret::Secret,
};

use crate::{
    fatal::Fatal,
    keys::random_secret,
    limits::LOGIN_THREADS_MAX,
    mailbox::{Mail, Mailbox},
    node::Node,
    shard::{ChannelBinding, ConnectionId},
};
use cookies::Cookies;
use outcomes::Outcomes;
use queue::Queue;
use stock::Stock;
use threads::{Bench, Sleeper, UnderWay};

/// A HELLO, a RESUME or a RECOVER whose mac1 and layout held.
#[derive(Debug)]
pub struct Job {
    /// The shard it arrived at, which will own the session.
    pub shard: usize,
    /// Its connection there.
    pub connection: ConnectionId,
    /// What that connection is bound to; `None` on TCP (SPEC §10).
    pub channel_binding: Option<Box<ChannelBinding>>,
    /// What it is.
    pub kind: Kind,
    /// The whole frame.
    pub frame: Box<[u8]>,
}

impl Job {
    /// The CB of SPEC §10, §12.3 and §13.1.
    fn channel_binding(&self) -> &[u8] {
        self.channel_binding.as_deref().map_or(&[], |binding| binding)
    }
}

/// How full the queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// Up to half full, and it has been for a while.
    Low,
    /// More, or it was a moment ago: cookies are asked (§14.2).
    High,
    /// Full: clients wait.
    Full,
}

/// The queues of the pool, and the cookies that guard them. RESUMEs have one of their own, as long as the others': a flood
/// of HELLOs, which cost two key agreements before they are known to be worthless, does not keep out those who hold a ticket.
#[derive(Debug)]
pub struct HandshakePool {
    inner: Arc<Inner>,
    cookies: Cookies,
}

/// What shards and threads share.
#[derive(Debug)]
struct Inner {
    logins: Queue,
    resumes: Queue,
    /// Frames taken, which tells whose turn it is.
    taken: AtomicUsize,
    stock: Stock,
    /// One for each thread, once they were started; the steady one is the last.
    seats: OnceLock<Box<[Seat]>>,
    is_over: AtomicBool,
}

impl Inner {
    const fn queue(&self, kind: Kind) -> &Queue {
        match kind {
            Kind::Resume => &self.resumes,
            _ => &self.logins,
        }
    }

    /// Of either queue by turns.
    fn take(&self) -> Option<Job> {
        let is_even = self.taken.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
        let (first, second) =
            if is_even { (&self.resumes, &self.logins) } else { (&self.logins, &self.resumes) };
        first.take().or_else(|| second.take())
    }

    fn has_work(&self) -> bool {
        !self.logins.is_empty() || !self.resumes.is_empty() || self.is_over()
    }

    /// Whether something waits, or is being worked on.
    fn is_at_work(&self) -> bool {
        self.has_work() || self.seats().iter().any(|seat| seat.under_way.load().is_some())
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    fn seats(&self) -> &[Seat] {
        self.seats.get().map_or(&[], |seats| seats)
    }

    /// Wakes one that sleeps; the steady one last: where all others are busy, or get no core, it sees to it that there is some
    /// progress.
    fn wake_one(&self) {
        self.seats().iter().any(|seat| seat.sleeper.wake());
    }

    fn wake_steady(&self) {
        self.seats().last().map(|seat| seat.sleeper.wake());
    }
}

/// Of one thread.
#[derive(Debug)]
struct Seat {
    sleeper: Sleeper,
    outcomes: Outcomes,
    /// What it works on, so that the steady one can where this one gets no core.
    under_way: ArcSwapOption<UnderWay>,
}

impl HandshakePool {
    /// A pool whose queues hold `queue_count` frames each; its threads start with [`HandshakePool::start`].
    ///
    /// # Errors
    /// [`Fatal::Randomness`].
    pub fn new(queue_count: usize, now_ms: u64) -> Result<Self, Fatal> {
        let inner = Inner {
            logins: Queue::new(queue_count),
            resumes: Queue::new(queue_count),
            taken: AtomicUsize::new(0),
            stock: Stock::new(),
            seats: OnceLock::new(),
            is_over: AtomicBool::new(false),
        };
        Ok(Self { inner: Arc::new(inner), cookies: Cookies::new(now_ms)? })
    }

    /// Starts `threads` threads, [`LOGIN_THREADS_MAX`] at most, and a steady one; results go to the shards. Does so once.
    ///
    /// # Errors
    /// [`Fatal::Os`] when a thread cannot start.
    pub fn start(&self, threads: usize, node: &Arc<Node>, mailboxes: &Arc<[Mailbox]>) -> Result<(), Fatal> {
        let threads = threads.min(LOGIN_THREADS_MAX);
        let seat = |_| Seat {
            sleeper: Sleeper::default(),
            outcomes: Outcomes::new(mailboxes.len()),
            under_way: ArcSwapOption::empty(),
        };
        if self.inner.seats.set((0..=threads).map(seat).collect()).is_err() {
            return Ok(());
        }
        for number in 0..=threads {
            let (inner, node, mailboxes) = (self.inner.clone(), node.clone(), mailboxes.clone());
            let bench = Bench { inner, node, mailboxes, number };
            if number < threads {
                spawn(format!("mvt-login-{number}"), move || bench.take_what_is_idle())?;
            } else {
                spawn("mvt-login-s".into(), move || bench.keep_steady())?;
            }
        }
        Ok(())
    }

    /// How full the queue of this kind is.
    #[must_use]
    pub fn load(&self, kind: Kind) -> Load {
        self.inner.queue(kind).load()
    }

    /// A cookie was asked for a frame of this kind.
    pub fn note_asked(&self, kind: Kind, now_ms: u64) {
        self.inner.queue(kind).note_asked(now_ms);
    }

    /// To be called at every sweep.
    pub fn relax(&self, now_ms: u64) {
        self.inner.logins.relax(now_ms);
        self.inner.resumes.relax(now_ms);
        // Those that were woken for what waits may not have run since.
        if self.inner.is_at_work() {
            self.inner.wake_steady();
        }
    }

    /// Queues a job that came from `peer`.
    ///
    /// # Errors
    /// The job, when its queue is full, or as full as that address may make it.
    pub fn submit(&self, job: Job, peer: SocketAddr, now_ms: u64) -> Result<(), Job> {
        self.inner.queue(job.kind).put(job, peer, now_ms)?;
        self.inner.wake_one();
        Ok(())
    }

    /// Moves what the threads have made for `shard` into `taken`; none of them is waited for.
    pub(crate) fn take_outcomes(&self, shard: usize, taken: &mut Vec<Mail>) {
        for seat in self.inner.seats() {
            seat.outcomes.take(shard, taken);
        }
    }

    /// A key pair for an OFFER; `None` when the stock is empty.
    #[must_use]
    pub fn take_ephemeral(&self) -> Option<Box<Ephemeral>> {
        let pair = self.inner.stock.take();
        if self.inner.stock.is_low() {
            self.inner.wake_steady();
        }
        pair
    }

    /// Fills the stock of key pairs, as the pool does when it runs low.
    pub fn fill_stock(&self) {
        self.inner.stock.fill();
    }

    /// The cookie that `frame` must bring; `None` when it brings a valid one (§14.2).
    #[must_use]
    pub fn cookie_to_bring(&self, frame: &[u8], peer: SocketAddr, now_ms: u64) -> Option<[u8; COOKIE_BYTES]> {
        self.cookies.to_bring(frame, peer, now_ms)
    }
}

impl Drop for HandshakePool {
    fn drop(&mut self) {
        self.inner.is_over.store(true, Ordering::Release);
        for seat in self.inner.seats() {
            seat.sleeper.wake();
        }
    }
}

fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> Result<(), Fatal> {
    thread::Builder::new()
        .name(name)
        .spawn(work)
        .map(drop)
        .map_err(|source| Fatal::Os { what: "cannot start a login thread", source })
}

/// What the pool makes of one job: a letter to the shard it came from.
#[must_use]
#[inline(never)]
pub fn judge(node: &Node, job: &Job) -> Mail {
    let judged = match job.kind {
        Kind::Resume => resume::judge(node, job),
        Kind::Recover => recover::judge(node, job),
        _ => login::judge(node, job),
    };
    match judged {
        Ok(newcomer) => Mail::Admitted { connection: job.connection, newcomer: Box::new(newcomer) },
        Err(reject) => Mail::LoginRefused { connection: job.connection, reject },
    }
}

/// What a new session at `shard` is granted.
fn grant(node: &Node, shard: usize, suite: Suite) -> Grant {
    let key_id = fresh_key_id(node.node_slot, shard);
    Grant {
        key_id,
        suite,
        server_time_ms: node.clock.now_ms(),
        limits: node.limits,
        lost_key: node.lost_keys.lost_key(key_id),
    }
}

fn fresh_secret() -> Secret {
    // Refused at start if it ever fails; failing later would mean predictable keys, so the process ends instead.
    random_secret().expect("the operating system gives randomness")
}

fn fresh_key_id(node_slot: u16, shard: usize) -> u64 {
    loop {
        let random = fresh_secret();
        let bytes: &[u8; KEY_BYTES] = random.expose();
        let low = bytes[..8].iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        let key_id = header::key_id(node_slot, shard as u8, low);
        if key_id != 0 {
            return key_id;
        }
    }
}
