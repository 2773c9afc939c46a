//! The peer: quinn as it comes, a stream for each request, its bytes echoed; no verification at all.

use std::{io::Write, sync::Arc};

use quinn::{Endpoint, ServerConfig, crypto::rustls::QuicServerConfig};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::tls::ALPN;

/// Streams of one connection at once.
const STREAMS_MAX: u32 = 4096;
/// Bytes of a request at most.
const REQUEST_BYTES_MAX: usize = 65536;

pub fn serve(core: usize) -> anyhow::Result<()> {
    core_affinity::set_for_current(core_affinity::CoreId { id: core });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let endpoint = Endpoint::server(config()?, ([127, 0, 0, 1], 0).into())?;
        println!("ready quic={}", endpoint.local_addr()?);
        std::io::stdout().flush()?;
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(async move {
                let Ok(connection) = incoming.await else { return };
                while let Ok((mut send, mut receive)) = connection.accept_bi().await {
                    tokio::spawn(async move {
                        if let Ok(request) = receive.read_to_end(REQUEST_BYTES_MAX).await {
                            let _ = send.write_all(&request).await;
                            let _ = send.finish();
                        }
                    });
                }
            });
        }
        Ok(())
    })
}

fn config() -> anyhow::Result<ServerConfig> {
    let made = rcgen::generate_simple_self_signed(["peer".to_owned()])?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.into()], key)?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    if let Some(transport) = Arc::get_mut(&mut config.transport) {
        transport.max_concurrent_bidi_streams(STREAMS_MAX.into());
    }
    Ok(config)
}
