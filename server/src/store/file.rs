//! The authorized file as a store that is only read: `name public-key [option=value …]` a line, in the manner of
//! authorized_keys.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use mvt_proto::{Suite, constants::KEY_BYTES, keyfile};

use crate::store::{
    Record, Revision, Snapshot, Store, StoreError, Write,
    record::{Identity, NAME_BYTES_MAX, State, identity_key, is_name, to_value},
};

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// Fewer than two words.
    #[error("expected `name public-key [option=value …]`")]
    Words,
    /// Not a name.
    #[error("a client's name is 1 to {NAME_BYTES_MAX} of A-Z a-z 0-9 . _ -")]
    Name,
    /// Not a public key.
    #[error("a public key is the base64 of 32 bytes, 44 characters")]
    PublicKey,
    /// The name stands on a line before.
    #[error("this name is enrolled on a line before")]
    RepeatedName,
    /// The key stands on a line before.
    #[error("this public key is enrolled on a line before")]
    RepeatedKey,
    /// Not an option.
    #[error("unknown or repeated option; known: suites=hs256,gcm256")]
    Option,
    /// Not a list of suites.
    #[error("suites= takes one or more of hs256, gcm256, with commas, without repetition")]
    Suites,
}

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The client's name.
    pub name: String,
    /// Its public key.
    pub public_key: [u8; KEY_BYTES],
    /// The suites it may use; all when the line names none.
    pub suites: Vec<Suite>,
}

/// Reads the text of the file.
///
/// # Errors
/// The line at fault, from 1, and its fault.
pub fn parse(text: &str) -> Result<Vec<Line>, (usize, LineFault)> {
    let (mut names, mut keys, mut lines) = (HashSet::new(), HashSet::new(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = parse_line(line).map_err(|fault| (index + 1, fault))?;
        if !names.insert(line.name.clone()) {
            return Err((index + 1, LineFault::RepeatedName));
        }
        if !keys.insert(line.public_key) {
            return Err((index + 1, LineFault::RepeatedKey));
        }
        lines.push(line);
    }
    Ok(lines)
}

fn parse_line(line: &str) -> Result<Line, LineFault> {
    let mut words = line.split_ascii_whitespace();
    let (Some(name), Some(key)) = (words.next(), words.next()) else {
        return Err(LineFault::Words);
    };
    if !is_name(name) {
        return Err(LineFault::Name);
    }
    let public_key = keyfile::key_from_text(key).ok_or(LineFault::PublicKey)?;
    let mut suites = None;
    for option in words {
        match option.split_once('=') {
            Some(("suites", list)) if suites.is_none() => {
                suites = Some(suites_from_text(list).ok_or(LineFault::Suites)?);
            }
            _ => return Err(LineFault::Option),
        }
    }
    Ok(Line { name: name.to_owned(), public_key, suites: suites.unwrap_or_else(all_suites) })
}

/// Every suite there is.
#[must_use]
pub fn all_suites() -> Vec<Suite> {
    Suite::ALL.iter().map(|(suite, _)| *suite).collect()
}

/// The suites of a list with commas; `None` for an unknown, a repeated or no name.
#[must_use]
pub fn suites_from_text(list: &str) -> Option<Vec<Suite>> {
    let mut suites = Vec::new();
    for name in list.split(',') {
        let suite = Suite::from_name(name).filter(|suite| !suites.contains(suite))?;
        suites.push(suite);
    }
    Some(suites)
}

/// Reads the file at `path`.
///
/// # Errors
/// [`StoreError::Open`], [`StoreError::Line`].
pub fn read(path: &Path) -> Result<Vec<Line>, StoreError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
    parse(&text).map_err(|(line, fault)| StoreError::Line { path: path.to_owned(), line, fault })
}

/// The file as it was when it was opened.
#[derive(Debug)]
pub struct FileStore {
    path: PathBuf,
    lines: Vec<Line>,
}

impl FileStore {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`StoreError::Open`], [`StoreError::Line`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { path: path.to_owned(), lines: read(path)? })
    }
}

impl Store for FileStore {
    fn load(&mut self) -> Result<Snapshot, StoreError> {
        let records = self.lines.iter().map(|line| {
            let identity = Identity {
                name: line.name.clone(),
                public_key: line.public_key,
                suites: line.suites.clone(),
                state: State::Enabled,
                created_ms: 0,
                changed_ms: 0,
            };
            Record { key: identity_key(&line.name), value: to_value(&identity), revision: 1 }
        });
        Ok(Snapshot { records: records.collect(), revision: 1 })
    }

    fn watch(&mut self, _: Revision) -> Result<Vec<Record>, StoreError> {
        Ok(Vec::new())
    }

    fn put(&mut self, _: &[Write], _: &[u8]) -> Result<Revision, StoreError> {
        Err(StoreError::Unchangeable { path: self.path.clone() })
    }

    fn audit(&mut self, _: usize) -> Result<Vec<(Revision, Vec<u8>)>, StoreError> {
        Ok(Vec::new())
    }

    fn store_id(&self) -> [u8; 16] {
        [0; 16]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=";
    const OTHER: &str = "BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ=";

    #[test]
    fn every_fault_is_located() {
        for (text, line, fault) in [
            ("alice".to_owned(), 1, LineFault::Words),
            (format!("# fine\n\na/b {KEY}"), 3, LineFault::Name),
            (format!("a\u{1b}[2J {KEY}"), 1, LineFault::Name),
            (format!("{} {KEY}", "a".repeat(65)), 1, LineFault::Name),
            ("alice AAAA".to_owned(), 1, LineFault::PublicKey),
            (format!("alice {KEY}\nalice {OTHER}"), 2, LineFault::RepeatedName),
            (format!("alice {KEY}\nbob {KEY}"), 2, LineFault::RepeatedKey),
            (format!("alice {KEY} admin=yes"), 1, LineFault::Option),
            (format!("alice {KEY} suites=hs256 suites=hs256"), 1, LineFault::Option),
            (format!("alice {KEY} suites=hs256,hs256"), 1, LineFault::Suites),
            (format!("alice {KEY} suites="), 1, LineFault::Suites),
            (format!("alice {KEY} suites=md5"), 1, LineFault::Suites),
        ] {
            assert_eq!(parse(&text).unwrap_err(), (line, fault), "{text}");
        }
    }

    #[test]
    fn a_line_names_a_client_its_key_and_its_suites() {
        let lines = parse(&format!("# people\nalice {KEY}\n  bob\t{OTHER} suites=hs256 \n")).unwrap();
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[0].name.as_str(), lines[0].public_key), ("alice", [3; 32]));
        assert_eq!(lines[0].suites, all_suites());
        assert_eq!(lines[1].suites, [Suite::Hs256]);
    }
}
