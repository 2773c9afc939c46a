//! What can go wrong: with one connection (counted), or before a run has begun (ends it).

use std::{fmt, io, net::SocketAddr};

/// Why a connection ended, or what it met that must not happen. Counted in the report by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Trouble {
    /// The server closed the connection.
    Closed,
    /// Requests were waiting and nothing was heard for [`crate::connection::SILENCE_NS_MAX`].
    Timeout,
    /// The socket failed.
    Io,
    /// Bytes that are no frame of a server (SPEC §3.2).
    Malformed,
    /// An answer to no request that waits (SPEC §7.1.2).
    Unsolicited,
    /// The server closed the connection during a login, or its HELLO_R did not verify.
    LoginRefused,
    /// A login was not answered in time.
    LoginTimeout,
    /// The server asked to wait more often than the generator does.
    LoginBusy,
    /// The same bytes were executed twice (SPEC §8).
    ReplayAccepted,
    /// A request with a wrong tag was executed (§4.3).
    ForgedAccepted,
    /// A request out of time was executed (§6.3).
    StaleAccepted,
    /// A bad frame was refused, but not as its fault asks for.
    RefusedOtherwise,
    /// No QUIC connection was made.
    Unreachable,
    /// The server's TLS certificate is not the one that was asked for.
    Certificate,
    /// A request in datagrams was sent again and again, and never answered (§17.2.7).
    GivenUp,
}

impl Trouble {
    /// Every trouble with its name in reports.
    pub const ALL: [(Self, &'static str); 15] = [
        (Self::Closed, "closed"),
        (Self::Timeout, "timeout"),
        (Self::Io, "io"),
        (Self::Malformed, "malformed"),
        (Self::Unsolicited, "unsolicited"),
        (Self::LoginRefused, "login_refused"),
        (Self::LoginTimeout, "login_timeout"),
        (Self::LoginBusy, "login_busy"),
        (Self::ReplayAccepted, "replay_accepted"),
        (Self::ForgedAccepted, "forged_accepted"),
        (Self::StaleAccepted, "stale_accepted"),
        (Self::RefusedOtherwise, "refused_otherwise"),
        (Self::Unreachable, "unreachable"),
        (Self::Certificate, "certificate"),
        (Self::GivenUp, "given_up"),
    ];
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL[*self as usize].1)
    }
}

/// What moves the bytes says so in an [`io::Error`].
impl std::error::Error for Trouble {}

impl From<Trouble> for io::Error {
    fn from(trouble: Trouble) -> Self {
        Self::other(trouble)
    }
}

/// Why a run did not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No TCP connection.
    #[error(
        "cannot reach {server}: {source}\n  cure: is the server running, and is this the address it listens on?"
    )]
    Unreachable {
        /// Whom.
        server: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// No QUIC connection.
    #[error(
        "no QUIC connection to {server}\n  cure: is the server running with QUIC on (`listen.quic`), and is this the UDP \
         address of it?"
    )]
    NoQuic {
        /// Whom.
        server: SocketAddr,
    },
    /// Another certificate than asked for.
    #[error(
        "the certificate of {server} is not the one that --server-certificate or --server-ca asks for\n  cure: the \
         server prints the fingerprint of its certificate when it starts"
    )]
    Certificate {
        /// Whose.
        server: SocketAddr,
    },
    /// A server closes the connection in one way for all causes (SPEC §10.3.3), so all cures are named.
    #[error(
        "{server} refused the login (it closed the connection)\n  cure: is the public key of --key enrolled at \
         the server? is --server-public-key the key of this server? does the server allow --suite for this client?"
    )]
    Refused {
        /// Who.
        server: SocketAddr,
    },
    /// No HELLO_R in time.
    #[error(
        "{server} accepted the connection but did not answer the login\n  cure: is it an MVT server? if so, \
             is it busy with the logins of so many --connections and --sessions?"
    )]
    Silent {
        /// Who.
        server: SocketAddr,
    },
    /// Too many RETRY BUSY.
    #[error(
        "{server} is too busy for logins\n  cure: fewer --connections, or a larger login queue at the server"
    )]
    Busy {
        /// Who.
        server: SocketAddr,
    },
    /// What came is not MVT.
    #[error("{server} does not speak MVT version 1\n  cure: is this the port of an MVT server?")]
    NotMvt {
        /// Who.
        server: SocketAddr,
    },
    /// A worker could not be set up.
    #[error("cannot set up a worker: {0}")]
    Worker(io::Error),
    /// The ring that `--io uring` insists on.
    #[error("no io_uring: {source}\n  cure: {}, or --io auto", mvt_sys::probe::explain(source))]
    Io {
        /// Why.
        source: io::Error,
    },
    /// A CPU of `--pin` is not usable.
    #[error("cannot pin a worker to CPU {0}\n  cure: name CPUs this process may run on")]
    Pin(usize),
}

impl StartError {
    /// What the trouble of a first login means to the user.
    #[must_use]
    pub fn of_login(trouble: Trouble, server: SocketAddr) -> Self {
        match trouble {
            Trouble::LoginTimeout | Trouble::Timeout => Self::Silent { server },
            Trouble::LoginBusy => Self::Busy { server },
            Trouble::Unreachable => Self::NoQuic { server },
            Trouble::Certificate => Self::Certificate { server },
            Trouble::Malformed | Trouble::Unsolicited => Self::NotMvt { server },
            // The others are of requests, of which there are none yet.
            _ => Self::Refused { server },
        }
    }
}
