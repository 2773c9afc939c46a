//! The pool that does the key agreement of logins, beside the shards and bounded (SPEC §14.4).

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, OnceLock},
    thread,
};

use crossbeam::channel::{Receiver, Sender, bounded};
use mvt_proto::{
    Reject,
    constants::{COOKIE_BYTES, KEY_BYTES},
    frame::{grant::Grant, hello::Hello},
    header,
    login::{Admitted, CookieSecret, Responder},
    secret::Secret,
};

use crate::{
    fatal::Fatal,
    keys::random_secret,
    limits::COOKIE_SECRET_MS,
    mailbox::{Mail, Mailbox},
    node::Node,
    shard::{ChannelBinding, ConnectionId},
};

/// A HELLO whose mac1 held.
#[derive(Debug)]
pub struct Job {
    /// The shard it arrived at, which will own the session.
    pub shard: usize,
    /// Its connection there.
    pub connection: ConnectionId,
    /// What that connection is bound to; `None` on TCP (SPEC §10).
    pub channel_binding: Option<Box<ChannelBinding>>,
    /// The whole frame.
    pub hello: Box<[u8]>,
}

/// How full the queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// Up to half full.
    Low,
    /// More: cookies are asked (§14.2).
    High,
    /// Full: clients wait.
    Full,
}

/// The queue of the pool, and the cookies that guard it.
#[derive(Debug)]
pub struct HandshakePool {
    queue: Sender<Job>,
    waiting: OnceLock<Receiver<Job>>,
    cookies: Mutex<Cookies>,
}

#[derive(Debug)]
struct Cookies {
    current: CookieSecret,
    previous: CookieSecret,
    made_ms: u64,
}

impl HandshakePool {
    /// A pool whose queue holds `queue_count` logins; its threads start with [`HandshakePool::start`].
    ///
    /// # Errors
    /// [`Fatal::Randomness`].
    pub fn new(queue_count: usize, now_ms: u64) -> Result<Self, Fatal> {
        let (sender, receiver) = bounded(queue_count);
        let cookies = Cookies {
            current: CookieSecret::new(random_secret()?),
            previous: CookieSecret::new(random_secret()?),
            made_ms: now_ms,
        };
        Ok(Self { queue: sender, waiting: OnceLock::from(receiver), cookies: Mutex::new(cookies) })
    }

    /// Starts `threads` threads; results go to the shards' mailboxes.
    ///
    /// # Errors
    /// [`Fatal::Os`] when a thread cannot start.
    pub fn start(&self, threads: usize, node: &Arc<Node>, mailboxes: &Arc<[Mailbox]>) -> Result<(), Fatal> {
        let Some(waiting) = self.waiting.get() else { return Ok(()) };
        for number in 0..threads {
            let (node, mailboxes, waiting) = (node.clone(), mailboxes.clone(), waiting.clone());
            thread::Builder::new()
                .name(format!("mvt-login-{number}"))
                .spawn(move || work(&node, &mailboxes, &waiting))
                .map_err(|source| Fatal::Os { what: "cannot start a login thread", source })?;
        }
        Ok(())
    }

    /// How full the queue is.
    #[must_use]
    pub fn load(&self) -> Load {
        let (length, most) = (self.queue.len(), self.queue.capacity().unwrap_or(usize::MAX));
        if length >= most {
            Load::Full
        } else if length * 2 > most {
            Load::High
        } else {
            Load::Low
        }
    }

    /// Queues a login.
    ///
    /// # Errors
    /// The job, when the queue is full.
    pub fn submit(&self, job: Job) -> Result<(), Job> {
        self.queue.try_send(job).map_err(crossbeam::channel::TrySendError::into_inner)
    }

    /// The cookie the HELLO must bring; `None` when it brings a valid one (§14.2).
    #[must_use]
    pub fn cookie_to_bring(
        &self,
        hello: &Hello<'_>,
        peer: SocketAddr,
        now_ms: u64,
    ) -> Option<[u8; COOKIE_BYTES]> {
        let mut cookies = self.cookies.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if now_ms.saturating_sub(cookies.made_ms) >= COOKIE_SECRET_MS
            && let Ok(secret) = random_secret()
        {
            let old = std::mem::replace(&mut cookies.current, CookieSecret::new(secret));
            cookies.previous = old;
            cookies.made_ms = now_ms;
        }
        let address = address_bytes(peer);
        let is_valid = cookies.current.accepts(hello, &address) || cookies.previous.accepts(hello, &address);
        (!is_valid).then(|| cookies.current.cookie(hello, &address))
    }
}

/// IP address and port in one fixed encoding.
fn address_bytes(peer: SocketAddr) -> [u8; 18] {
    let ip = match peer.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut bytes = [0u8; 18];
    bytes[..16].copy_from_slice(&ip.octets());
    bytes[16..].copy_from_slice(&peer.port().to_be_bytes());
    bytes
}

fn work(node: &Node, mailboxes: &[Mailbox], waiting: &Receiver<Job>) {
    for job in waiting {
        let mut mail = match admit(node, &job) {
            Ok(admitted) => Mail::Admitted { connection: job.connection, admitted: Box::new(admitted) },
            Err(reject) => Mail::LoginRefused { connection: job.connection, reject },
        };
        // A full mailbox means the shard is behind: the pool waits with it, and its own queue fills and sheds.
        while let Err(returned) = mailboxes[job.shard].post(mail) {
            mail = returned;
            thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

fn admit(node: &Node, job: &Job) -> Result<Admitted, Reject> {
    let hello = Hello::parse(&job.hello)?;
    let channel_binding = job.channel_binding.as_deref().map_or(&[][..], |binding| binding);
    let responder = Responder::read(&node.identity, hello, channel_binding, fresh_secret())?;
    let enrolment = node.enrolment.load();
    let client = enrolment.find(responder.client_public());
    // A client nobody knows costs the same work, and gets nothing for it.
    let suite = match client {
        Some(client) => responder.choose_suite(&client.suites),
        None => responder.choose_suite(&mvt_proto::Suite::ALL.map(|(suite, _)| suite)),
    }?;
    let key_id = fresh_key_id(node.node_slot, job.shard);
    let grant = Grant {
        key_id,
        suite,
        server_time_ms: node.clock.now_ms(),
        limits: node.limits,
        lost_key: node.lost_keys.lost_key(key_id),
        ticket: Vec::new(),
    };
    let admitted = responder.admit(&grant)?;
    if client.is_some() { Ok(admitted) } else { Err(Reject::UnknownClient) }
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
