//! Our server: one shard on one core, with keys that are thrown away with the run.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

use super::{artifacts::Artifacts, peer::SERVER_CORE, process::Process, stop::Stop};

/// Payload of a request.
pub const PAYLOAD_BYTES: usize = 20;

/// Our server, serving.
#[derive(Debug)]
pub struct Ours {
    /// The process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    /// How it moves bytes.
    pub backend: String,
    /// Its configuration file, for the report.
    pub configuration: String,
    /// Its static public key.
    pub public_key: String,
    /// The key file of the one enrolled client.
    pub client_key: PathBuf,
}

impl Ours {
    /// Makes the keys in `folder` and starts the server there.
    ///
    /// # Errors
    /// When one of its commands fails, or it does not start.
    pub fn start(artifacts: &Artifacts, folder: &Path, stop: &Stop) -> anyhow::Result<Self> {
        let server = &artifacts.server;
        let public_key = run(server, folder, &["keygen", "server.key"])?;
        let client_public_key = run(server, folder, &["keygen", "--client", "client.key"])?;
        run(server, folder, &["enroll", "clients.mvt", "compare", &client_public_key])?;
        let configuration = format!(
            "[listen]\ntcp = \"127.0.0.1:0\"\n[io]\nshards = 1\ncores = [{SERVER_CORE}]\n[service]\nkind = \"verdict\"\n"
        );
        fs::write(folder.join("mvt.toml"), &configuration)?;
        let arguments = ["run", "--config", "mvt.toml"];
        let mut process = Process::start("ours", Some(SERVER_CORE), server, arguments, folder)?;
        let ready = process.await_ready_line(stop)?;
        Ok(Self {
            process,
            address: ready.address,
            backend: ready.backend.unwrap_or_else(|| "unknown".into()),
            configuration,
            public_key,
            client_key: folder.join("client.key"),
        })
    }
}

/// Runs one short command of the server; its output without the end of the line.
fn run(server: &Path, folder: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(server).args(arguments).current_dir(folder).output();
    let output = output.with_context(|| format!("cannot start {}", server.display()))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "mvt-server {}: {}", arguments.join(" "), complaint.trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
