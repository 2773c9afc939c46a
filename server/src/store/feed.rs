//! What the node that owns a store tells the others: a file of everything at every change, and a heartbeat beside it. How the two
//! files travel between machines is the operator's choice; they are sealed under the reset secret that the nodes share.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use aes_gcm::{
    Aes256Gcm, Nonce,
    aead::{Aead, KeyInit, Payload},
};
use mvt_proto::{schedule::label, secret::Secret};
use serde::{Deserialize, Serialize};

use crate::store::{Record, Revision, Snapshot, Store, StoreError, Write};

/// How often the owner says that nothing has changed, ms.
pub const BEAT_MS: u64 = 2_000;
const NONCE_BYTES: usize = 12;

/// What both files say.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sheet {
    /// Server time of the owner, ms.
    at_ms: u64,
    /// The change it is as of.
    revision: Revision,
    /// The store it is of, hex.
    store_id: String,
    /// Everything; nothing in a heartbeat.
    records: Vec<Row>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    key: String,
    value: String,
    revision: Revision,
}

/// The two files, and the key they are sealed under.
struct Sheets {
    path: PathBuf,
    beat: PathBuf,
    cipher: Aes256Gcm,
}

impl Sheets {
    fn new(path: &Path, reset_secret: &Secret) -> Self {
        let mut beat = path.as_os_str().to_owned();
        beat.push(".beat");
        let key = label(reset_secret, "store feed", b"");
        Self { path: path.to_owned(), beat: beat.into(), cipher: Aes256Gcm::new(key.expose().into()) }
    }

    fn write(&self, path: &Path, sheet: &Sheet) -> io::Result<()> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| io::Error::other(error.to_string()))?;
        let payload = Payload { msg: &serde_json::to_vec(sheet)?, aad: self.purpose(path) };
        let sealed = self.cipher.encrypt(&Nonce::from(nonce), payload).map_err(io::Error::other)?;
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(&nonce)?;
        file.write_all(&sealed)?;
        // Whole or not at all; that it may be lost by a crash is what the heartbeat is for.
        std::fs::rename(&unfinished, path)
    }

    fn read(&self, path: &Path) -> Result<Sheet, StoreError> {
        let bytes =
            std::fs::read(path).map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
        let corrupted = || {
            // May pass, when it is being copied: a follower that cannot read it becomes stale.
            let text = "not a feed under this node's reset secret, or not whole";
            let source = io::Error::new(io::ErrorKind::InvalidData, text);
            StoreError::Open { path: path.to_owned(), source }
        };
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or_else(corrupted)?;
        let payload = Payload { msg: sealed, aad: self.purpose(path) };
        let plain = self.cipher.decrypt(&Nonce::from(*nonce), payload).map_err(|_| corrupted())?;
        serde_json::from_slice(&plain).map_err(|_| corrupted())
    }

    fn purpose(&self, path: &Path) -> &'static [u8] {
        if path == self.path { b"mvt feed 1" } else { b"mvt beat 1" }
    }
}

fn hex(id: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(id))
}

/// The owner's end.
pub struct FeedWriter {
    sheets: Sheets,
    store_id: [u8; 16],
    revision: Option<Revision>,
    beat_ms: u64,
}

impl FeedWriter {
    /// Writes to `path` and beside it.
    #[must_use]
    pub fn new(path: &Path, reset_secret: &Secret, store_id: [u8; 16]) -> Self {
        Self { sheets: Sheets::new(path, reset_secret), store_id, revision: None, beat_ms: 0 }
    }

    /// Says what is new, if anything is, or that nothing is, if that was long ago.
    ///
    /// # Errors
    /// The OS's; what it did not say it says at the next call.
    pub fn tell(
        &mut self,
        now_ms: u64,
        revision: Revision,
        load: impl FnOnce() -> Result<Snapshot, StoreError>,
    ) -> io::Result<()> {
        let is_new = self.revision != Some(revision);
        if !is_new && now_ms.saturating_sub(self.beat_ms) < BEAT_MS {
            return Ok(());
        }
        let sheet =
            |revision, records| Sheet { at_ms: now_ms, revision, store_id: hex(self.store_id), records };
        if is_new {
            let snapshot = load().map_err(io::Error::other)?;
            let rows = snapshot.records.into_iter().map(|Record { key, value, revision }| {
                let value = String::from_utf8(value).map_err(io::Error::other)?;
                Ok(Row { key, value, revision })
            });
            let rows: io::Result<Vec<_>> = rows.collect();
            self.sheets.write(&self.sheets.path, &sheet(snapshot.revision, rows?))?;
        }
        // After what it speaks of.
        self.sheets.write(&self.sheets.beat, &sheet(revision, Vec::new()))?;
        self.revision = Some(revision);
        self.beat_ms = now_ms;
        Ok(())
    }
}

