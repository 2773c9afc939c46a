//! A real server on a loopback port with throwaway keys and one enrolled client, gone when dropped.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use tempfile::TempDir;

use crate::workspace::release_binary;

/// How long the server may take to be ready.
const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum StandError {
    /// The OS refused something.
    #[error("{what}: {source}")]
    Os {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// `mvt-server` failed.
    #[error("mvt-server {command} failed: {output}")]
    Command {
        /// Its arguments.
        command: String,
        /// What it wrote to standard error.
        output: String,
    },
    /// The server did not get ready.
    #[error("the server did not get ready; its log:\n{log}")]
    NotReady {
        /// Its log.
        log: String,
    },
}

/// The server process with its files.
pub struct Stand {
    folder: TempDir,
    process: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its public key, base64.
    pub public_key: String,
    /// How it moves bytes.
    pub backend: String,
}

impl Stand {
    /// Starts the release server with `config` beside a free loopback port.
    ///
    /// # Errors
    /// [`StandError`].
    pub fn start(config: &str) -> Result<Self, StandError> {
        let os = |what| move |source| StandError::Os { what, source };
        let folder = tempfile::tempdir().map_err(os("cannot make a temporary folder"))?;
        let public_key = server(&folder, &["keygen", "server.key"])?;
        let client_key = server(&folder, &["keygen", "--client", "client.key"])?;
        server(&folder, &["enroll", "clients.mvt", "load", &client_key])?;
        let text = format!("listen.tcp = \"127.0.0.1:0\"\n{config}");
        fs::write(folder.path().join("mvt.toml"), text).map_err(os("cannot write mvt.toml"))?;
        let log = File::create(folder.path().join("log")).map_err(os("cannot write a log"))?;
        let mut process = Command::new(release_binary("mvt-server"))
            .args(["run", "--config", "mvt.toml"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(os("cannot start mvt-server"))?;

        let stdout = process.stdout.take().map(BufReader::new);
        let (sender, line) = mpsc::channel();
        thread::spawn(move || {
            let first = stdout.and_then(|stdout| stdout.lines().next()).and_then(Result::ok);
            let _ = sender.send(first);
        });
        let line = line.recv_timeout(READY_TIMEOUT).ok().flatten().unwrap_or_default();
        let word = |name: &str| line.split_whitespace().find_map(|word| word.strip_prefix(name));
        let ready = word("tcp=").and_then(|text| text.parse().ok());
        let backend = word("backend=").unwrap_or_default().to_owned();
        // From here on dropping stops the process.
        let mut stand = Self { folder, process, address: ([127, 0, 0, 1], 0).into(), public_key, backend };
        match ready {
            Some(address) => stand.address = address,
            None => return Err(StandError::NotReady { log: stand.log() }),
        }
        Ok(stand)
    }

    /// The key file of the enrolled client.
    #[must_use]
    pub fn client_key(&self) -> PathBuf {
        self.folder.path().join("client.key")
    }

    /// The server's process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Asks the server to stop, waits for it, and gives its log, which ends with what it counted.
    ///
    /// # Errors
    /// [`StandError::Command`] when it ends with a failure.
    pub fn stop(mut self) -> Result<String, StandError> {
        let os = |source| StandError::Os { what: "cannot stop mvt-server", source };
        let id = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).map_err(|error| os(error.into()))?;
        let status = self.process.wait().map_err(os)?;
        let log = self.log();
        if status.success() {
            Ok(log)
        } else {
            Err(StandError::Command { command: "run".into(), output: log })
        }
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn server(folder: &TempDir, arguments: &[&str]) -> Result<String, StandError> {
    let output = Command::new(release_binary("mvt-server"))
        .args(arguments)
        .current_dir(folder.path())
        .output()
        .map_err(|source| StandError::Os { what: "cannot start mvt-server", source })?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(StandError::Command { command: arguments.join(" "), output: text });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
