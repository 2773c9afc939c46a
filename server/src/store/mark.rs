//! How far a store had come, in a small file apart from it: a store put back to an older copy is found at start (CASES X-07).
//!
//! The mark is written after the change it speaks of and never synced with it: it may fall behind, by a crash of the machine, and is
//! never ahead of its store. Its bytes are overwritten in place, always as many, well within one sector, so that it is
//! whole at any instant.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use mvt_sys::keystore;

use crate::store::{Record, Revision, Snapshot, Store, StoreError, Write, redb::RedbStore};

/// How each begins.
const BEGINS: &str = "mvt store mark\n";
/// No mark is longer.
const BYTES_MAX: usize = 128;
/// No store has come further, and what is counted on from here does not overflow.
const REVISION_MAX: Revision = Revision::MAX >> 1;

/// The mark of one store.
#[derive(Debug)]
struct Mark {
    path: PathBuf,
    file: File,
}

/// What a mark says.
#[derive(Debug, PartialEq, Eq)]
struct Marked {
    store_id: [u8; 16],
    revision: Revision,
}

impl Marked {
    fn to_text(&self) -> String {
        let id = u128::from_be_bytes(self.store_id);
        format!("{BEGINS}id {id:032x}\nrevision {:020}\n", self.revision)
    }

    fn of_text(text: &str) -> Option<Self> {
        let mut lines = text.lines().skip(1);
        let id = u128::from_str_radix(lines.next()?.strip_prefix("id ")?, 16).ok()?;
        let revision = lines.next()?.strip_prefix("revision ")?.parse().ok()?;
        if revision > REVISION_MAX {
            return None;
        }
        let marked = Self { store_id: id.to_be_bytes(), revision };
        (marked.to_text() == text).then_some(marked)
    }
}

impl Mark {
    /// Opens the mark at `path`, and reads it; `None` when there is none.
    fn open(path: &Path) -> Result<Option<(Self, Marked)>, StoreError> {
        let failed = |source| StoreError::Open { path: path.to_owned(), source };
        let mut file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed)?,
        };
        keystore::check_private(&file)
            .map_err(|source| StoreError::Private { path: path.to_owned(), source })?;
        let mut text = String::new();
        let read = Read::by_ref(&mut file).take(BYTES_MAX as u64).read_to_string(&mut text);
        match read.ok().and_then(|_| Marked::of_text(&text)) {
            Some(marked) => Ok(Some((Self { path: path.to_owned(), file }, marked))),
            None => {
                let text = "not the mark of a store, or a broken one: it does not say how far the store had come; \
                            `mvt-server accept-store` makes another";
                Err(StoreError::Corrupted { path: path.to_owned(), text: text.into() })
            }
        }
    }

    /// Makes one, in the place of what is there, and sees that it outlives the machine.
    fn make(path: &Path, marked: &Marked) -> io::Result<Self> {
        keystore::replace_secret(path, &marked.to_text())?;
        let file = OpenOptions::new().read(true).write(true).mode(0o600).open(path)?;
        Ok(Self { path: path.to_owned(), file })
    }
}

/// The embedded store with its mark.
#[derive(Debug)]
pub struct MarkedStore {
    store: RedbStore,
    mark: Mark,
    is_troubled: bool,
}

impl MarkedStore {
    /// The store with the mark at `path`; one is made where there is none.
    ///
    /// # Errors
    /// [`StoreError::RolledBack`] when the mark knows of later changes, [`StoreError::Corrupted`] when it is none, or another
    /// store's.
    pub fn open(mut store: RedbStore, path: &Path) -> Result<Self, StoreError> {
        let (store_id, revision) = (store.store_id(), store.revision()?);
        let mark = match Mark::open(path)? {
            None => {
                if revision > 0 {
                    // The log is not there yet.
                    eprintln!(
                        "mvt-server: {}: no mark there; whether the store is the latest is not known",
                        path.display()
                    );
                }
                make(path, &Marked { store_id, revision })?
            }
            Some((_, marked)) if marked.store_id != store_id => {
                let text = "the mark of another store; `mvt-server accept-store` makes one for this";
                return Err(StoreError::Corrupted { path: path.to_owned(), text: text.into() });
            }
            Some((_, marked)) if marked.revision > revision => {
                let (path, mark) = (store.path().to_owned(), path.to_owned());
                return Err(StoreError::RolledBack { path, revision, mark, marked: marked.revision });
            }
            Some((mark, _)) => mark,
        };
        let mut store = Self { store, mark, is_troubled: false };
        store.note(revision);
        Ok(store)
    }