/// The other end: a store that follows another node's.
pub struct FeedStore {
    sheets: Sheets,
    store_id: String,
    revision: Revision,
    as_of_ms: u64,
    /// The owner has once been behind us: what it counts up to since is another history.
    has_parted: bool,
}

impl std::fmt::Debug for FeedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FeedStore").field("path", &self.sheets.path).finish_non_exhaustive()
    }
}

impl FeedStore {
    /// Reads the feed at `path`.
    ///
    /// # Errors
    /// When it is not there, or not one of the owner of this reset secret.
    pub fn open(path: &Path, reset_secret: &Secret) -> Result<Self, StoreError> {
        let sheets = Sheets::new(path, reset_secret);
        let sheet = sheets.read(path)?;
        Ok(Self { sheets, store_id: sheet.store_id, revision: 0, as_of_ms: 0, has_parted: false })
    }

    /// Everything, if it is of our store and not older than what we know.
    fn sheet(&mut self) -> Result<Option<Sheet>, StoreError> {
        let sheet = self.sheets.read(&self.sheets.path)?;
        if sheet.store_id != self.store_id || sheet.revision < self.revision {
            return Ok(None);
        }
        self.revision = sheet.revision;
        self.as_of_ms = self.as_of_ms.max(sheet.at_ms);
        Ok(Some(sheet))
    }
}

fn records(sheet: Sheet) -> Vec<Record> {
    let record = |Row { key, value, revision }| Record { key, value: value.into_bytes(), revision };
    sheet.records.into_iter().map(record).collect()
}

impl Store for FeedStore {
    fn load(&mut self) -> Result<Snapshot, StoreError> {
        let sheet = self.sheet()?.ok_or_else(|| {
            let text = "of another store, or older than before";
            let source = io::Error::new(io::ErrorKind::InvalidData, text);
            StoreError::Open { path: self.sheets.path.clone(), source }
        })?;
        Ok(Snapshot { revision: sheet.revision, records: records(sheet) })
    }

    fn watch(&mut self, from: Revision) -> Result<Vec<Record>, StoreError> {
        let beat = self.sheets.read(&self.sheets.beat)?;
        if beat.store_id != self.store_id {
            return Ok(Vec::new());
        }
        self.has_parted |= beat.revision < self.revision && beat.at_ms > self.as_of_ms;
        if self.has_parted {
            let text = "the owner's store was put back to an older copy than this node knows of: until the node is restarted it takes \
                        nothing of it, and becomes stale";
            let source = io::Error::new(io::ErrorKind::InvalidData, text);
            return Err(StoreError::Open { path: self.sheets.beat.clone(), source });
        }
        let mut news = Vec::new();
        if beat.revision > from
            && let Some(sheet) = self.sheet()?
        {
            news = records(sheet);
            news.retain(|record| record.revision > from);
            news.sort_by_key(|record| record.revision);
        }
        // A heartbeat counts when what it speaks of is here.
        if beat.revision == self.revision {
            self.as_of_ms = self.as_of_ms.max(beat.at_ms);
        }
        Ok(news)
    }

    fn put(&mut self, _: &[Write], _: &[u8]) -> Result<Revision, StoreError> {
        Err(StoreError::Follows { path: self.sheets.path.clone() })
    }

    fn audit(&mut self, _: usize) -> Result<Vec<(Revision, Vec<u8>)>, StoreError> {
        Ok(Vec::new())
    }

    fn as_of_ms(&self) -> Option<u64> {
        Some(self.as_of_ms)
    }

    fn store_id(&self) -> [u8; 16] {
        u128::from_str_radix(&self.store_id, 16).unwrap_or_default().to_be_bytes()
    }
}
