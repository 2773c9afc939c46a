//! The control thread: owns the store, executes commands, publishes to the node. The shards never wait for it.

use std::{
    io::ErrorKind,
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
        claims::Claim,
        execute::{Host, ServerKeys, Unconfirmed, execute, record},
        listener::AdminListener,
        peer::Peer,
        recorded::Recorded,
        request::{Answer, Request},
        retired::Retired,
    },
    enrolment::Enrolment,
    fatal::Fatal,
    limits::{
        ADMIN_PEERS_MAX, ADMIN_REQUESTS_PER_TURN_MAX, CLAIMS_COUNT_MAX, CONTROL_THREAD_NICE,
        REVOKE_CONFIRM_MS,
    },
    mailbox::{Mail, Mailbox},
    node::Node,
    registry::{News, Registry, RegistryError},
    revocations::{Revocations, Revoked},
    store::{StoreError, feed::FeedWriter},
    tickets::Others,
};

/// How often the store is asked for what others changed, and deadlines are looked at: a ticket that is void is to be refused on
/// every node within 200 ms, of which this is what passes before a follower looks.
const TICK: Duration = Duration::from_millis(25);
/// How often revocations that have run out are looked for.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);

/// The control thread, running.
#[derive(Debug)]
pub struct Control {
    node: Arc<Node>,
    is_stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Control {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`Fatal::Os`].
    pub fn start(
        listener: AdminListener,
        registry: Registry,
        feed: Option<FeedWriter>,
        node: Arc<Node>,
        mailboxes: Arc<[Mailbox]>,
    ) -> Result<Self, Fatal> {
        let is_stopping = Arc::<AtomicBool>::default();
        let mut desk = Desk {
            listener,
            peers: Vec::new(),
            registry,
            feed,
            station: Station {
                node: node.clone(),
                mailboxes,
                owed: Vec::new(),
                revocations: Retired::default(),
                enrolments: Retired::default(),
            },
            is_stopping: is_stopping.clone(),
            pruned: Instant::now(),
            is_troubled: false,
            recorded: Recorded::default(),
            is_feed_troubled: false,
            is_deaf: false,
        };
        // Followers may start as soon as we say that we are ready.
        desk.tell_followers();
        let thread = thread::Builder::new().name("mvt-control".into());
        let thread = thread
            .spawn(move || {
                // Of this thread alone, on Linux.
                if let Err(error) = rustix::process::setpriority_process(None, CONTROL_THREAD_NICE) {
                    tracing::warn!(%error, "the control thread has the priority of shards");
                }
                desk.serve();
            })
            .map_err(|source| Fatal::Os { what: "cannot start the control thread", source })?;
        Ok(Self { node, is_stopping, thread })
    }

    /// Ends the thread: what was acknowledged is kept, the store is closed.
    pub fn stop(self) {
        self.is_stopping.store(true, Ordering::Release);
        self.node.claims.wake();
        let _ = self.thread.join();
    }
}

/// What the thread works with.
struct Desk {
    listener: AdminListener,
    peers: Vec<Peer>,
    registry: Registry,
    feed: Option<FeedWriter>,
    station: Station,
    is_stopping: Arc<AtomicBool>,
    pruned: Instant,
    /// Whether the trouble of the store was said.
    is_troubled: bool,
    recorded: Recorded,
    /// The same of the feed.
    is_feed_troubled: bool,
    /// Callers cannot be accepted, for want of descriptors say.
    is_deaf: bool,
}

impl Desk {
    fn serve(&mut self) {
        let mut ticked = Instant::now();
        while !self.is_stopping.load(Ordering::Acquire) {
            self.wait();
            let now = Instant::now();
            self.accept(now);
            self.read_peers();
            self.record_claims();
            self.tell_followers();
            let busy = now.elapsed();
            self.peers.retain_mut(|peer| {
                peer.make_up_for(busy);
                !peer.is_done(Instant::now())
            });
            if now.duration_since(ticked) >= TICK {
                ticked = now;
                self.tick(now);
            }
        }
    }

