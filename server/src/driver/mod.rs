//! Drivers move bytes between sockets and a shard, and nothing else.

mod monoio;
mod signal;

use std::{net::TcpListener, os::unix::net::UnixStream};

use crate::{clock::ServerClock, config::Backend, fatal::Fatal, shard::Shard};

/// One shard with what its driver needs.
pub struct Seat {
    /// The engine.
    pub shard: Shard,
    /// Our listening socket, sharing its port with the other shards'.
    pub listener: TcpListener,
    /// Readable when there is mail.
    pub waiter: UnixStream,
    /// The core to pin to.
    pub core: Option<usize>,
    /// Server time.
    pub clock: ServerClock,
}

/// How the kernel is asked to move bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// io_uring with SINGLE_ISSUER and DEFER_TASKRUN, by monoio.
    IoUring,
    /// epoll, by monoio.
    Epoll,
}

impl Mechanism {
    /// The mechanism for a configured backend, by trying what the host allows.
    ///
    /// # Errors
    /// [`Fatal::Backend`] when the configuration insists on what the host forbids.
    pub fn choose(backend: Backend) -> Result<Self, Fatal> {
        let probed = || mvt_sys::probe::io_uring();
        match backend {
            Backend::Epoll => Ok(Self::Epoll),
            Backend::Auto => Ok(match probed() {
                Ok(()) => Self::IoUring,
                Err(error) => {
                    let cause = mvt_sys::probe::explain(&error);
                    tracing::warn!(%error, cause, "io_uring is not to be had: using epoll, which is slower");
                    Self::Epoll
                }
            }),
            Backend::Monoio => match probed() {
                Ok(()) => Ok(Self::IoUring),
                Err(source) => {
                    let cure = mvt_sys::probe::explain(&source);
                    Err(Fatal::Backend { backend: "monoio", source, cure })
                }
            },
        }
    }

    /// The name in logs and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::IoUring => "monoio/io_uring",
            Self::Epoll => "monoio/epoll",
        }
    }
}

/// Runs the shard of `seat` on the calling thread until it is told to shut down.
///
/// # Errors
/// The OS's, when the ring or the epoll instance cannot be made.
pub fn drive(mechanism: Mechanism, seat: Seat) -> std::io::Result<()> {
    monoio::drive(mechanism, seat)
}
