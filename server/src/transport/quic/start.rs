//! The beginning of QUIC: one certificate, one socket for each shard on one port.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use crate::{
    config::Config,
    counters::Counters,
    fatal::Fatal,
    handshakes::HandshakePool,
    mailbox::Mailbox,
    node::Node,
    transport::quic::{Parameters, Parts, Router, certificate::Certificate},
};

/// A shard's socket, and what makes QUIC of it once it is known whether the socket may fragment packets.
pub type Seat = (UdpSocket, Box<dyn FnOnce(bool) -> Parts + Send>);

/// What the shards' QUIC is made of.
pub struct Start {
    parameters: Arc<Parameters>,
    sockets: std::vec::IntoIter<UdpSocket>,
    connections_max: usize,
    /// Where it listens.
    pub address: SocketAddr,
    /// SHA-256 of the certificate, hexadecimal.
    pub fingerprint: String,
}

impl Start {
    /// Reads or makes the certificate and binds the sockets; `None` when QUIC is off.
    ///
    /// # Errors
    /// What is wrong with a file, or with the address.
    pub fn prepare(config: &Config, node: &Node, shard_count: usize) -> Result<Option<Self>, Fatal> {
        let Some(wanted) = config.listen.quic else { return Ok(None) };
        let files = &config.quic;
        let certificate = Certificate::load_or_make(&files.certificate_file, &files.key_file)?;
        let fingerprint = certificate.fingerprint();
        let idle = Duration::from_millis(node.idle_ms);
        let clock = Arc::new(node.clock);
        let parameters = Arc::new(Parameters::new(certificate, &node.quic_reset, idle, clock)?);
        let refused = |source| Fatal::Listen { address: wanted, source };
        let sockets = mvt_sys::socket::bind_udp(wanted, shard_count).map_err(refused)?;
        if shard_count > 1
            && let Err(error) = mvt_sys::steering::steer_by_connection_id(&sockets[0])
        {
            tracing::warn!(%error, "packets cannot be steered by the kernel: shards forward them to each other");
        }
        let address = sockets[0].local_addr().map_err(refused)?;
        let connections_max = node.connections_per_shard_max;
        Ok(Some(Self { parameters, sockets: sockets.into_iter(), connections_max, address, fingerprint }))
    }

    /// What shard number `shard` needs; to be asked once for each, in order.
    ///
    /// # Panics
    /// When asked for more shards than there are.
    pub fn seat(
        &mut self,
        shard: usize,
        mailboxes: &Arc<[Mailbox]>,
        counters: &Arc<Counters>,
        handshakes: &Arc<HandshakePool>,
    ) -> Seat {
        let socket = self.sockets.next().expect("a socket for each shard");
        let (parameters, router) = (self.parameters.clone(), Router::new(shard, mailboxes.clone()));
        let (counters, handshakes, connections_max) =
            (counters.clone(), handshakes.clone(), self.connections_max);
        let parts = move |may_probe_path| Parts {
            parameters,
            router,
            counters,
            handshakes,
            connections_max,
            may_probe_path,
        };
        (socket, Box::new(parts))
    }
}