    fn wait(&self) {
        let claims = &self.station.node.claims;
        let mut waits = vec![PollFd::new(claims.waiter(), PollFlags::IN)];
        // One who waits and cannot be accepted would be news for ever: each tick looks anyway.
        if self.peers.len() < ADMIN_PEERS_MAX && !self.is_deaf {
            waits.push(PollFd::new(self.listener.as_fd(), PollFlags::IN));
        }
        waits.extend(self.peers.iter().map(|peer| PollFd::new(peer.stream(), peer.interest())));
        let timeout = Timespec { tv_sec: 0, tv_nsec: TICK.subsec_nanos().into() };
        // A signal or a passing shortage: the loop looks at everything anyway.
        let _ = poll(&mut waits, Some(&timeout));
        claims.rearm();
    }

    fn accept(&mut self, now: Instant) {
        while self.peers.len() < ADMIN_PEERS_MAX {
            match self.listener.accept() {
                Ok(Some((stream, uid))) => self.peers.push(Peer::new(stream, uid, now)),
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.is_deaf = false;
                    return;
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.is_deaf, true) {
                        tracing::warn!(%error, "admin socket: accept failed");
                    }
                    return;
                }
            }
        }
    }

    fn read_peers(&mut self) {
        let Self { peers, registry, station, .. } = self;
        for peer in peers {
            peer.write();
            for _ in 0..ADMIN_REQUESTS_PER_TURN_MAX {
                let Some(line) = peer.read() else { break };
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
                // Larger than a kit, which thus leaves nothing behind in memory that was outgrown.
                let mut line = Vec::with_capacity(4096);
                serde_json::to_writer(&mut line, &answer).expect("answers are plain data");
                peer.answer(line, Instant::now());
            }
        }
    }

    fn record_claims(&mut self) {
        for _ in 0..CLAIMS_COUNT_MAX {
            let Some(claim) = self.station.node.claims.take() else { return };
            let now_ms = self.station.now_ms();
            if !self.recorded.allows(&claim.owner.client, now_ms) {
                tracing::warn!(client = %claim.owner.client, "recovered too often of late");
                self.station.tell_recorded(&claim, None);
                continue;
            }
            match record(&mut self.registry, &mut self.station, claim) {
                Ok(true) => {
                    self.recorded.note(claim.owner.client, now_ms);
                    // A revocation made next is later than the authentication this one gave.
                    thread::sleep(Duration::from_millis(2));
                }
                Ok(false) => {}
                Err(error) => end::<()>(&error),
            }
        }
    }

    fn tick(&mut self, now: Instant) {
        self.station.post_owed();
        self.station.free_retired();
        self.station.node.tickets.tick(self.station.now_ms());
        match self.registry.follow() {
            Ok(news) => {
                self.is_troubled = false;
                if let Some(news) = news {
                    self.take_news(&news);
                }
            }
            Err(error) => self.note(&error),
        }
        self.station.node.freshness.note(self.registry.as_of_ms());
        if now.duration_since(self.pruned) < PRUNE_INTERVAL {
            return;
        }
        if self.registry.as_of_ms().is_some() {
            self.pruned = now;
            if self.registry.prune_here(self.station.now_ms()) > 0 {
                self.station.publish(&self.registry);
            }
            return;
        }
        match self.registry.prune(self.station.now_ms()) {
            // There may be more: at the next tick.
            Ok(1..) => self.station.publish(&self.registry),
            Ok(0) => self.pruned = now,
            Err(RegistryError::Store(error)) => self.note(&error),
            Err(error) => tracing::error!(%error, "revocations that have run out stay"),
        }
    }

    /// Another node revoked: what its clients authenticated here since, before we knew, is as void.
    fn take_news(&mut self, News { revoked, beyond }: &News) {
        self.station.publish(&self.registry);
        let now_ms = self.station.now_ms();
        let revoked = self.registry.revoke_here(revoked.iter().copied(), now_ms);
        let beyond = self.registry.revoke_beyond_here(beyond, now_ms);
        self.station.publish(&self.registry);
        for revoked in [revoked, beyond] {
            if revoked.is_empty() {
                continue;
            }
            if let Err(Unconfirmed(shards)) = self.station.erase_sessions(revoked) {
                tracing::error!(?shards, "shards did not confirm that revoked sessions are gone");
            }
        }
    }

    fn tell_followers(&mut self) {
        let Self { feed: Some(feed), registry, station, .. } = self else { return };
        let revision = registry.revision();
        match feed.tell(station.now_ms(), revision, || registry.snapshot()) {
            Ok(()) => self.is_feed_troubled = false,
            Err(error) if !std::mem::replace(&mut self.is_feed_troubled, true) => {
                tracing::warn!(%error, "the feed cannot be written: followers will refuse what they cannot judge");
            }
            Err(_) => {}
        }
    }

    /// Trouble that may pass is said once.
    fn note(&mut self, error: &StoreError) {
        if error.is_end() {
            end::<()>(error);
        }
        if !std::mem::replace(&mut self.is_troubled, true) {
            tracing::warn!(%error, "the store cannot be read or written");
        }
    }
}

