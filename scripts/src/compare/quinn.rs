//! Quinn as a careful user has it: an echo with a QUIC stream for each request, TLS by rustls and ring, nothing verified.

use anyhow::Context;

use crate::process::Process;

use super::peer::{Running, SERVER_CORE, Seat};

/// Starts it.
///
/// # Errors
/// When it does not start.
pub fn start(seat: &Seat<'_>) -> anyhow::Result<Running> {
    let program = &seat.artifacts.loadgen;
    let mut process = Process::start("quinn", Some(SERVER_CORE), program, ["floor", "--quinn"], seat.folder)?;
    let quic = process.await_ready_line(seat.stop)?.quic.context("it did not say where it speaks QUIC")?;
    Ok(Running {
        process,
        address: quic.address,
        configuration:
            "mvt-loadgen floor --quinn: quinn on one thread of tokio with mimalloc, packets as large as \
                        ours, a bidirectional stream for each request, 64 bytes there and back, uncopied"
                .into(),
        client_arguments: vec!["--server-certificate".into(), quic.certificate],
    })
}
