//! A run directory: everything one run leaves, each file in the form its readers know.

pub mod hgrm;
pub mod hlog;
pub mod percentiles;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    environment::Environment,
    histogram::Latencies,
    report::{Report, WorkloadReport, html, json},
    timeline::Timeline,
};

/// The report, all of it.
pub const REPORT: &str = "report.json";
/// The latency distribution, for HdrHistogram's plotters.
pub const HGRM: &str = "latency.hgrm";
/// The latency histogram of each slot of the run.
pub const HLOG: &str = "latency.hlog";
/// Percentiles of latency and slip.
pub const PERCENTILES: &str = "percentiles.csv";
/// The machine and what was asked for.
pub const ENVIRONMENT: &str = "env.json";
/// The report as one page.
pub const PAGE: &str = "report.html";

/// A run read back.
#[derive(Debug)]
pub struct Run {
    /// Its folder, as named.
    pub name: String,
    /// Its report.
    pub report: Report,
    /// The latencies of each of its slots.
    pub slots: Vec<Latencies>,
}

/// Why a directory was not written or read.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The OS refused.
    #[error("{path}: {source}")]
    Os {
        /// Of which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The report is not one.
    #[error("{path}: {source}")]
    Report {
        /// Of which file.
        path: PathBuf,
        /// Where it is wrong.
        source: serde_json::Error,
    },
    /// The log is not one.
    #[error("{path}: not a histogram log of this program")]
    Log {
        /// Of which file.
        path: PathBuf,
    },
}

/// What `env.json` holds.
#[derive(Serialize)]
struct Setting<'a> {
    environment: &'a Environment,
    workload: &'a WorkloadReport,
}

/// Makes `folder` if it is not there, and sees that files can be written there: to be known before a run, not after it.
///
/// # Errors
/// [`DirectoryError::Os`].
pub fn prepare(folder: &Path) -> Result<(), DirectoryError> {
    fs::create_dir_all(folder).map_err(|source| DirectoryError::Os { path: folder.to_owned(), source })?;
    let path = folder.join(REPORT);
    can_write(&path).map_err(|source| DirectoryError::Os { path, source })
}

/// Whether a file can be written at `path`; what is there stays.
///
/// # Errors
/// The OS's.
pub fn can_write(path: &Path) -> io::Result<()> {
    let was_there = path.exists();
    fs::OpenOptions::new().append(true).create(true).open(path)?;
    if was_there { Ok(()) } else { fs::remove_file(path) }
}

/// Writes `text` to `path`, whole or not at all: a disk that is full leaves what was there.
///
/// # Errors
/// The OS's.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    // A pipe or a device is written to, and not replaced.
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return fs::write(path, text);
    }
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let written = fs::write(&part, text).and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
}

/// Writes every file of a run into `folder`, which is made when it is not there: those for which there is room.
///
/// # Errors
/// [`DirectoryError::Os`], the first.
pub fn write(folder: &Path, report: &Report, timeline: &Timeline) -> Result<(), DirectoryError> {
    fs::create_dir_all(folder).map_err(|source| DirectoryError::Os { path: folder.to_owned(), source })?;
    let setting = Setting { environment: &report.environment, workload: &report.workload };
    let mut setting = serde_json::to_string_pretty(&setting).expect("string keys and finite numbers");
    setting.push('\n');
    let files = [
        (REPORT, json::render(report)),
        (HGRM, hgrm::render(&report.histogram.latencies)),
        (HLOG, hlog::render(timeline, report.started_unix_s)),
        (PERCENTILES, percentiles::render(report)),
        (ENVIRONMENT, setting),
        (PAGE, html::render(report)),
    ];
    let mut written = Ok(());
    for (name, text) in files {
        let path = folder.join(name);
        let one = replace(&path, &text).map_err(|source| DirectoryError::Os { path, source });
        written = written.and(one);
    }
    written
}

/// Reads the report of `folder`.
///
/// # Errors
/// [`DirectoryError`], naming the file.
pub fn read_report(folder: &Path) -> Result<Report, DirectoryError> {
    let path = folder.join(REPORT);
    let text = read_text(&path)?;
    serde_json::from_str(&text).map_err(|source| DirectoryError::Report { path, source })
}

/// Reads what a comparison needs of `folder`.
///
/// # Errors
/// [`DirectoryError`], naming the file.
pub fn read(folder: &Path) -> Result<Run, DirectoryError> {
    let report = read_report(folder)?;
    let path = folder.join(HLOG);
    let slots = hlog::parse(&read_text(&path)?).ok_or(DirectoryError::Log { path })?;
    Ok(Run { name: folder.display().to_string(), report, slots })
}

fn read_text(path: &Path) -> Result<String, DirectoryError> {
    fs::read_to_string(path).map_err(|source| DirectoryError::Os { path: path.to_owned(), source })
}
