//! The file of enrolled clients, in the manner of authorized_keys: `client-id public-key [option=value …]` a line.

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
};

use hashbrown::HashMap;
use mvt_proto::{ClientId, Suite, constants::KEY_BYTES, keyfile};

/// Most bytes of a client id.
pub const CLIENT_ID_BYTES_MAX: usize = 64;

/// Why the file is refused. Lines count from 1.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The OS's reason.
        source: std::io::Error,
    },
    /// A line is wrong.
    #[error("{path}:{line}: {fault}")]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        fault: LineFault,
    },
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// Fewer than two words.
    #[error("expected `client-id public-key [option=value …]`")]
    Words,
    /// Not a client id.
    #[error("a client id is 1 to {CLIENT_ID_BYTES_MAX} of A-Z a-z 0-9 . _ -")]
    ClientId,
    /// Not a public key.
    #[error("a public key is the base64 of 32 bytes, 44 characters")]
    PublicKey,
    /// The client id stands on a line before.
    #[error("this client id is enrolled on a line before")]
    RepeatedId,
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

/// One enrolled client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its name in logs and policies.
    pub client_id: String,
    /// What sessions, tickets and revocations call it.
    pub id: ClientId,
    /// The suites it may use; all when the line names none.
    pub suites: Vec<Suite>,
}

/// Every enrolled client, found by public key.
#[derive(Debug, Default)]
pub struct Enrolment {
    clients: HashMap<[u8; KEY_BYTES], Client>,
}

impl Enrolment {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`EnrolmentError`], located.
    pub fn read(path: &Path) -> Result<Self, EnrolmentError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| EnrolmentError::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|(line, fault)| EnrolmentError::Line {
            path: path.to_owned(),
            line,
            fault,
        })
    }

    /// Reads the text of the file.
    ///
    /// # Errors
    /// The line at fault, from 1, and its fault.
    pub fn parse(text: &str) -> Result<Self, (usize, LineFault)> {
        let mut enrolment = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fault = match parse_line(line) {
                Ok((key, client)) => enrolment.add(key, client).err(),
                Err(fault) => Some(fault),
            };
            if let Some(fault) = fault {
                return Err((index + 1, fault));
            }
        }
        Ok(enrolment)
    }

    fn add(&mut self, key: [u8; KEY_BYTES], client: Client) -> Result<(), LineFault> {
        if self.clients.values().any(|known| known.client_id == client.client_id) {
            return Err(LineFault::RepeatedId);
        }
        match self.clients.insert(key, client) {
            None => Ok(()),
            Some(_) => Err(LineFault::RepeatedKey),
        }
    }

    /// The client of a public key.
    #[must_use]
    pub fn find(&self, public_key: &[u8; KEY_BYTES]) -> Option<&Client> {
        self.clients.get(public_key)
    }

    /// Number of clients.
    #[must_use]
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// Whether nobody is enrolled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }
}

fn parse_line(line: &str) -> Result<([u8; KEY_BYTES], Client), LineFault> {
    let mut words = line.split_ascii_whitespace();
    let (Some(client_id), Some(key)) = (words.next(), words.next()) else {
        return Err(LineFault::Words);
    };
    if !is_client_id(client_id) {
        return Err(LineFault::ClientId);
    }
    let key = keyfile::key_from_text(key).ok_or(LineFault::PublicKey)?;
    let mut suites = None;
    for option in words {
        match option.split_once('=') {
            Some(("suites", list)) if suites.is_none() => suites = Some(parse_suites(list)?),
            _ => return Err(LineFault::Option),
        }
    }
    let suites = suites.unwrap_or_else(|| Suite::ALL.iter().map(|(suite, _)| *suite).collect());
    Ok((key, Client { client_id: client_id.to_owned(), id: ClientId::of_name(client_id), suites }))
}

/// Whether `text` may name a client.
#[must_use]
pub fn is_client_id(text: &str) -> bool {
    (1..=CLIENT_ID_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn parse_suites(list: &str) -> Result<Vec<Suite>, LineFault> {
    let mut suites = Vec::new();
    for name in list.split(',') {
        let suite = Suite::from_name(name).ok_or(LineFault::Suites)?;
        if suites.contains(&suite) {
            return Err(LineFault::Suites);
        }
        suites.push(suite);
    }
    Ok(suites)
}

/// Appends a line for a new client to the file at `path`, creating it if need be, after reading it whole.
///
/// # Errors
/// The file's own faults, and those the new line would have.
pub fn enroll(path: &Path, client_id: &str, public_key: &str) -> Result<(), EnrolmentError> {
    let read_error = |source| EnrolmentError::Read { path: path.to_owned(), source };
    let mut text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(read_error(source)),
    };
    let separator = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let line = format!("{separator}{client_id} {public_key}\n");
    text.push_str(&line);
    Enrolment::parse(&text).map_err(|(line, fault)| EnrolmentError::Line {
        path: path.to_owned(),
        line,
        fault,
    })?;
    let mut file = OpenOptions::new().append(true).create(true).open(path).map_err(read_error)?;
    file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(read_error)
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
            (format!("# fine\n\na/b {KEY}"), 3, LineFault::ClientId),
            (format!("{} {KEY}", "a".repeat(65)), 1, LineFault::ClientId),
            ("alice AAAA".to_owned(), 1, LineFault::PublicKey),
            (format!("alice {KEY}\nalice {OTHER}"), 2, LineFault::RepeatedId),
            (format!("alice {KEY}\nbob {KEY}"), 2, LineFault::RepeatedKey),
            (format!("alice {KEY} admin=yes"), 1, LineFault::Option),
            (format!("alice {KEY} suites=hs256 suites=hs256"), 1, LineFault::Option),
            (format!("alice {KEY} suites=hs256,hs256"), 1, LineFault::Suites),
            (format!("alice {KEY} suites="), 1, LineFault::Suites),
            (format!("alice {KEY} suites=md5"), 1, LineFault::Suites),
        ] {
            assert_eq!(Enrolment::parse(&text).unwrap_err(), (line, fault), "{text}");
        }
    }

    #[test]
    fn a_client_is_found_by_its_key() {
        let text = format!("# people\nalice {KEY}\n  bob\t{OTHER} suites=hs256 \n");
        let enrolment = Enrolment::parse(&text).unwrap();
        assert_eq!(enrolment.len(), 2);
        assert_eq!(enrolment.find(&[3; 32]).unwrap().client_id, "alice");
        assert_eq!(enrolment.find(&[4; 32]).unwrap().suites, [Suite::Hs256]);
        assert_eq!(enrolment.find(&[5; 32]), None);
    }

    #[test]
    fn enrolling_twice_is_refused_and_leaves_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("clients.mvt");
        enroll(&path, "alice", KEY).unwrap();
        assert!(enroll(&path, "alice", OTHER).is_err());
        assert!(enroll(&path, "bob", KEY).is_err());
        enroll(&path, "bob", OTHER).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("alice {KEY}\nbob {OTHER}\n"));
    }
}
