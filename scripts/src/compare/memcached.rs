//! Memcached at its best for this work: one thread that may take a whole batch of one connection at a time.

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
        ["-l", "127.0.0.1"],
        ["-p", &port],
        ["-U", "0"],
        ["-t", "1"],
        // Requests of one connection in one go; the default of 20 cuts deep batches into many sends.
        ["-R", "1024"],
        ["-m", "64"],
        // Without effect unless started by root, which it refuses to stay.
        ["-u", "nobody"],
    ];
    let arguments = arguments.as_flattened();
    let mut process = Process::start("memcached", Some(SERVER_CORE), &seat.program, arguments, seat.folder)?;
    process.await_listening(address, seat.stop)?;
    let set = ask(address, &format!("ms {KEY} {}\r\n{VALUE}\r\n", VALUE.len()), "\r\n")?;
    ensure!(set == "HD\r\n", "memcached did not take the value: {set:?}");
    let miss = ask(address, "mg another v\r\n", "\r\n")?;
    ensure!(miss == "EN\r\n", "memcached knows a key that was not set: {miss:?}");
    Ok(Running {
        process,
        address,
        configuration: format!("memcached {}", arguments.join(" ")),
        client_arguments: ["--key", KEY, "--value", VALUE].map(str::to_owned).to_vec(),
    })
}
