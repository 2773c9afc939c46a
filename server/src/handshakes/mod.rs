//! The pool that does the key agreement of logins, resumes, recoveries and renewals, beside the shards and bounded (SPEC §14.4).

mod agreements;
mod cookies;
mod failures;
mod login;
mod queue;
mod recover;
mod resume;
mod stock;

use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crossbeam::channel::{Receiver, Sender, after, bounded, never, select};
use mvt_proto::{
    Kind, Suite,
    agreement::Ephemeral,
    constants::{COOKIE_BYTES, KEY_BYTES},
    frame::grant::Grant,
    header,
    secret::{Secret, scrub_stack},
};

use crate::{
    fatal::Fatal,
    keys::random_secret,
    limits::{LOGIN_SLICE_NS, LOGIN_THREAD_NICE},
    mailbox::{Mail, Mailbox},
    node::Node,
    shard::{ChannelBinding, ConnectionId},
};
pub use agreements::{ATTENTION, Asked, LOOK};

use agreements::{Agreements, Attendant};
use cookies::Cookies;
use failures::Failures;
use queue::Queue;
use stock::Stock;

/// A HELLO, a RESUME or a RECOVER whose mac1 and layout held.
#[derive(Debug)]
pub struct Job {
    /// The shard it arrived at, which will own the session.
    pub shard: usize,
    /// Its connection there.
    pub connection: ConnectionId,
    /// Whose it is.
    pub peer: SocketAddr,
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
    queues: Arc<Queues>,
    bell: Sender<()>,
    waiting: OnceLock<Waiting>,
    cookies: Cookies,
    stock: Arc<Stock>,
}

/// What waits.
#[derive(Debug)]
struct Queues {
    logins: Queue,
    resumes: Queue,
    /// Frames taken, which tells whose turn it is.
    taken: AtomicUsize,
    failures: Failures,
    agreements: Agreements,
}

impl Queues {
    const fn of(&self, kind: Kind) -> &Queue {
        match kind {
            Kind::Resume => &self.resumes,
            _ => &self.logins,
        }
    }

    fn has_logins(&self) -> bool {
        !self.logins.is_empty() || !self.resumes.is_empty()
    }

    /// Of either queue by turns.
    fn take(&self) -> Option<Job> {
        let is_even = self.taken.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
        let (first, second) =
            if is_even { (&self.resumes, &self.logins) } else { (&self.logins, &self.resumes) };
        first.take().or_else(|| second.take())
    }
}

/// Where the threads hear that there is something to do.
#[derive(Debug, Clone)]
struct Waiting {
    bell: Receiver<()>,
    is_low: Receiver<()>,
}

/// Rings of the bell that may wait: as many threads wake. More of them would find nothing.
const RINGS_MAX: usize = 64;

/// Attempts to hand a result to its shard, 1 ms apart.
const POST_ATTEMPTS: usize = 20;

impl HandshakePool {
    /// A pool whose queues hold `queue_count` frames each; its threads start with [`HandshakePool::start`].
    ///
    /// # Errors
    /// [`Fatal::Randomness`].
    pub fn new(queue_count: usize, now_ms: u64) -> Result<Self, Fatal> {
        let queues = Queues {
            logins: Queue::new(queue_count),
            resumes: Queue::new(queue_count),
            taken: AtomicUsize::new(0),
            failures: Failures::new(),
            agreements: Agreements::new(),
        };
        let (bell, waiting_bell) = bounded(RINGS_MAX);
        let (stock, is_low) = Stock::new();
        let waiting = Waiting { bell: waiting_bell, is_low };
        let cookies = Cookies::new(now_ms)?;
        Ok(Self {
            queues: Arc::new(queues),
            bell,
            waiting: OnceLock::from(waiting),
            cookies,
            stock: Arc::new(stock),
        })
    }

    /// Starts `threads` threads; results go to the shards' mailboxes.
    ///
    /// # Errors
    /// [`Fatal::Os`] when a thread cannot start.
    pub fn start(&self, threads: usize, node: &Arc<Node>, mailboxes: &Arc<[Mailbox]>) -> Result<(), Fatal> {
        let Some(waiting) = self.waiting.get() else { return Ok(()) };
        for number in 0..threads {
            let (node, mailboxes, waiting) = (node.clone(), mailboxes.clone(), waiting.clone());
            let (queues, stock) = (self.queues.clone(), self.stock.clone());
            thread::Builder::new()
                .name(format!("mvt-login-{number}"))
                .spawn(move || work(&node, &mailboxes, &waiting, &queues, &stock))
                .map_err(|source| Fatal::Os { what: "cannot start a login thread", source })?;
        }
        Ok(())
    }

    /// How full the queue of this kind is.
    #[must_use]
    pub fn load(&self, kind: Kind) -> Load {
        self.queues.of(kind).load()
    }

    /// A cookie was asked for a frame of this kind.
    pub fn note_asked(&self, kind: Kind, now_ms: u64) {
        self.queues.of(kind).note_asked(now_ms);
    }