    /// The store as it is, whatever its mark says: its next change is later than every one the mark knows of, so that nodes which
    /// follow it know it for news. Until that change is written the store stays refused.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn accept(mut store: RedbStore, path: &Path) -> Result<Self, StoreError> {
        let (store_id, mut revision) = (store.store_id(), store.revision()?);
        match Mark::open(path) {
            Ok(Some((_, marked))) => revision = revision.max(marked.revision),
            Ok(None) | Err(StoreError::Corrupted { .. }) => {}
            // What it says can be had, by who mends its mode say.
            Err(error) => return Err(error),
        }
        store.go_on_after(revision);
        let mark = make(path, &Marked { store_id, revision: revision + 1 })?;
        Ok(Self { store, mark, is_troubled: false })
    }

    fn note(&mut self, revision: Revision) {
        let text = Marked { store_id: self.store.store_id(), revision }.to_text();
        match self.mark.file.write_all_at(text.as_bytes(), 0) {
            Ok(()) => self.is_troubled = false,
            Err(error) if !std::mem::replace(&mut self.is_troubled, true) => {
                let path = self.mark.path.display();
                tracing::warn!(%path, %error, "the mark of the store stays behind: an older copy might not be noticed");
            }
            Err(_) => {}
        }
    }
}

fn make(path: &Path, marked: &Marked) -> Result<Mark, StoreError> {
    let failed = |source| StoreError::Open { path: path.to_owned(), source };
    if !may_be_replaced(path).map_err(failed)? {
        let text =
            "not the mark of a store, and left alone: name another `store.mark_file`, or take this away";
        return Err(StoreError::Corrupted { path: path.to_owned(), text: text.into() });
    }
    Mark::make(path, marked).map_err(failed)
}

/// Whether what is at `path` was a mark, as far as can be seen, or there is nothing: by a mistake in the configuration it may be the store
/// itself, or a key.
fn may_be_replaced(path: &Path) -> io::Result<bool> {
    let mut begins = [0; BEGINS.len()];
    let length = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        opened => opened?.read(&mut begins)?,
    };
    let found = &begins[..length];
    // A crash of the machine may leave nothing, or zeros.
    Ok(BEGINS.as_bytes().starts_with(found) || found.iter().all(|byte| *byte == 0))
}

/// The mark of a store that was just made, in the place of one that a store before it left.
///
/// # Errors
/// [`StoreError::Open`].
pub fn begin(path: &Path, store_id: [u8; 16]) -> Result<(), StoreError> {
    make(path, &Marked { store_id, revision: 0 }).map(|_| ())
}

impl Store for MarkedStore {
    fn load(&mut self) -> Result<Snapshot, StoreError> {
        self.store.load()
    }

    fn watch(&mut self, from: Revision) -> Result<Vec<Record>, StoreError> {
        self.store.watch(from)
    }

    fn put(&mut self, writes: &[Write], audit: &[u8]) -> Result<Revision, StoreError> {
        let revision = self.store.put(writes, audit)?;
        self.note(revision);
        Ok(revision)
    }

    fn audit(&mut self, count_max: usize) -> Result<Vec<(Revision, Vec<u8>)>, StoreError> {
        self.store.audit(count_max)
    }

    fn spend_reserve(&mut self) -> bool {
        self.store.spend_reserve()
    }

    fn store_id(&self) -> [u8; 16] {
        self.store.store_id()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_whole_or_not_at_all() {
        let marked = Marked { store_id: [7; 16], revision: 12 };
        let text = marked.to_text();
        assert_eq!(text.len(), Marked { store_id: [0; 16], revision: u64::MAX }.to_text().len());
        assert!(text.len() < BYTES_MAX);
        assert_eq!(Marked::of_text(&text), Some(marked));
        for end in 0..text.len() {
            assert_eq!(Marked::of_text(&text[..end]), None, "cut at {end}");
        }
        assert_eq!(Marked::of_text(&text.replace("mvt", "MVT")), None);
        for (revision, is_one) in [(REVISION_MAX, true), (REVISION_MAX + 1, false), (Revision::MAX, false)] {
            let text = Marked { store_id: [7; 16], revision }.to_text();
            assert_eq!(Marked::of_text(&text).is_some(), is_one, "{revision}");
        }
    }
}
