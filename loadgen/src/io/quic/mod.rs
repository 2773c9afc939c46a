//! QUIC (SPEC §17.2) as a carrier of bytes: a UDP socket for each connection, read by readiness.
//!
//! - [`Dialer`]: what a connection is made with; [`Way`]: how bytes travel on it.
//! - `link`: one connection. `port`: its socket. `stream`, `datagrams`, `streams_each`: the ways.

mod datagrams;
mod link;
mod port;
mod stream;
mod streams_each;

use std::{io, sync::Arc, time::Duration};

use mvt_client::quic::ServerCertificate;
use mvt_congestion::packets;
use quinn_proto::{ClientConfig, TransportConfig};

pub(super) use self::link::QuicLink;
pub(super) use self::port::Buffers;

/// A server whose handshake is not done in this time is unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// An idle connection says that it is there this often: between two requests of a low rate the server does not forget it.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Datagrams that wait for the path, bytes: more than [`super::WRITE_BYTES_MAX`], so that one batch fits.
const DATAGRAM_SEND_BYTES: usize = 2 * super::WRITE_BYTES_MAX;

/// How bytes travel on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// On one stream, in order.
    Stream,
    /// In datagrams, many frames in each. Logins, and frames that no datagram holds, go by a stream.
    Datagrams,
    /// On a stream of its own for each request of this many bytes, for comparisons.
    StreamEach {
        /// Of a request, and of its answer.
        request_bytes: usize,
    },
}

/// What every connection of a run is made with.
#[derive(Debug, Clone)]
pub struct Dialer {
    way: Way,
    name: String,
    config: ClientConfig,
}

impl Dialer {
    /// A dialer that holds servers to `certificate`, as the SDK does.
    ///
    /// # Errors
    /// What is wrong with a file of roots.
    pub fn new(way: Way, certificate: &ServerCertificate) -> io::Result<Self> {
        let mut transport = TransportConfig::default();
        transport
            .max_concurrent_bidi_streams(0u8.into())
            .max_concurrent_uni_streams(0u8.into())
            .keep_alive_interval(Some(KEEP_ALIVE_INTERVAL))
            .datagram_send_buffer_size(DATAGRAM_SEND_BYTES)
            .mtu_discovery_config(Some(packets::search()));
        // The peer of comparisons is loaded by quinn as it comes, but for the size of packets, which is to be the same for all.
        if !matches!(way, Way::StreamEach { .. }) {
            transport.congestion_controller_factory(Arc::new(mvt_congestion::Floored::default()));
        }
        let config = certificate.client_config(transport)?;
        Ok(Self { way, name: certificate.name().to_owned(), config })
    }

    /// How bytes travel.
    #[must_use]
    pub const fn way(&self) -> Way {
        self.way
    }
}
