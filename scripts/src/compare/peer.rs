//! The peers: a table of names, packages and ways to start.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::ValueEnum;

use crate::{process::Process, stop::Stop};

use super::{artifacts::Artifacts, echo, haproxy, memcached, quinn, redis};

/// The CPU of every server.
pub const SERVER_CORE: usize = 0;
/// The key that the key-value stores are asked for.
pub const KEY: &str = "key";
/// Its value: 20 bytes, as many as the payload of a request of ours.
pub const VALUE: &str = "twenty-bytes-of-text";
/// How long one answer of a check may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// A peer as it is named on the command line and in reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PeerName {
    /// GET, RESP2
    Redis,
    /// meta-get
    Memcached,
    /// jwt_verify HS256
    Haproxy,
    /// Bare echo on epoll: the cost of the transport alone
    Echo,
    /// Echo by quinn with a QUIC stream for each request, nothing verified
    Quinn,
}

/// What is known about a peer before it runs.
#[derive(Debug)]
pub struct Kind {
    /// Who.
    pub name: PeerName,
    /// The name in reports.
    pub text: &'static str,
    /// Debian's package with its program, when it is not ours.
    pub package: Option<&'static str>,
    /// The program.
    pub program: &'static str,
    /// The argument that makes it print its version.
    pub version_argument: Option<&'static str>,
    /// Whether it speaks QUIC, and so is compared with ours over QUIC.
    pub is_quic: bool,
    /// The protocol of the client program.
    pub protocol: &'static str,
    /// Starts it and proves that it does its work.
    pub start: fn(&Seat<'_>) -> anyhow::Result<Running>,
}

/// Every peer.
pub const KINDS: [Kind; 5] = [
    Kind {
        name: PeerName::Redis,
        text: "redis",
        package: Some("redis-server"),
        program: "redis-server",
        version_argument: Some("--version"),
        is_quic: false,
        protocol: "redis",
        start: redis::start,
    },
    Kind {
        name: PeerName::Memcached,
        text: "memcached",
        package: Some("memcached"),
        program: "memcached",
        version_argument: Some("--version"),
        is_quic: false,
        protocol: "memcached",
        start: memcached::start,
    },
    Kind {
        name: PeerName::Haproxy,
        text: "haproxy",
        package: Some("haproxy"),
        program: "haproxy",
        version_argument: Some("-v"),
        is_quic: false,
        protocol: "haproxy-jwt",
        start: haproxy::start,
    },
    Kind {
        name: PeerName::Echo,
        text: "echo",
        package: None,
        program: "mvt-loadgen",
        version_argument: None,
        is_quic: false,
        protocol: "echo",
        start: echo::start,
    },
    Kind {
        name: PeerName::Quinn,
        text: "quinn",
        package: None,
        program: "mvt-loadgen",
        version_argument: None,
        is_quic: true,
        protocol: "quinn",
        start: quinn::start,
    },
];

impl PeerName {
    /// Its row of the table.
    #[must_use]
    pub fn kind(self) -> &'static Kind {
        KINDS.iter().find(|kind| kind.name == self).expect("every name has a row")
    }
}

/// What a peer is started with.
#[derive(Debug)]
pub struct Seat<'a> {
    /// Its program.
    pub program: PathBuf,
    /// Where it may write.
    pub folder: &'a Path,
    /// Programs of this workspace.
    pub artifacts: &'a Artifacts,
    /// The wish of the user to end.
    pub stop: &'a Stop,
}

/// A peer that serves and was seen to do its work.
#[derive(Debug)]
pub struct Running {
    /// The process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    /// How it was started, for the report.
    pub configuration: String,
    /// Further arguments of the client program.
    pub client_arguments: Vec<String>,
}

/// Sends `request` and gives what has come back by the time it holds `end`, or the peer closes.
///
/// # Errors
/// When nothing more comes in time.
pub fn ask(address: SocketAddr, request: &str, end: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, CHECK_TIMEOUT)?;
    stream.set_read_timeout(Some(CHECK_TIMEOUT))?;
    stream.write_all(request.as_bytes())?;
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut piece)?;
        answer.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&answer);
        if count == 0 || text.contains(end) {
            return Ok(text.into_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_row_and_the_name_of_the_command_line() {
        for name in PeerName::value_variants() {
            let shown = name.to_possible_value().unwrap();
            assert_eq!(name.kind().text, shown.get_name());
        }
    }

    #[test]
    fn the_value_is_as_long_as_our_payload() {
        assert_eq!(VALUE.len(), crate::stand::PAYLOAD_BYTES);
    }
}
