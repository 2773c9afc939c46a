//! What a request costs a server by TCP, by a QUIC stream, in QUIC datagrams, and what the same bytes cost quinn with a
//! stream for each request: interleaved rounds on two cores, so that the ratios hold where the figures do not.
//!
//! `cargo run --release -p mvt-loadgen --example quic_cost -- --server-binary target/release/mvt-server`

mod load;
mod peer;
mod server;
mod tls;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::{Parser, Subcommand};
use server::{Running, Transport};

/// The core of every server; the load has the next one.
const SERVER_CORE: usize = 0;
const CLIENT_CORE: usize = 1;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// The server, built with --release.
    #[arg(long, default_value = "target/release/mvt-server")]
    server_binary: PathBuf,
    /// Rounds, each with every transport once.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Connections.
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Requests on their way on each.
    #[arg(long, default_value_t = 256)]
    depth: usize,
    /// The measured interval of each transport in each round, ms.
    #[arg(long, default_value_t = 1000)]
    interval_ms: u64,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// The peer: echoes every stream.
    Peer,
}

/// One measurement, as it is printed: one JSON object a line.
#[derive(Debug, serde::Serialize)]
struct Row {
    round: u32,
    transport: &'static str,
    requests: u64,
    server_cpu_ns_per_request: f64,
    rate_per_s: f64,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(Role::Peer) = arguments.role {
        return peer::serve(SERVER_CORE).map(|()| ExitCode::SUCCESS);
    }
    let mut rows = Vec::new();
    for round in 1..=arguments.rounds {
        for transport in Transport::ALL {
            let running = Running::start(transport, &arguments.server_binary).context("the server starts")?;
            let interval = Duration::from_millis(arguments.interval_ms);
            // On a thread of its own: it pins itself, and the next server must not inherit that.
            let load = || load::run(&running, CLIENT_CORE, arguments.connections, arguments.depth, interval);
            let seen = std::thread::scope(|scope| scope.spawn(load).join().expect("no panic"))
                .with_context(|| format!("load by {}", transport.name()))?;
            let row = Row {
                round,
                transport: transport.name(),
                requests: seen.requests,
                server_cpu_ns_per_request: seen.server_cpu_ns as f64 / seen.requests as f64,
                rate_per_s: seen.requests as f64 / seen.elapsed.as_secs_f64(),
            };
            println!("{}", serde_json::to_string(&row)?);
            rows.push(row);
        }
    }
    summarize(&rows);
    Ok(ExitCode::SUCCESS)
}

/// The median of the ratios of the rounds, each to the TCP of the same round.
fn summarize(rows: &[Row]) {
    for transport in Transport::ALL {
        let mut costs = Vec::new();
        let mut ratios = Vec::new();
        for row in rows.iter().filter(|row| row.transport == transport.name()) {
            let tcp =
                rows.iter().find(|tcp| tcp.round == row.round && tcp.transport == Transport::Tcp.name());
            costs.push(row.server_cpu_ns_per_request);
            ratios.extend(tcp.map(|tcp| row.server_cpu_ns_per_request / tcp.server_cpu_ns_per_request));
        }
        for values in [&mut costs, &mut ratios] {
            values.sort_by(f64::total_cmp);
        }
        let (low, high) = (ratios.first().unwrap_or(&0.0), ratios.last().unwrap_or(&0.0));
        let [cost, ratio] =
            [&costs, &ratios].map(|values| values.get(values.len() / 2).copied().unwrap_or(0.0));
        println!("{:<22} {cost:>9.0} ns  {ratio:>6.2}x of TCP ({low:.2} to {high:.2})", transport.name());
    }
}
