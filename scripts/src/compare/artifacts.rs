//! The programs of this workspace that a comparison needs, built for release.

use std::path::PathBuf;

use crate::workspace::{CargoError, release_binary, run_cargo};

/// Where they are.
#[derive(Debug, Clone)]
pub struct Artifacts {
    /// Our server.
    pub server: PathBuf,
    /// The client program; it also is the server that only echoes.
    pub loadgen: PathBuf,
}

impl Artifacts {
    /// Builds them; the output of cargo goes to standard error.
    ///
    /// # Errors
    /// When they do not build.
    pub fn build() -> Result<Self, CargoError> {
        run_cargo(&["build", "--release", "--package", "mvt-server", "--package", "mvt-loadgen", "--bins"])?;
        Ok(Self { server: release_binary("mvt-server"), loadgen: release_binary("mvt-loadgen") })
    }
}
