//! Redis at its best for this work: one thread, nothing on disk, no latency statistics.

use anyhow::ensure;

use crate::process::{Process, free_address};

use super::peer::{KEY, Running, SERVER_CORE, Seat, VALUE, ask};

/// Starts it with one key.
///
/// # Errors
/// When it does not start, or does not give the value back.
pub fn start(seat: &Seat<'_>) -> anyhow::Result<Running> {
    let address = free_address()?;
    let port = address.port().to_string();
    let arguments = [
        ["--bind", "127.0.0.1"],
        ["--port", &port],
        ["--io-threads", "1"],
        ["--save", ""],
        ["--appendonly", "no"],
        // Saves two clock readings for each command.
        ["--latency-tracking", "no"],
        ["--daemonize", "no"],
    ];
    let arguments = arguments.as_flattened();
    let mut process = Process::start("redis", Some(SERVER_CORE), &seat.program, arguments, seat.folder)?;
    process.await_listening(address, seat.stop)?;
    let set = ask(address, &format!("SET {KEY} {VALUE}\r\n"), "\r\n")?;
    ensure!(set == "+OK\r\n", "redis did not take the value: {set:?}");
    let miss = ask(address, "GET another\r\n", "\r\n")?;
    ensure!(miss == "$-1\r\n", "redis knows a key that was not set: {miss:?}");
    Ok(Running {
        process,
        address,
        configuration: format!("redis-server {}", arguments.join(" ")),
        client_arguments: ["--key", KEY, "--value", VALUE].map(str::to_owned).to_vec(),
    })
}
