//! The programs of this workspace that a comparison needs, built for release.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

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

/// The root of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

impl Artifacts {
    /// Builds them; the output of cargo goes to standard error.
    ///
    /// # Errors
    /// When they do not build.
    pub fn build() -> anyhow::Result<Self> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(root()).args(["build", "--release"]);
        command.args(["--package", "mvt-server", "--package", "mvt-loadgen", "--bins"]);
        command.args(["--example", "peer_load", "--example", "echo_floor"]);
        let status = command.status().context("cannot start cargo")?;
        ensure!(status.success(), "the release build failed ({status})");
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
        // A relative CARGO_TARGET_DIR is relative to where cargo was started: the root.
        let release = root().join(target).join("release");
        let release = release.canonicalize().with_context(|| format!("no {}", release.display()))?;
        Ok(Self {
            server: release.join("mvt-server"),
            loadgen: release.join("mvt-loadgen"),
            peer_load: release.join("examples/peer_load"),
            echo_floor: release.join("examples/echo_floor"),
        })
    }
}
