//! A new QUIC connection with its first stream, ready for a login.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use mvt_congestion::packets;
use mvt_proto::constants::{KEY_BYTES, QUIC_EXPORTER};
use quinn::{Connection, Endpoint, EndpointConfig, RecvStream, SendStream, TokioRuntime, TransportConfig};

use crate::quic::ServerCertificate;

/// An idle connection says that it is there this often, so that routers on the way do not forget it.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// Datagrams that wait to be sent, bytes.
const DATAGRAM_SEND_BYTES: usize = 256 * 1024;

/// A connection whose TLS handshake is done.
#[derive(Debug)]
pub(super) struct Dialed {
    pub(super) endpoint: Endpoint,
    pub(super) connection: Connection,
    pub(super) send: SendStream,
    pub(super) receive: RecvStream,
    pub(super) channel_binding: [u8; KEY_BYTES],
}

/// Connects to `address` and opens the first stream; to be called inside a runtime.
pub(super) async fn dial(address: SocketAddr, certificate: &ServerCertificate) -> io::Result<Dialed> {
    let local: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local)?;
    let mut kind = EndpointConfig::default();
    packets::take_large(&mut kind);
    let endpoint = Endpoint::new(kind, None, socket, Arc::new(TokioRuntime))?;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(0u8.into())
        .max_concurrent_uni_streams(0u8.into())
        .keep_alive_interval(Some(KEEP_ALIVE_INTERVAL))
        .datagram_send_buffer_size(DATAGRAM_SEND_BYTES)
        .mtu_discovery_config(Some(packets::search()))
        .congestion_controller_factory(Arc::new(mvt_congestion::Floored::default()));
    let config = certificate.client_config(transport)?;
    let connecting = endpoint.connect_with(config, address, certificate.name());
    let connecting =
        connecting.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))?;
    let connection = connecting.await.map_err(io::Error::from)?;
    let (send, receive) = connection.open_bi().await.map_err(io::Error::from)?;
    let mut channel_binding = [0; KEY_BYTES];
    connection
        .export_keying_material(&mut channel_binding, QUIC_EXPORTER, &[])
        .map_err(|_| io::Error::from(io::ErrorKind::Unsupported))?;
    Ok(Dialed { endpoint, connection, send, receive, channel_binding })
}
