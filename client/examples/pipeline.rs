//! Many verified requests at once: `pipeline ADDRESS SERVER_PUBLIC_KEY KEYFILE [COUNT]`.

use std::{env, time::Instant};

use anyhow::{Context, bail};
use mvt_client::{Client, Error, Request, identity, server_key};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [address, server, key_file, rest @ ..] = &arguments[..] else {
        bail!("usage: pipeline ADDRESS SERVER_PUBLIC_KEY KEYFILE [COUNT]");
    };
    let server = server_key(server).context("the server's public key is not the base64 of 32 bytes")?;
    let identity = identity::load(key_file).with_context(|| key_file.clone())?;
    let count: usize = rest.first().map_or(Ok(1_000), |text| text.parse()).context("COUNT")?;

    let mut client = Client::connect(address, &server, identity)?;
    let requests = vec![Request { op: 1, payload: b"twenty bytes of data" }; count];
    let started = Instant::now();
    let results = client.pipeline(&requests);
    let elapsed = started.elapsed();
    let verified = results.iter().filter(|result| result.is_ok()).count();
    let unknown = results.iter().filter(|result| matches!(result, Err(Error::OutcomeUnknown(_)))).count();
    println!("{verified} verified, {unknown} unknown, {} not executed", count - verified - unknown);
    println!("{elapsed:?}, {:.0} requests/s", count as f64 / elapsed.as_secs_f64());
    Ok(())
}
