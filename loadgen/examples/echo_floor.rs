//! A bare TCP echo server on a free loopback port, until it is ended.

use std::net::{Ipv4Addr, TcpListener};

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("ready tcp={}", listener.local_addr()?);
    mvt_loadgen::peer::floor::serve(listener)
}
