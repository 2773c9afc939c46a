//! A QUIC echo server with a stream for each request: quinn as a careful user has it, on one thread.

use std::{
    io::{self, Write as _},
    net::{Ipv4Addr, UdpSocket},
    sync::Arc,
};

use mvt_congestion::packets;
use quinn::{
    Connection, Endpoint, EndpointConfig, ServerConfig, TokioRuntime, crypto::rustls::QuicServerConfig,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// Streams of one connection at once: more than any depth that is compared.
const STREAM_COUNT_MAX: u32 = 65_536;
/// Bytes taken of a request at once.
const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// The protocol, as that of ours: the dialer offers no other.
const ALPN: &[u8] = b"mvt1";

/// Serves a free loopback port, says which, until the process is ended.
///
/// # Errors
/// When there is no socket, or no certificate.
pub fn run() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (config, fingerprint) = config().map_err(io::Error::other)?;
        // Packets as large as ours.
        let mut kind = EndpointConfig::default();
        packets::take_large(&mut kind);
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let endpoint = Endpoint::new(kind, Some(config), socket, Arc::new(TokioRuntime))?;
        let mut out = io::stdout();
        writeln!(out, "ready quic={} certificate=sha256:{fingerprint}", endpoint.local_addr()?)?;
        out.flush()?;
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(async move {
                if let Ok(connection) = incoming.await {
                    echo(&connection).await;
                }
            });
        }
        Ok(())
    })
}

/// Answers every stream until the connection ends.
async fn echo(connection: &Connection) {
    while let Ok((mut send, mut receive)) = connection.accept_bi().await {
        tokio::spawn(async move {
            // What fails ends its stream; the client counts it.
            // What came is sent back as it is, without a copy: a quarter cheaper than `read_to_end`, `write_all`.
            while let Ok(Some(chunk)) = receive.read_chunk(REQUEST_BYTES_MAX, true).await {
                if send.write_chunk(chunk.bytes).await.is_err() {
                    return;
                }
            }
            let _ = send.finish();
        });
    }
}

fn config() -> Result<(ServerConfig, String), Box<dyn std::error::Error + Send + Sync>> {
    let made = rcgen::generate_simple_self_signed(["peer".to_owned()])?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let digest = ring::digest::digest(&ring::digest::SHA256, made.cert.der());
    let fingerprint = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.into()], key)?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    if let Some(transport) = Arc::get_mut(&mut config.transport) {
        transport
            .max_concurrent_bidi_streams(STREAM_COUNT_MAX.into())
            .mtu_discovery_config(Some(packets::search()));
    }
    Ok((config, fingerprint))
}
