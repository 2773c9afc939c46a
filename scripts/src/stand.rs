//! A real server on a loopback port with throwaway keys and one enrolled client, gone when its value is.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

use crate::{
    process::{Process, Quic},
    stop::Stop,
    transport::Transport,
};

/// Payload of a request of the usual load: 20 bytes make a frame of one cache line.
pub const PAYLOAD_BYTES: usize = 20;

/// The server, serving.
#[derive(Debug)]
pub struct Stand {
    /// The process.
    pub process: Process,
    /// Where it listens for TCP.
    pub address: SocketAddr,
    /// Where it speaks QUIC.
    pub quic: Quic,
    /// How it moves bytes.
    pub backend: String,
    /// Its configuration file, for the report.
    pub configuration: String,
    /// Its static public key, base64.
    pub public_key: String,
    /// The key file of the one enrolled client.
    pub client_key: PathBuf,
}

impl Stand {
    /// Makes the keys in `folder` and starts `server` there, with QUIC, one shard on each of `cores`, all else by default.
    ///
    /// # Errors
    /// When one of its commands fails, or it does not start.
    pub fn start(server: &Path, folder: &Path, cores: &[usize], stop: &Stop) -> anyhow::Result<Self> {
        let public_key = run(server, folder, &["keygen", "server.key"])?;
        let client_public_key = run(server, folder, &["keygen", "--client", "client.key"])?;
        run(server, folder, &["enroll", "load", &client_public_key])?;
        let configuration =
            format!("[listen]\ntcp = \"127.0.0.1:0\"\nquic = \"127.0.0.1:0\"\n[io]\ncores = {cores:?}\n");
        fs::write(folder.join("mvt.toml"), &configuration)?;
        let arguments = ["run", "--config", "mvt.toml"];
        let mut process = Process::start("mvt-server", None, server, arguments, folder)?;
        let ready = process.await_ready_line(stop)?;
        Ok(Self {
            process,
            address: ready.address,
            quic: ready.quic.context("the server did not say where it speaks QUIC")?,
            backend: ready.backend.unwrap_or_else(|| "unknown".into()),
            configuration,
            public_key,
            client_key: folder.join("client.key"),
        })
    }

    /// The arguments of the load generator that lead it here by `transport`.
    #[must_use]
    pub fn way(&self, transport: Transport) -> Vec<String> {
        let words: &[&str] = match transport {
            Transport::Tcp => &["--server", &self.address.to_string()],
            _ => &[
                "--server",
                &self.quic.address.to_string(),
                "--transport",
                transport.name(),
                "--server-certificate",
                &self.quic.certificate,
            ],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
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
