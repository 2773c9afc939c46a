//! A client driven by lines of its input: what happens to a session, seen from its owner.
//!
//! `by_hand SERVER-PUBLIC-KEY KEY-FILE ADDRESS [ADDRESS…]`, then one of these a line, each answered with one line:
//! `request TEXT` · `recover KIT-FILE NEW-KEY-FILE`

use std::{
    io::{BufRead, Write},
    net::SocketAddr,
};

use anyhow::Context;
use mvt_client::{Client, Config, identity, server_key};

fn config(key: &[u8; 32], key_file: &str, addresses: &[SocketAddr]) -> anyhow::Result<Config> {
    let identity = identity::load(key_file)?;
    Ok(Config::new(addresses, key, identity)?)
}

fn state(client: &Client) -> String {
    format!(
        "key={:016x} generation={} logins={} resumes={}",
        client.key_id(),
        client.generation(),
        client.login_count(),
        client.resume_count()
    )
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [key, key_file, addresses @ ..] = arguments.as_slice() else {
        anyhow::bail!("usage: by_hand SERVER-PUBLIC-KEY KEY-FILE ADDRESS [ADDRESS…]");
    };
    let key = server_key(key).context("not a public key")?;
    let addresses =
        addresses.iter().map(|address| Ok(address.parse()?)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut client = Client::connect_with(config(&key, key_file, &addresses)?)?;
    let mut out = std::io::stdout();
    writeln!(out, "ready {}", state(&client))?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let said = match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["request", text] => match client.request(1, text.as_bytes()) {
                Ok(response) => format!("status={} {}", response.status, state(&client)),
                Err(error) => format!("error={error}"),
            },
            ["recover", kit, new_key] => {
                let kit = identity::load_kit(kit)?;
                match Client::recover(config(&key, new_key, &addresses)?, &kit) {
                    Ok(recovered) => {
                        client = recovered;
                        format!("recovered {}", state(&client))
                    }
                    Err(error) => format!("error={error}"),
                }
            }
            _ => "error=not a command".to_owned(),
        };
        writeln!(out, "{said}")?;
        out.flush()?;
    }
    Ok(())
}
