//! The workspace this program belongs to, and cargo run in it.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

/// A cargo command that could not run or failed.
#[derive(Debug, thiserror::Error)]
pub enum CargoError {
    /// It could not be started.
    #[error("cannot start cargo: {0}")]
    Start(#[from] std::io::Error),
    /// It ended with a failure.
    #[error("`cargo {command}` failed: {status}")]
    Failed {
        /// Its arguments.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
}

/// The folder of the workspace's `Cargo.toml`.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("scripts/ lies in the workspace").to_owned()
}

/// `cargo` in the workspace, the one that runs us.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(folder());
    // What `cargo run` tells this program of itself. Build scripts look at it, and would build anew what a plain `cargo build`
    // has built.
    for (name, _) in std::env::vars_os() {
        let is_of_us = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        if name.to_str().is_some_and(is_of_us) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs cargo with `arguments`, its output shown.
///
/// # Errors
/// [`CargoError`].
pub fn run_cargo(arguments: &[&str]) -> Result<(), CargoError> {
    let status = cargo().args(arguments).status()?;
    if status.success() { Ok(()) } else { Err(CargoError::Failed { command: arguments.join(" "), status }) }
}

/// The release binary `name` of this workspace.
#[must_use]
pub fn release_binary(name: &str) -> PathBuf {
    target().join("release").join(name)
}

/// The binary `name` of this workspace as `cargo build` makes it without more.
#[must_use]
pub fn debug_binary(name: &str) -> PathBuf {
    target().join("debug").join(name)
}

/// The folder of what is built.
#[must_use]
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| folder().join("target"), PathBuf::from)
}
