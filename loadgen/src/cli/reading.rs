//! Arguments of the commands that read run directories.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Arguments of `compare`.
#[derive(Debug, Args)]
#[allow(missing_docs)] // the attribute beside each is its text
pub struct CompareArguments {
    #[arg(value_name = "DIR[,DIR...]", num_args = 2.., required = true,
          help = "Run directories; repeats of one side are separated by commas")]
    pub sides: Vec<String>,
    #[arg(long, help = "Compare runs of unlike environments or loads, or void runs")]
    pub force: bool,
    #[arg(long, value_name = "FILE", help = "Also write a page with the curves")]
    pub html: Option<PathBuf>,
    #[arg(long, default_value_t = 1, help = "Repeats the bootstrap")]
    pub seed: u64,
}

/// Arguments of `report`.
#[derive(Debug, Args)]
#[allow(missing_docs)] // the attribute beside each is its text
pub struct ReportArguments {
    #[arg(value_name = "DIR", help = "A directory that `run --out` wrote")]
    pub folder: PathBuf,
    #[arg(long, default_value = "text", value_enum, help = "How")]
    pub format: Format,
}

/// Forms of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Format {
    Text,
    Json,
    Md,
    Html,
}

/// Arguments of `index`.
#[derive(Debug, Args)]
#[allow(missing_docs)] // the attribute beside each is its text
pub struct IndexArguments {
    #[arg(value_name = "DIR", help = "A folder of run directories; index.html is written there")]
    pub folder: PathBuf,
}
