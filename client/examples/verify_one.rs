//! One verified request: `verify_one ADDRESS SERVER_PUBLIC_KEY KEYFILE [PAYLOAD]`.

use std::{env, time::Instant};

use anyhow::{Context, bail};
use mvt_client::{Client, identity, server_key};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [address, server, key_file, rest @ ..] = &arguments[..] else {
        bail!("usage: verify_one ADDRESS SERVER_PUBLIC_KEY KEYFILE [PAYLOAD]");
    };
    let server = server_key(server).context("the server's public key is not the base64 of 32 bytes")?;
    let identity = identity::load(key_file).with_context(|| key_file.clone())?;
    let payload = rest.first().map_or("hello", String::as_str);

    let mut client = Client::connect(address, &server, identity)?;
    let started = Instant::now();
    let response = client.request(1, payload.as_bytes())?;
    println!("key id {:016x}", client.key_id());
    println!("status {} in {:?}", response.status, started.elapsed());
    println!("{}", String::from_utf8_lossy(&response.payload).escape_debug());
    Ok(())
}
