//! A folder with the keys of a server, the client that makes the load, and the nodes that run there.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, ensure};
use base64ct::{Base64, Encoding};
use tempfile::TempDir;

use super::bench::Bench;
use crate::process::Process;

/// How long a node may take to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// Keys, files, and where they lie.
pub(super) struct House {
    server: PathBuf,
    folder: TempDir,
    /// The server's static public key, base64.
    pub(super) public_key: String,
}

/// A node of it, running.
pub(super) struct Node {
    pub(super) name: String,
    pub(super) process: Process,
    pub(super) address: SocketAddr,
}

impl House {
    /// Makes the keys; the client `load` is enrolled.
    pub(super) fn build(bench: &Bench<'_>) -> anyhow::Result<Self> {
        let mut house =
            Self { server: bench.server.clone(), folder: Bench::folder()?, public_key: String::new() };
        house.public_key = house.run(&["keygen", "server.key"])?;
        let client = house.run(&["keygen", "--client", "client.key"])?;
        house.run(&["enroll", "load", &client])?;
        Ok(house)
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The key file of the client `load`.
    pub(super) fn client_key(&self) -> PathBuf {
        self.folder().join("client.key")
    }

    /// The static public key.
    pub(super) fn public_bytes(&self) -> anyhow::Result<[u8; 32]> {
        let bytes = Base64::decode_vec(&self.public_key).map_err(|error| anyhow::anyhow!("{error}"))?;
        bytes.try_into().map_err(|_| anyhow::anyhow!("a public key is 32 bytes"))
    }

    /// Starts a node with one shard on the server's core.
    pub(super) fn start(&self, bench: &Bench<'_>, name: &str, more: &str) -> anyhow::Result<Node> {
        self.start_on(bench, None, name, more)
    }

    /// The same with all its threads on one core, if one is given.
    pub(super) fn start_on(
        &self,
        bench: &Bench<'_>,
        core: Option<usize>,
        name: &str,
        more: &str,
    ) -> anyhow::Result<Node> {
        let text = format!(
            "listen.tcp = \"127.0.0.1:0\"\nadmin.socket = \"{name}.sock\"\nio.shards = 1\nio.cores = [{}]\n{more}",
            bench.server_core
        );
        let config = format!("{name}.toml");
        fs::write(self.folder().join(&config), text)?;
        let arguments = ["run", "--config", &config];
        let mut process = Process::start(name, core, &self.server, arguments, self.folder())?;
        let address = process.await_ready_line(bench.stop)?.address;
        Ok(Node { name: name.to_owned(), process, address })
    }

    /// Runs one short command; its output without the end of the line.
    pub(super) fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = Command::new(&self.server).args(arguments).current_dir(self.folder()).output();
        let output = output.with_context(|| format!("cannot start {}", self.server.display()))?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "mvt-server {}: {}", arguments.join(" "), complaint.trim());
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

impl Node {
    /// Stops it in good order; what it counted, as its log ends.
    pub(super) fn stop(&mut self, house: &House, bench: &Bench<'_>) -> anyhow::Result<String> {
        let status = self.process.terminate(STOP_PATIENCE, bench.stop)?;
        ensure!(status.success(), "{} ended with {status}: {}", self.name, self.process.complaint());
        Ok(fs::read_to_string(house.folder().join(format!("{}.err", self.name)))?)
    }
}

/// What a node counted as `name`, by its log.
pub(super) fn counted(log: &str, name: &str) -> u64 {
    let words = log.split(|c: char| c.is_whitespace() || c == '"');
    words.filter_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse::<u64>().ok()).sum()
}
