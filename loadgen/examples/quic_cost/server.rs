//! The servers: ours with throwaway keys, or the peer.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, ensure};
use mvt_proto::keyfile::{self, KeyFile};
use tempfile::TempDir;

use crate::SERVER_CORE;

/// What carries the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    QuicStream,
    QuicDatagram,
    StreamPerRequest,
}

impl Transport {
    pub const ALL: [Self; 4] = [Self::Tcp, Self::QuicStream, Self::QuicDatagram, Self::StreamPerRequest];

    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::QuicStream => "quic-stream",
            Self::QuicDatagram => "quic-datagram",
            Self::StreamPerRequest => "quinn-stream-each",
        }
    }
}

/// The server's public key, and the keys of a client it knows.
type Keys = ([u8; 32], KeyFile);

/// A server that listens; ends when dropped.
pub struct Running {
    pub transport: Transport,
    pub address: SocketAddr,
    /// Of ours: its public key, and the keys of an enrolled client.
    pub keys: Option<Keys>,
    process: Child,
    _folder: TempDir,
}

impl Running {
    pub fn start(transport: Transport, binary: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let binary = binary.canonicalize().with_context(|| binary.display().to_string())?;
        let (command, keys) = match transport {
            Transport::StreamPerRequest => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("peer");
                (command, None)
            }
            _ => ours(&binary, folder.path())?,
        };
        let (process, line) = begin(command, folder.path())?;
        let word = match transport {
            Transport::Tcp => "tcp=",
            _ => "quic=",
        };
        let address = line.split_whitespace().find_map(|part| part.strip_prefix(word));
        let address = address.with_context(|| format!("no address in {line:?}"))?.parse()?;
        Ok(Self { transport, address, keys, process, _folder: folder })
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

fn begin(mut command: Command, folder: &Path) -> anyhow::Result<(Child, String)> {
    let mut process = command
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(fs::File::create(folder.join("log"))?)
        .spawn()?;
    let mut line = String::new();
    BufReader::new(process.stdout.take().context("piped")?).read_line(&mut line)?;
    Ok((process, line))
}

fn ours(binary: &Path, folder: &Path) -> anyhow::Result<(Command, Option<Keys>)> {
    let make = |arguments: &[&str]| -> anyhow::Result<String> {
        let made = Command::new(binary).args(arguments).current_dir(folder).output()?;
        ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Ok(String::from_utf8(made.stdout)?.trim().to_owned())
    };
    let public = keyfile::key_from_text(&make(&["keygen", "server.key"])?).context("a public key")?;
    let client = make(&["keygen", "--client", "client.key"])?;
    make(&["enroll", "cost", &client])?;
    let config = format!(
        "listen.tcp = \"127.0.0.1:0\"\nlisten.quic = \"127.0.0.1:0\"\nio.cores = [{SERVER_CORE}]\n\
         limits.renew_after_requests = 2000000000\nlimits.reject_after_requests = 2000000000\n"
    );
    fs::write(folder.join("mvt.toml"), config)?;
    let keys = KeyFile::parse(&fs::read_to_string(folder.join("client.key"))?)?;
    let mut command = Command::new(binary);
    command.args(["run", "--config", "mvt.toml"]);
    Ok((command, Some((public, keys))))
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