    /// To be called at every sweep: pressure that is over is forgotten.
    pub fn relax(&self, now_ms: u64) {
        self.queues.logins.relax(now_ms);
        self.queues.resumes.relax(now_ms);
    }

    /// Whether so many logins of `peer` were refused of late that the next is to wait.
    #[must_use]
    pub fn fails_too_often(&self, peer: SocketAddr, now_ms: u64) -> bool {
        self.queues.failures.are_too_many(peer, now_ms)
    }

    /// Counts a refused login of `peer`, as the pool's threads do.
    pub fn note_failure(&self, peer: SocketAddr, now_ms: u64) {
        self.queues.failures.note(peer, now_ms);
    }

    /// Queues a job.
    ///
    /// # Errors
    /// The job, when its queue is full, or as full as that address may make it.
    pub fn submit(&self, job: Job, now_ms: u64) -> Result<(), Job> {
        self.queues.of(job.kind).put(job, now_ms)?;
        // A full bell wakes somebody anyway.
        let _ = self.bell.try_send(());
        Ok(())
    }

    /// A key pair for an OFFER; `None` when the stock is empty.
    #[must_use]
    pub fn take_ephemeral(&self) -> Option<Arc<Ephemeral>> {
        self.stock.take()
    }

    /// Has the key agreement of a renewal computed; whether there was room. The result goes to the shard's mailbox.
    #[must_use]
    pub fn agree(&self, asked: Asked) -> bool {
        let is_taken = self.queues.agreements.put(asked);
        if is_taken && self.queues.agreements.is_unattended() {
            let _ = self.bell.try_send(());
        }
        is_taken
    }

    /// Computes what [`HandshakePool::agree`] was given, as the pool's threads do.
    pub fn work_off_agreements(&self, mailboxes: &[Mailbox]) {
        self.queues.agreements.work_off(mailboxes);
    }

    /// Fills the stock of key pairs, as the pool's threads do when it runs low.
    pub fn fill_stock(&self) {
        while self.stock.add_one() {}
    }

    /// The cookie that `frame` must bring; `None` when it brings a valid one (§14.2).
    #[must_use]
    pub fn cookie_to_bring(&self, frame: &[u8], peer: SocketAddr, now_ms: u64) -> Option<[u8; COOKIE_BYTES]> {
        self.cookies.to_bring(frame, peer, now_ms)
    }
}

fn work(node: &Node, mailboxes: &[Mailbox], waiting: &Waiting, queues: &Queues, stock: &Stock) {
    // On Linux this concerns the calling thread alone. Refused, it costs a flooded server some of its goodput.
    if let Err(error) = rustix::process::setpriority_process(None, LOGIN_THREAD_NICE) {
        tracing::warn!(%error, "login threads share their cores with the shards as equals");
    }
    let mut attendant = Attendant::default();
    // Refused, a shard waits for longer.
    let _ = mvt_sys::slice::shorten_to(LOGIN_SLICE_NS);
    loop {
        let look = attendant.attend(&queues.agreements, mailboxes).map_or_else(never, after);
        let is_over = select! {
            recv(look) -> _ => false,
            recv(waiting.bell) -> ring => ring.is_err(),
            recv(waiting.is_low) -> low => {
                fill(stock, queues, mailboxes);
                low.is_err()
            }
        };
        if is_over {
            return;
        }
        if queues.has_logins() {
            attendant.leave(&queues.agreements, mailboxes);
        }
        // All there is: a bell that is full does not ring for each.
        while let Some(job) = queues.take() {
            work_on(node, mailboxes, queues, &job);
            queues.agreements.work_off(mailboxes);
            if waiting.is_low.try_recv().is_ok() {
                fill(stock, queues, mailboxes);
            }
        }
    }
}

/// Makes key pairs for OFFERs. No SHARE waits for more than one.
fn fill(stock: &Stock, queues: &Queues, mailboxes: &[Mailbox]) {
    while stock.add_one() {
        queues.agreements.work_off(mailboxes);
    }
    scrub_stack();
}

fn work_on(node: &Node, mailboxes: &[Mailbox], queues: &Queues, job: &Job) {
    let mut mail = judge(node, job);
    // A RESUME that is refused was cheap, and all of them may be: where a ring was voided.
    if matches!(mail, Mail::LoginRefused { .. }) && job.kind != Kind::Resume {
        queues.failures.note(job.peer, node.clock.now_ms());
    }
    // The keys that were agreed are in the box; what was left of them on the way is not needed.
    scrub_stack();
    // A full mailbox means the shard is behind. The pool waits a little with it, and its own queue fills and sheds; but
    // a shard that stands still must not stop the logins of the others: then the login is dropped, and its connection
    // ends at its deadline.
    for _ in 0..POST_ATTEMPTS {
        match mailboxes[job.shard].post(mail) {
            Ok(()) => break,
            Err(returned) => mail = returned,
        }
        thread::sleep(std::time::Duration::from_millis(1));
    }
    // A shard that waits for this core need not wait for the next one's, nor for the kernel's tick.
    thread::yield_now();
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
