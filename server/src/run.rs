//! Puts the parts together: files, node, pool, one thread per shard; and takes them apart again.

use std::{
    cell::Cell,
    io::Write,
    path::Path,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use mvt_proto::constants::FUTURE_BOUND_MS;
use mvt_sys::port_steering::QUEUE_COUNT;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{
    admin::{control::Control, listener::AdminListener},
    clock::ServerClock,
    config::{Config, Engine, Log, LogFormat, LogLevel},
    counters::Counters,
    driver::{self, Mechanism, Seat, placing::Placing},
    fatal::Fatal,
    handshakes::HandshakePool,
    keys,
    limits::{CLOCK_BEHIND_MS_MAX, SHARD_SLICE_NS, SHARDS_MAX},
    mailbox::{Mail, Mailbox},
    node::Node,
    registry::{self, Registry},
    shard::{Parts, Shard},
    store::feed::FeedWriter,
    tickets::{self, TicketKeys},
    transport::quic,
};

/// The configuration and every file it names, read and judged; nothing is started yet.
pub struct Prepared {
    config: Config,
    node: Node,
    registry: Registry,
    feed: Option<FeedWriter>,
    shard_count: usize,
    /// How far the wall clock is behind what was recorded, ms.
    behind_ms: u64,
}

/// Reads the configuration at `path` (the defaults when there is none) and the files it names.
///
/// # Errors
/// The first thing that is wrong, located.
pub fn prepare(path: Option<&Path>) -> Result<Prepared, Fatal> {
    let config = match path {
        Some(path) => Config::read(path)?,
        None => Config::default(),
    };
    let key_file = keys::read(&config.identity.key_file)?;
    let mut registry = registry::open(&config)?;
    let shard_count = match config.io.shards {
        0 if !config.io.cores.is_empty() => config.io.cores.len(),
        0 => mvt_sys::affinity::allowed_cores().len().min(SHARDS_MAX),
        count => count,
    };
    let has_feed = config.store.engine == Engine::Redb && !config.store.feed_file.as_os_str().is_empty();
    let feed = key_file
        .reset_secret
        .as_ref()
        .filter(|_| has_feed)
        .map(|secret| FeedWriter::new(&config.store.feed_file, secret, registry.store_id()));
    let mut node = Node::new(&config, key_file, registry.enrolment().clone(), shard_count)?;
    node.revocations.store(Arc::new(registry.revocations().clone()));
    node.unsealer = registry.unsealer();
    let latest_ms = registry.latest_ms()?.max(tickets::latest_ms(&config.tickets));
    let (clock, behind_ms) = ServerClock::start_after(latest_ms);
    node.clock = clock;
    node.tickets = TicketKeys::open(&config.tickets, node.clock.now_ms())?;
    node.freshness.note(registry.as_of_ms());
    Ok(Prepared { config, node, registry, feed, shard_count, behind_ms })
}

impl Prepared {
    /// Enrolled clients.
    #[must_use]
    pub fn client_count(&self) -> usize {
        self.node.enrolment.load().len()
    }

    /// Shards that would run.
    #[must_use]
    pub const fn shard_count(&self) -> usize {
        self.shard_count
    }

    /// Starts, says so on standard output, serves until SIGTERM or SIGINT, and stops.
    ///
    /// # Errors
    /// What keeps the server from starting; then nothing was started.
    pub fn serve(self) -> Result<(), Fatal> {
        start_log(&self.config.log);
        abort_on_panic();
        // Of what a crash would leave on disk, and of what a host short of memory would.
        mvt_sys::host::forbid_core_dumps();
        if self.config.memory.lock {
            let what = "memory.lock = true is not possible (LimitMEMLOCK=infinity or CAP_IPC_LOCK allow it)";
            mvt_sys::host::lock_memory().map_err(|source| Fatal::Os { what, source })?;
        }
        warn_of_clock(self.behind_ms);
        let shard_count = self.shard_count;
        let started = Signals::new([SIGTERM, SIGINT])
            .map_err(|source| Fatal::Os { what: "cannot wait for signals", source })
            .and_then(|signals| Ok((signals, Running::start(self)?)));
        let (mut signals, running) = started.map_err(|fatal| name_scarcity(fatal, shard_count))?;
        for _ in signals.forever().take(1) {
            tracing::info!("stopping");
        }
        running.stop();
        Ok(())
    }
}

/// A server whose shards run.
pub struct Running {
    shards: Vec<JoinHandle<std::io::Result<()>>>,
    mailboxes: Arc<[Mailbox]>,
    counters: Vec<Arc<Counters>>,
    control: Control,
}

impl Running {
    fn start(prepared: Prepared) -> Result<Self, Fatal> {
        let Prepared { config, node, registry, feed, shard_count, .. } = prepared;
        raise_open_files(config.limits.connections_max + shard_count * QUEUE_COUNT);
        let mechanism = Mechanism::choose(config.io.backend)?;
        let wanted = config.listen.tcp;
        let listeners = mvt_sys::socket::listen_tcp(wanted, shard_count * QUEUE_COUNT)
            .map_err(|source| Fatal::Listen { address: wanted, source })?;
        let placing = Arc::new(Placing::new(&listeners, shard_count)?);
        let admin = AdminListener::bind(&config.admin.socket)
            .map_err(|source| Fatal::AdminSocket { path: config.admin.socket.clone(), source })?;
        let address = listeners[0].local_addr().unwrap_or(wanted);
        let mut quic = quic::Start::prepare(&config, &node, shard_count)?;
        let (mailboxes, waiters) = mailboxes(shard_count)?;
        let clock: ServerClock = node.clock;
        let connections_max = node.connections_per_shard_max;
        let watches_socket = quic.is_some() && driver::watches_socket(mechanism, config.io.packets);
        let spin = Duration::from_micros(config.io.spin_us);
        let node = Arc::new(node);
        let handshakes = Arc::new(HandshakePool::new(config.login.queue, clock.now_ms())?);
        handshakes.start(config.login.threads, &node, &mailboxes)?;

        let counters: Vec<Arc<Counters>> = (0..shard_count).map(|_| Arc::default()).collect();
        let cores = cores(&config, shard_count);
        let mut starting = Vec::new();
        let mut listeners = listeners.into_iter();
        for (index, waiter) in waiters.into_iter().enumerate() {
            let shard = Shard::new(Parts {
                index,
                node: node.clone(),
                service: config.service.kind.build(),
                counters: counters[index].clone(),
                handshakes: handshakes.clone(),
                mailboxes: mailboxes.clone(),
            })?;
            let core = cores.get(index).copied();
            let quic = quic.as_mut().map(|quic| quic.seat(index, &mailboxes, &counters[index], &handshakes));
            let seat = Seat {
                shard,
                listeners: listeners.by_ref().take(QUEUE_COUNT).collect(),
                placing: placing.clone(),
                quic,
                watches_socket,
                waiter,
                core,
                clock,
                connections_max,
                spin,
            };
            starting.push(spawn(index, mechanism, seat)?);
        }
        let shards = starting.into_iter().map(Starting::started).collect::<Result<_, _>>()?;
        let control = Control::start(admin, registry, feed, node.clone(), mailboxes.clone())?;
        let backend = mechanism.name();
        tracing::info!(%address, backend, shards = shard_count, clients = node.enrolment.load().len(), "serving");
        let mut out = std::io::stdout();
        let _ = write!(out, "ready tcp={address} backend={backend} shards={shard_count}");
        if let Some(quic) = quic {
            let (quic, certificate) = (quic.address, quic.fingerprint);
            tracing::info!(%quic, certificate, "serving QUIC");
            let _ = write!(out, " quic={quic} certificate=sha256:{certificate}");
        }
        let _ = writeln!(out);
        let _ = out.flush();
        Ok(Self { shards, mailboxes, counters, control })
    }

    fn stop(self) {
        // First: a revocation under way needs the shards.
        self.control.stop();
        for mailbox in self.mailboxes.iter() {
            let mut mail = Mail::Shutdown;
            while let Err(returned) = mailbox.post(mail) {
                mail = returned;
                thread::sleep(Duration::from_millis(1));
            }
        }
        for shard in self.shards {
            let _ = shard.join();
        }
        for (index, counters) in self.counters.iter().enumerate() {
            let counted = |rows: &mut dyn Iterator<Item = (&'static str, u64)>| {
                let rows: Vec<String> = rows
                    .filter(|(_, count)| *count > 0)
                    .map(|(name, count)| format!("{name}={count}"))
                    .collect();
                rows.join(" ")
            };
            let events = counted(&mut counters.events());
            let rejects = counted(&mut counters.rejects());
            tracing::info!(shard = index, events, rejects, "counted");
        }
        tracing::info!("stopped");
    }
}

/// A clock that is behind by what clocks may differ is none to speak of (SPEC §6.3).
fn warn_of_clock(behind_ms: u64) {
    if behind_ms > CLOCK_BEHIND_MS_MAX {
        tracing::warn!(
            behind_ms,
            "the wall clock is more than a day behind the last change of the store or the ticket keys: one of them is wrong, and what \
             was revoked by the later one stays out until then"
        );
    } else if behind_ms > FUTURE_BOUND_MS {
        tracing::warn!(
            behind_ms,
            "the wall clock is behind the last change of the store or the ticket keys: server time begins there"
        );
    }
}

/// Every connection is an open file, and every listener: takes what the host allows, and says so if it is less than what is configured.
fn raise_open_files(wanted: usize) {
    if let Some(count) = mvt_sys::host::raise_open_files()
        && count < wanted as u64
    {
        tracing::warn!(open_files = count, wanted, "the limit on open files bounds the connections");
    }
}

fn mailboxes(count: usize) -> Result<(Arc<[Mailbox]>, Vec<std::os::unix::net::UnixStream>), Fatal> {
    let pairs: Result<Vec<_>, _> = (0..count).map(|_| Mailbox::new(count)).collect();
    let pairs = pairs.map_err(|source| Fatal::Os { what: "cannot make a mailbox", source })?;
    let (mailboxes, waiters): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    Ok((mailboxes.into(), waiters))
}

fn cores(config: &Config, shard_count: usize) -> Vec<usize> {
    if !config.io.pin {
        return Vec::new();
    }
    let cores =
        if config.io.cores.is_empty() { mvt_sys::affinity::allowed_cores() } else { config.io.cores.clone() };
    if shard_count > cores.len() {
        tracing::warn!(
            shards = shard_count,
            cores = cores.len(),
            "more shards than cores: the rest is not pinned"
        );
    }
    cores
}

/// A shard's thread, and where it says that it has all that it needs.
struct Starting {
    thread: JoinHandle<std::io::Result<()>>,
    is_ready: mpsc::Receiver<()>,
}

impl Starting {
    /// Waits until it runs.
    fn started(self) -> Result<JoinHandle<std::io::Result<()>>, Fatal> {
        let Self { thread, is_ready } = self;
        match is_ready.recv() {
            Ok(()) => Ok(thread),
            Err(_) => {
                let ended = thread.join().unwrap_or(Ok(())).err();
                let source = ended.unwrap_or_else(|| std::io::Error::other("its thread has ended"));
                Err(Fatal::Os { what: "a shard cannot start", source })
            }
        }
    }
}

fn spawn(index: usize, mechanism: Mechanism, seat: Seat) -> Result<Starting, Fatal> {
    let (ready, is_ready) = mpsc::channel();
    let serve = move || {
        if let Some(core) = seat.core
            && !mvt_sys::affinity::pin_to(core)
        {
            tracing::warn!(shard = index, core, "cannot be pinned");
        }
        if let Err(error) = mvt_sys::slice::shorten_to(SHARD_SLICE_NS) {
            tracing::warn!(shard = index, %error, "waits for the slices of login threads");
        }
        let runs = Cell::new(false);
        let driven = driver::drive(mechanism, seat, &|| {
            runs.set(true);
            let _ = ready.send(());
        });
        if let Err(error) = &driven
            && runs.get()
        {
            // No half-dead server: a shard that cannot go on takes all down.
            tracing::error!(shard = index, %error, "the shard's driver failed");
            std::process::abort();
        }
        driven
    };
    let thread = thread::Builder::new()
        .name(format!("mvt-shard-{index}"))
        .spawn(serve)
        .map_err(|source| Fatal::Os { what: "cannot start a shard's thread", source })?;
    Ok(Starting { thread, is_ready })
}

/// Says what is scarce where it is descriptors, whatever wanted the one too many.
fn name_scarcity(fatal: Fatal, shards: usize) -> Fatal {
    let source = match &fatal {
        Fatal::Os { source, .. }
        | Fatal::Listen { source, .. }
        | Fatal::AdminSocket { source, .. }
        | Fatal::Backend { source, .. } => source,
        _ => return fatal,
    };
    if source.raw_os_error() != Some(rustix::io::Errno::MFILE.raw_os_error()) {
        return fatal;
    }
    let limit = mvt_sys::host::open_files_limits().0.unwrap_or_default();
    Fatal::OpenFiles { limit, shards, each: QUEUE_COUNT }
}

/// A bug in one thread must not leave a server that looks alive.
fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}

fn start_log(log: &Log) {
    let level = match log.level {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
    };
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
    match log.format {
        LogFormat::Text => builder.with_ansi(false).with_target(false).init(),
        LogFormat::Json => builder.json().init(),
    }
}
