//! Two servers of one name with throwaway keys: the first owns the store, the second follows it.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context, ensure};

use crate::{
    process::{Process, free_address},
    stop::Stop,
    tour::RENEW_AFTER_MS,
};

/// How long a change may take to reach the second server.
pub(super) const FEED_PATIENCE: Duration = Duration::from_secs(10);

/// What the kernel may take to close the connections of a process that was killed.
const CLOSING_TIME: Duration = Duration::from_millis(500);

/// One of the servers.
#[derive(Debug)]
pub(super) struct Room {
    name: &'static str,
    pub(super) address: SocketAddr,
    process: Option<Process>,
}

impl Room {
    fn start(&mut self, server: &Path, folder: &Path, stop: &Stop) -> anyhow::Result<()> {
        let config = format!("{}.toml", self.name);
        let mut process = Process::start(self.name, None, server, ["run", "--config", &config], folder)?;
        process.await_ready_line(stop)?;
        self.process = Some(process);
        Ok(())
    }

    /// Kills it, if it runs, and waits until its client can see that: a request risked before would have an unknown outcome.
    pub(super) fn stop(&mut self) {
        if self.process.take().is_some() {
            thread::sleep(CLOSING_TIME);
        }
    }
}

/// Both, and what they and their client have on the disk.
#[derive(Debug)]
pub(super) struct House {
    server: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) public_key: String,
    pub(super) first: Room,
    pub(super) second: Room,
}

impl House {
    /// Makes keys, enrols `alice` with a recovery kit, starts both servers.
    pub(super) fn build(server: &Path, folder: &Path, stop: &Stop) -> anyhow::Result<Self> {
        let room = |name| anyhow::Ok(Room { name, address: free_address()?, process: None });
        let mut house = Self {
            server: server.to_owned(),
            folder: folder.to_owned(),
            public_key: String::new(),
            first: room("a")?,
            second: room("b")?,
        };
        house.public_key = house.run(&["keygen", "server.key"])?;
        let client = house.run(&["keygen", "--client", "client.key"])?;
        house.write_config(&house.first, "store.feed_file = \"feed\"\n")?;
        house.write_config(
            &house.second,
            "store.engine = \"feed\"\nstore.feed_file = \"feed\"\nidentity.node_slot = 1\n",
        )?;
        let kit = house.command(&["enroll", "alice", &client, "--recovery-kit"])?;
        fs::write(folder.join("kit"), kit)?;
        fs::set_permissions(folder.join("kit"), fs::Permissions::from_mode(0o600))?;
        house.first.start(server, folder, stop)?;
        house.second.start(server, folder, stop)?;
        Ok(house)
    }

    fn write_config(&self, room: &Room, more: &str) -> anyhow::Result<()> {
        let Room { name, address, .. } = room;
        let text = format!(
            "listen.tcp = \"{address}\"\nadmin.socket = \"{name}.sock\"\nio.shards = 1\nio.pin = false\n\
             limits.renew_after_ms = {RENEW_AFTER_MS}\nlimits.reject_after_ms = {}\n{more}",
            10 * RENEW_AFTER_MS
        );
        fs::write(self.folder.join(format!("{name}.toml")), text)?;
        Ok(())
    }

    /// Kills the first server, if it runs, and starts it again on its files.
    pub(super) fn restart_first(&mut self, stop: &Stop) -> anyhow::Result<()> {
        self.first.stop();
        self.first.start(&self.server, &self.folder, stop)
    }

    /// Asks the first server.
    pub(super) fn command(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.run(&[arguments, &["--config", "a.toml"]].concat())
    }

    /// The path of a file, as text.
    pub(super) fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// The client's key file is not where it was.
    pub(super) fn lose_client_key(&self) -> anyhow::Result<()> {
        Ok(fs::rename(self.folder.join("client.key"), self.folder.join("lost.key"))?)
    }

    /// Makes a new key for the client; gives its public key.
    pub(super) fn make_new_key(&self) -> anyhow::Result<String> {
        self.run(&["keygen", "--client", "new.key"])
    }

    fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = Command::new(&self.server).args(arguments).current_dir(&self.folder).output();
        let output = output.with_context(|| format!("cannot start {}", self.server.display()))?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "mvt-server {}: {}", arguments.join(" "), complaint.trim());
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
