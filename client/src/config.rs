//! What a client is told: where the server is, who it is, and how long to wait.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    time::Duration,
};

use mvt_proto::{Suite, constants::KEY_BYTES, login::Identity};

#[cfg(feature = "quic")]
use crate::quic::ServerCertificate;
use crate::{Error, LoginError, ticket::Ticket};

/// Connecting and logging in may take this long.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A request, or a whole pipeline, may take this long.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// HELLOs sent for one login at most: after BUSY, or with a cookie.
pub const HELLO_COUNT_MAX: u32 = 5;

/// Settings of one client.
#[derive(Debug)]
#[cfg_attr(
    not(any(feature = "blocking", feature = "quic")),
    expect(dead_code, reason = "read by the clients, of which there is none")
)]
pub struct Config {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) server_public: [u8; KEY_BYTES],
    pub(crate) identity: Identity,
    pub(crate) suites: Vec<Suite>,
    #[cfg(feature = "quic")]
    pub(crate) quic: Option<ServerCertificate>,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) is_psk_alone: bool,
    pub(crate) ticket: Option<Ticket>,
    pub(crate) keeps_session: bool,
}

impl Config {
    /// The defaults for the server at `address` with this public key. The name is resolved here, once.
    ///
    /// # Errors
    /// [`Error::Connect`] when the address does not resolve.
    pub fn new(
        address: impl ToSocketAddrs,
        server_public: &[u8; KEY_BYTES],
        identity: Identity,
    ) -> Result<Self, Error> {
        let addresses: Vec<_> =
            address.to_socket_addrs().map_err(|error| Error::Connect(error.kind()))?.collect();
        if addresses.is_empty() {
            return Err(Error::Connect(io::ErrorKind::NotFound));
        }
        Ok(Self {
            addresses,
            server_public: *server_public,
            identity,
            // GCM256 first: a raw TCP connection protects nothing by itself (SPEC 4.5).
            suites: vec![Suite::Gcm256, Suite::Hs256],
            #[cfg(feature = "quic")]
            quic: None,
            connect_timeout: CONNECT_TIMEOUT,
            request_timeout: REQUEST_TIMEOUT,
            is_psk_alone: false,
            ticket: None,
            keeps_session: false,
        })
    }

    /// Another server of the same name: one that shares static key, clients and ticket keys. Tried after those given before.
    /// The name is resolved here, once.
    ///
    /// # Errors
    /// [`Error::Connect`] when the address does not resolve.
    pub fn also_at(mut self, address: impl ToSocketAddrs) -> Result<Self, Error> {
        self.addresses.extend(address.to_socket_addrs().map_err(|error| Error::Connect(error.kind()))?);
        Ok(self)
    }

    /// Resumes without a key agreement, where the ticket allows it (SPEC 12.3.2): for devices to which that is dear. What is
    /// said then is only as secret as the ticket.
    #[must_use]
    pub fn resume_without_agreement(mut self) -> Self {
        self.is_psk_alone = true;
        self
    }

    /// Begins with a ticket of an earlier run, as `export_ticket` of a client gave it, and logs in
    /// only if no server takes it. The suite is the old session's; one of HS256 that was made inside QUIC serves inside QUIC only
    /// (SPEC 12.4.3).
    ///
    /// # Errors
    /// [`Error::Login`] when the bytes are no such export.
    pub fn ticket(mut self, exported: &[u8]) -> Result<Self, Error> {
        self.ticket = Some(Ticket::from_bytes(exported).map_err(LoginError::Answer)?);
        Ok(self)
    }

    /// Connects by QUIC, holding the server to this certificate, and offers HS256 first: QUIC encrypts by itself (SPEC 4.5).
    #[cfg(feature = "quic")]
    #[must_use]
    pub fn quic(mut self, certificate: ServerCertificate) -> Self {
        self.quic = Some(certificate);
        self.suites = vec![Suite::Hs256, Suite::Gcm256];
        self
    }

    /// Whether connections are QUIC's.
    #[cfg(any(feature = "blocking", feature = "quic"))]
    pub(crate) const fn is_quic(&self) -> bool {
        #[cfg(feature = "quic")]
        return self.quic.is_some();
        #[cfg(not(feature = "quic"))]
        false
    }

    /// Offers exactly this suite.
    #[must_use]
    pub fn suite(mut self, suite: Suite) -> Self {
        self.suites = vec![suite];
        self
    }

    /// How long connecting and logging in may take, waits asked for by the server included. At least 1 ms.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// How long a request or a pipeline may take, a reconnection included. At least 1 ms.
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// Whether a connection that ended is replaced without a login while the session's key is good: one round trip and the
    /// server's key agreement are saved, and the new connection goes to the shard that owns the key (SPEC 17.1.2). The price:
    /// where the server has lost the key meanwhile, by a restart, the requests that find it out end as
    /// [`Unknown::KeyLost`](crate::Unknown::KeyLost). Not so by default.
    #[must_use]
    pub fn keep_session(mut self, keeps: bool) -> Self {
        self.keeps_session = keeps;
        self
    }
}
