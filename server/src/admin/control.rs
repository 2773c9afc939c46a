//! The control thread: owns the store, executes commands, publishes to the node. The shards never wait for it.

use std::{
    io::{ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    admin::{
        execute::{Host, ServerKeys, Unconfirmed, execute},
        listener::AdminListener,
        peer::Peer,
        recovery::RecoveryDesk,
        request::{Answer, Request},
    },
    fatal::Fatal,
    limits::{ADMIN_PEERS_MAX, REVOKE_CONFIRM_MS},
    mailbox::{Mail, Mailbox},
    node::Node,
    registry::Registry,
    revocations::Revocations,
    store::StoreError,
};

/// How often the store is asked for what others changed, and deadlines are looked at.
const TICK: Duration = Duration::from_millis(500);
/// How often revocations that have run out are looked for.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);

/// The control thread, running.
#[derive(Debug)]
pub struct Control {
    waker: UnixStream,
    is_stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Control {
    /// Listens at `path` and starts the thread.
    ///
    /// # Errors
    /// [`Fatal::AdminSocket`], [`Fatal::Os`].
    pub fn start(
        path: &Path,
        registry: Registry,
        node: Arc<Node>,
        mailboxes: Arc<[Mailbox]>,
    ) -> Result<Self, Fatal> {
        let listener = AdminListener::bind(path)
            .map_err(|source| Fatal::AdminSocket { path: path.to_owned(), source })?;
        let os = |source| Fatal::Os { what: "cannot start the control thread", source };
        let (waker, waiter) = UnixStream::pair().map_err(os)?;
        waiter.set_nonblocking(true).map_err(os)?;
        let is_stopping = Arc::<AtomicBool>::default();
        let recoveries =
            RecoveryDesk::new(node.recoveries.take_inbox().expect("one control thread for a node"));
        let mut desk = Desk {
            listener,
            waiter,
            peers: Vec::new(),
            registry,
            station: Station { node, mailboxes, owed: Vec::new() },
            is_stopping: is_stopping.clone(),
            pruned: Instant::now(),
            recoveries,
        };
        let thread = thread::Builder::new().name("mvt-control".into());
        let thread = thread.spawn(move || desk.serve()).map_err(os)?;
        Ok(Self { waker, is_stopping, thread })
    }

    /// Ends the thread: what was acknowledged is kept, the store is closed.
    pub fn stop(self) {
        self.is_stopping.store(true, Ordering::Release);
        let _ = (&self.waker).write(&[1]);
        let _ = self.thread.join();
    }
}

/// What the thread works with.
struct Desk {
    listener: AdminListener,
    waiter: UnixStream,
    peers: Vec<Peer>,
    registry: Registry,
    station: Station,
    is_stopping: Arc<AtomicBool>,
    pruned: Instant,
    recoveries: RecoveryDesk,
}

impl Desk {
    fn serve(&mut self) {
        let mut ticked = Instant::now();
        while !self.is_stopping.load(Ordering::Acquire) {
            self.wait();
            let now = Instant::now();
            self.accept(now);
            self.read_peers();
            if let Err(error) = self.recoveries.record(&mut self.registry, &mut self.station) {
                end::<()>(&error);
            }
            self.peers.retain(|peer| !peer.is_done(now));
            if now.duration_since(ticked) >= TICK {
                ticked = now;
                self.tick(now);
            }
        }
    }

    fn wait(&self) {
        let inbox = self.recoveries.waiter();
        let mut waits = vec![PollFd::new(&self.waiter, PollFlags::IN), PollFd::new(inbox, PollFlags::IN)];
        if self.peers.len() < ADMIN_PEERS_MAX {
            waits.push(PollFd::new(self.listener.as_fd(), PollFlags::IN));
        }
        waits.extend(self.peers.iter().map(|peer| PollFd::new(peer.stream(), peer.interest())));
        let timeout = Timespec { tv_sec: 0, tv_nsec: TICK.subsec_nanos().into() };
        // A signal or a passing shortage: the loop looks at everything anyway.
        let _ = poll(&mut waits, Some(&timeout));
        let _ = (&self.waiter).read(&mut [0; 64]);
        let _ = self.recoveries.waiter().read(&mut [0; 64]);
    }

    fn accept(&mut self, now: Instant) {
        while self.peers.len() < ADMIN_PEERS_MAX {
            match self.listener.accept() {
                Ok(Some((stream, uid))) => self.peers.push(Peer::new(stream, uid, now)),
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => {
                    tracing::warn!(%error, "admin socket: accept failed");
                    return;
                }
            }
        }
    }

    fn read_peers(&mut self) {
        let Self { peers, registry, station, .. } = self;
        for peer in peers {
            peer.write();
            while let Some(line) = peer.read() {
                let answer = match serde_json::from_slice::<Request>(&line) {
                    Ok(request) => {
                        execute(registry, station, peer.uid(), &request).unwrap_or_else(|error| end(&error))
                    }
                    // Where in the line, not what stood there.
                    Err(error) => {
                        let text = format!("not a request: column {}", error.column());
                        Answer::Refused { status: 2, text }
                    }
                };
                let line = serde_json::to_vec(&answer).expect("answers are plain data");
                peer.answer(line, Instant::now());
            }
        }
    }

    fn tick(&mut self, now: Instant) {
        self.station.post_owed();
        self.station.node.tickets.tick(self.station.now_ms());
        match self.registry.follow() {
            Ok(true) => self.station.publish(&self.registry),
            Ok(false) => {}
            Err(error) => self.note(&error),
        }
        if now.duration_since(self.pruned) >= PRUNE_INTERVAL {
            self.pruned = now;
            match self.registry.prune(self.station.now_ms()) {
                Ok(0) => {}
                Ok(_) => self.station.publish(&self.registry),
                Err(crate::registry::RegistryError::Store(error)) => self.note(&error),
                Err(error) => tracing::error!(%error, "revocations that have run out stay"),
            }
        }
    }

    fn note(&self, error: &StoreError) {
        if error.is_end() {
            end::<()>(error);
        }
        tracing::warn!(%error, "the store");
    }
}

/// A store that failed leaves doubt about what is in it: nothing is acknowledged any more, and the process ends at once.
fn end<T>(error: &StoreError) -> T {
    tracing::error!(%error, "the store failed: stopping at once");
    std::process::exit(error.exit_status().into())
}

/// The running node, as commands see it.
pub(super) struct Station {
    node: Arc<Node>,
    mailboxes: Arc<[Mailbox]>,
    /// Shards whose mailbox was full for too long, with what they are still to be told.
    owed: Vec<(usize, Mail)>,
}

impl Station {
    fn post_owed(&mut self) {
        for (shard, mail) in std::mem::take(&mut self.owed) {
            if let Err(mail) = self.mailboxes[shard].post(mail) {
                self.owed.push((shard, mail));
            }
        }
    }
}

impl Station {
    /// Tells a shard what became of a recovery, now or, when its mailbox is full, later.
    pub(super) fn tell(&mut self, shard: usize, mail: Mail) {
        self.owed.push((shard, mail));
        self.post_owed();
    }
}

impl Host for Station {
    fn now_ms(&self) -> u64 {
        self.node.clock.now_ms()
    }

    fn publish(&mut self, registry: &Registry) {
        // What is void first: no moment at which an owner of before is neither unknown nor refused.
        self.node.revocations.store(Arc::new(registry.revocations().clone()));
        self.node.enrolment.store(Arc::new(registry.enrolment().clone()));
    }

    fn erase_sessions(&mut self, revoked: Revocations) -> Result<(), Unconfirmed> {
        let revoked = Arc::new(revoked);
        let (confirm, confirmed) = crossbeam::channel::bounded(self.mailboxes.len());
        let deadline = Instant::now() + Duration::from_millis(REVOKE_CONFIRM_MS);
        let mut missing: Vec<usize> = (0..self.mailboxes.len()).collect();
        for &shard in &missing {
            let mail = Mail::Revoke { revoked: revoked.clone(), confirm: confirm.clone() };
            self.owed.push((shard, mail));
        }
        self.post_owed();
        // A full mailbox means the shard is behind. It must not miss this, so what is owed then is posted later still.
        while !self.owed.is_empty() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
            self.post_owed();
        }
        drop(confirm);
        while !missing.is_empty() {
            match confirmed.recv_deadline(deadline) {
                Ok(shard) => missing.retain(|index| *index != shard),
                Err(_) => return Err(Unconfirmed(missing)),
            }
        }
        Ok(())
    }

    fn rotate_ticket_key(&mut self) -> Result<u32, String> {
        let id = self.node.tickets.rotate(self.now_ms()).map_err(|error| error.to_string())?;
        Ok(u32::from_be_bytes(id))
    }

    fn server_keys(&mut self) -> Result<ServerKeys, String> {
        let recovery_public = *self.node.recovery_key.public();
        Ok(ServerKeys { server_public: *self.node.identity.public(), recovery_public })
    }
}
