//! The floor: a server of ours that only echoes, on epoll.

use crate::process::Process;

use super::peer::{Running, SERVER_CORE, Seat};

/// Starts it.
///
/// # Errors
/// When it does not start.
pub fn start(seat: &Seat<'_>) -> anyhow::Result<Running> {
    let mut process =
        Process::start("echo", Some(SERVER_CORE), &seat.artifacts.loadgen, ["floor"], seat.folder)?;
    let address = process.await_ready_line(seat.stop)?.address;
    Ok(Running {
        process,
        address,
        configuration: "mvt-loadgen floor: one thread on epoll, 64 bytes there and back".into(),
        client_arguments: Vec::new(),
    })
}
