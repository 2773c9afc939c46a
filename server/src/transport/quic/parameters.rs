//! What every connection is told and held to: TLS, windows, streams, paths.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use mvt_congestion::packets;
use mvt_proto::{constants::QUIC_ALPN, secret::Secret};
use quinn_proto::{
    EndpointConfig, IdleTimeout, ServerConfig, TimeSource, TransportConfig, ValidationTokenConfig, VarInt,
    crypto::rustls::QuicServerConfig,
};
use ring::{hkdf, hmac};

use crate::{
    clock::ServerClock,
    fatal::Fatal,
    keys,
    limits::{
        HANDSHAKES_AT_ONCE_MAX, QUIC_DATAGRAM_BYTES, QUIC_INCOMING_BYTES, QUIC_SEND_WINDOW_BYTES,
        QUIC_STREAM_WINDOW_BYTES, QUIC_WINDOW_BYTES, STREAMS_PER_CONNECTION_MAX,
    },
    transport::quic::{certificate::Certificate, route::ShardIds},
};

/// How long a client may take to come back with a Retry token.
const RETRY_LIFETIME: Duration = Duration::from_secs(10);

/// Steps of the wall clock neither end a Retry token early nor prolong it.
impl TimeSource for ServerClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.now_ms())
    }
}

/// What all shards share.
pub struct Parameters {
    server: Arc<ServerConfig>,
    reset_key: Arc<hmac::Key>,
}

impl Parameters {
    /// With the certificate. The key of stateless resets outlives the process, so that a restarted server can tell the
    /// clients of the one before that it does not know them; that of Retry tokens is of this process alone. How old those are
    /// `clock` says.
    ///
    /// # Errors
    /// [`Fatal::Certificate`] when TLS refuses it, [`Fatal::Randomness`].
    pub fn new(
        certificate: Certificate,
        reset: &Secret,
        idle: Duration,
        clock: Arc<dyn TimeSource>,
    ) -> Result<Self, Fatal> {
        let path = certificate.path.clone();
        let tls = tls_of(certificate).map_err(|source| Fatal::Certificate { path, source })?;
        let token_key =
            hkdf::Salt::new(hkdf::HKDF_SHA256, b"mvt1 quic retry").extract(keys::random_secret()?.expose());
        let mut server = ServerConfig::new(Arc::new(tls), Arc::new(token_key));
        server
            .transport_config(Arc::new(transport(idle)))
            .retry_token_lifetime(RETRY_LIFETIME)
            .time_source(clock)
            // SPEC §17.2.8.
            .migration(true)
            .max_incoming(HANDSHAKES_AT_ONCE_MAX)
            .incoming_buffer_size(QUIC_INCOMING_BYTES / 64)
            .incoming_buffer_size_total(QUIC_INCOMING_BYTES);
        // Tokens for later connections would need a memory of those used.
        let mut later = ValidationTokenConfig::default();
        later.sent(0);
        server.validation_token_config(later);
        let reset_key = Arc::new(hmac::Key::new(hmac::HMAC_SHA256, reset.expose()));
        Ok(Self { server: Arc::new(server), reset_key })
    }

    pub(super) fn server(&self) -> Arc<ServerConfig> {
        self.server.clone()
    }

    pub(super) fn endpoint(&self, shard: u8) -> Arc<EndpointConfig> {
        let mut endpoint = EndpointConfig::new(self.reset_key.clone());
        packets::take_large(&mut endpoint);
        endpoint.cid_generator(move || Box::new(ShardIds { shard }));
        Arc::new(endpoint)
    }
}

/// TLS 1.3 without tickets, so without resumption and without early data (SPEC §17.2.2).
fn tls_of(certificate: Certificate) -> Result<QuicServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(certificate.chain, certificate.key)?;
    tls.alpn_protocols = vec![QUIC_ALPN.to_vec()];
    tls.max_early_data_size = 0;
    tls.send_tls13_tickets = 0;
    tls.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    QuicServerConfig::try_from(tls).map_err(|_| rustls::Error::General("no initial cipher suite".into()))
}

fn transport(idle: Duration) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(STREAMS_PER_CONNECTION_MAX.into())
        .max_concurrent_uni_streams(0u8.into())
        .stream_receive_window(VarInt::from_u32(QUIC_STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(QUIC_WINDOW_BYTES))
        .send_window(QUIC_SEND_WINDOW_BYTES)
        .datagram_receive_buffer_size(Some(QUIC_DATAGRAM_BYTES))
        .datagram_send_buffer_size(QUIC_DATAGRAM_BYTES)
        .max_idle_timeout(IdleTimeout::try_from(idle).ok())
        .mtu_discovery_config(Some(packets::search()))
        .congestion_controller_factory(Arc::new(mvt_congestion::Floored::default()));
    transport
}
