//! What every measurement is given.

use std::path::{Path, PathBuf};

use anyhow::ensure;

use super::arguments::Arguments;
use crate::stop::Stop;

/// Programs, cores, the wish to stop.
pub(super) struct Bench<'a> {
    pub(super) server: PathBuf,
    pub(super) generator: PathBuf,
    /// The shard's core.
    pub(super) server_core: usize,
    /// The load's, and a flood's.
    pub(super) load_core: usize,
    pub(super) arguments: &'a Arguments,
    pub(super) stop: &'a Stop,
}

impl Bench<'_> {
    /// Both cores of a pair.
    pub(super) fn cores() -> anyhow::Result<(usize, usize)> {
        let set = rustix::thread::sched_getaffinity(None)?;
        let cores: Vec<usize> =
            (0..rustix::thread::CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).take(2).collect();
        ensure!(cores.len() == 2, "two cores are needed: one for the shard, one for its load");
        Ok((cores[0], cores[1]))
    }

    /// Says what is going on.
    pub(super) fn say(&self, text: &str) {
        eprintln!("lifetime: {text}");
    }

    /// A folder that goes with its value.
    pub(super) fn folder() -> anyhow::Result<tempfile::TempDir> {
        Ok(tempfile::tempdir()?)
    }
}

/// A path as an argument.
pub(super) fn text(path: &Path) -> String {
    path.display().to_string()
}
