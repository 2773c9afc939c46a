//! The programs of this workspace that a comparison needs, built for release.

use std::path::PathBuf;

use crate::workspace::{CargoError, release_binary, run_cargo};

/// Where they are.
#[derive(Debug, Clone)]
pub struct Artifacts {
    /// Our server.
    pub server: PathBuf,
    /// The client program, on our server.
    pub loadgen: PathBuf,
    /// The client program, on peers.
    pub peer_load: PathBuf,
    /// The server that only echoes.
    pub echo_floor: PathBuf,
}

impl Artifacts {
    /// Builds them; the output of cargo goes to standard error.
    ///
    /// # Errors
    /// When they do not build.
    pub fn build() -> Result<Self, CargoError> {
        run_cargo(&["build", "--release", "--package", "mvt-server", "--package", "mvt-loadgen", "--bins"])?;
        run_cargo(&[
            "build",
            "--release",
            "--package",
            "mvt-loadgen",
            "--example",
            "peer_load",
            "--example",
            "echo_floor",
        ])?;
        Ok(Self {
            server: release_binary("mvt-server"),
            loadgen: release_binary("mvt-loadgen"),
            peer_load: release_binary("examples/peer_load"),
            echo_floor: release_binary("examples/echo_floor"),
        })
    }
}
