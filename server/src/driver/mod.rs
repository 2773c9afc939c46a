//! Drivers move bytes between sockets and a shard, and nothing else.

mod monoio;
pub mod placing;
mod quic_port;
mod signal;
mod udp;
mod uring;

use std::{io, net::TcpListener, os::unix::net::UnixStream, sync::Arc, time::Duration};

use crate::{
    clock::ServerClock,
    config::{Backend, Packets},
    driver::placing::Placing,
    fatal::Fatal,
    limits::ACCEPT_TROUBLE_MS,
    shard::Shard,
    transport::quic,
};

/// One shard with what its driver needs.
pub struct Seat {
    /// The engine.
    pub shard: Shard,
    /// Our listening sockets, one for each accept queue, sharing their port with the other shards'.
    pub listeners: Vec<TcpListener>,
    /// Which of them an address has.
    pub placing: Arc<Placing>,
    /// Our UDP socket, sharing its port likewise; `None` without QUIC.
    pub quic: Option<quic::Seat>,
    /// Whether the ring is only asked when the UDP socket is readable; see [`watches_socket`].
    pub watches_socket: bool,
    /// Readable when there is mail.
    pub waiter: UnixStream,
    /// The core to pin to.
    pub core: Option<usize>,
    /// Server time.
    pub clock: ServerClock,
    /// Connections the shard holds at most.
    pub connections_max: usize,
    /// How long to look for work before sleeping.
    pub spin: Duration,
}

/// Accepts that fail, for want of descriptors say, and do so each time until something is closed.
#[derive(Debug, Default)]
struct AcceptTrouble {
    quiet_until_ms: u64,
}

impl AcceptTrouble {
    /// Counts one, and says so now and then.
    fn note(&mut self, shard: &Shard, error: &io::Error, now_ms: u64) {
        shard.counters().accept_failed.add(1);
        if now_ms >= self.quiet_until_ms {
            self.quiet_until_ms = now_ms + ACCEPT_TROUBLE_MS;
            tracing::warn!(%error, "accept failed");
        }
    }
}

/// How the kernel is asked to move bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// io_uring, one ring for each shard.
    Uring,
    /// io_uring, by monoio.
    MonoioUring,
    /// epoll, by monoio.
    Epoll,
}

impl Mechanism {
    /// The mechanism for a configured backend, by trying what the host allows.
    ///
    /// # Errors
    /// [`Fatal::Backend`] when the configuration insists on what the host forbids.
    pub fn choose(backend: Backend) -> Result<Self, Fatal> {
        let refuse = |backend, source| {
            let cure = mvt_sys::probe::explain(&source);
            Err(Fatal::Backend { backend, source, cure })
        };
        match backend {
            Backend::Epoll => Ok(Self::Epoll),
            Backend::Auto => Ok(match mvt_sys::uring::probe() {
                Ok(()) => Self::Uring,
                Err(error) => {
                    let cause = mvt_sys::probe::explain(&error);
                    tracing::warn!(%error, cause, "io_uring is not to be had: using epoll, which is slower");
                    Self::Epoll
                }
            }),
            Backend::Uring => match mvt_sys::uring::probe() {
                Ok(()) => Ok(Self::Uring),
                Err(source) => refuse("uring", source),
            },
            Backend::Monoio => match mvt_sys::probe::io_uring() {
                Ok(()) => Ok(Self::MonoioUring),
                Err(source) => refuse("monoio", source),
            },
        }
    }

    /// The name in logs and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::MonoioUring => "monoio/io_uring",
            Self::Epoll => "monoio/epoll",
        }
    }
}

/// Whether the `uring` driver has to do with asking when its UDP socket is readable; says so if that was not wanted.
#[must_use]
pub fn watches_socket(mechanism: Mechanism, wanted: Packets) -> bool {
    match wanted {
        Packets::Readiness => true,
        Packets::Auto if mechanism == Mechanism::Uring => match mvt_sys::uring::probe_packets() {
            Ok(()) => false,
            Err(error) => {
                tracing::warn!(%error, "the ring cannot receive packets: the socket is asked, which is slower");
                true
            }
        },
        Packets::Auto => false,
    }
}

/// Runs the shard of `seat` on the calling thread until it is told to shut down; says `is_ready` when it has all that it needs for that.
///
/// # Errors
/// The OS's, when the ring or the epoll instance cannot be made, before it is ready; or when the ring fails.
pub fn drive(mechanism: Mechanism, seat: Seat, is_ready: &dyn Fn()) -> io::Result<()> {
    match mechanism {
        Mechanism::Uring => uring::drive(seat, is_ready),
        Mechanism::MonoioUring | Mechanism::Epoll => monoio::drive(mechanism, seat, is_ready),
    }
}