/// A store that failed leaves doubt about what is in it: nothing is acknowledged any more, and the process ends at once.
fn end<T>(error: &StoreError) -> T {
    tracing::error!(%error, "the store failed: stopping at once");
    std::process::exit(error.exit_status().into())
}

/// The running node, as commands see it.
struct Station {
    node: Arc<Node>,
    mailboxes: Arc<[Mailbox]>,
    /// Shards whose mailbox was full for too long, with what they are still to be told.
    owed: Vec<(usize, Mail)>,
    revocations: Retired<Revocations>,
    enrolments: Retired<Enrolment>,
}

impl Station {
    /// Frees what was published before and is read no more.
    fn free_retired(&mut self) {
        self.revocations.free();
        self.enrolments.free();
    }

    /// Posts what is owed, in order for each shard.
    fn post_owed(&mut self) {
        let mut is_full = vec![false; self.mailboxes.len()];
        for (shard, mail) in std::mem::take(&mut self.owed) {
            let refused = if is_full[shard] { Err(mail) } else { self.mailboxes[shard].post(mail) };
            if let Err(mail) = refused {
                is_full[shard] = true;
                self.owed.push((shard, mail));
            }
        }
    }
}

impl Host for Station {
    fn now_ms(&self) -> u64 {
        self.node.clock.now_ms()
    }

    fn publish(&mut self, registry: &Registry) {
        // What is void first: no moment at which an owner of before is neither unknown nor refused.
        self.revocations.replace(&self.node.revocations, registry.revocations().clone());
        self.enrolments.replace(&self.node.enrolment, registry.enrolment().clone());
    }

    fn erase_sessions(&mut self, revoked: Revoked) -> Result<(), Unconfirmed> {
        // Ours is the last to go: a shard lets go of it before it confirms.
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

    fn renew_all(&mut self, within_ms: u64) -> Result<(), String> {
        self.owed.extend((0..self.mailboxes.len()).map(|shard| (shard, Mail::Renew { within_ms })));
        self.post_owed();
        Ok(())
    }

    fn tell_recorded(&mut self, claim: &Claim, authenticated_ms: Option<u64>) {
        self.owed.push((claim.shard, Mail::Recorded { key_id: claim.key_id, authenticated_ms }));
        self.post_owed();
    }

    fn tell_complete(&mut self, claim: &Claim) {
        self.owed.push((claim.shard, Mail::RecoveryComplete { key_id: claim.key_id }));
        self.post_owed();
    }

    fn rotate_ticket_key(&mut self, others: Others) -> Result<u32, String> {
        let id = self.node.tickets.rotate(self.now_ms(), others).map_err(|error| error.to_string())?;
        Ok(u32::from_be_bytes(id))
    }

    fn server_keys(&mut self) -> Result<ServerKeys, String> {
        let recovery_public = *self.node.recovery_key.public();
        Ok(ServerKeys { server_public: *self.node.identity.public(), recovery_public })
    }
}
