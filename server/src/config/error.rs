//! Why a configuration is refused, with the place.

use std::path::{Path, PathBuf};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The OS's reason.
        source: std::io::Error,
    },
    /// The file is wrong at a place.
    #[error("{path}:{line}:{column}: {text}")]
    At {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong.
        text: String,
    },
}

impl ConfigError {
    /// At byte `at` of the file's text.
    pub(super) fn at(path: &Path, file: &str, at: usize, text: String) -> Self {
        let before = &file[..at];
        Self::At {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.chars().rev().take_while(|c| *c != '\n').count() + 1,
            text,
        }
    }
}

/// Values that are right one by one but not together.
pub(super) struct Clash {
    /// `table.key`: the one that is to blame first. The defaults fit, so the file has one of them.
    pub(super) keys: &'static [&'static str],
    /// What does not fit.
    pub(super) text: String,
}

impl Clash {
    /// At the first of the keys that the file has.
    pub(super) fn located(self, file: &str, path: &Path) -> ConfigError {
        let at = self.keys.iter().find_map(|key| place_of(file, key)).unwrap_or(0);
        ConfigError::at(path, file, at, self.text)
    }
}

/// Where the value of `table.key` begins.
fn place_of(file: &str, key: &str) -> Option<usize> {
    let (table, key) = key.split_once('.')?;
    let whole = DeTable::parse(file).ok()?;
    let table = value_of(whole.get_ref(), table)?.get_ref().as_table()?;
    value_of(table, key).map(|value| value.span().start)
}

fn value_of<'t, 'f>(table: &'t DeTable<'f>, name: &str) -> Option<&'t Spanned<DeValue<'f>>> {
    table.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value)
}
