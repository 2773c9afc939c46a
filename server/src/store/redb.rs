//! The embedded engine: one file, one process, on redb.

use std::{
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use mvt_sys::keystore::sync_directory_of;
use redb::{Builder, Database, Durability, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};
use rustix::fs::FallocateFlags;

use crate::store::{
    Record, Revision, Snapshot, Store, StoreError, Write,
    disk::{self, Disk, Trouble, Worst},
};

/// Key to the revision that wrote the record, and the record.
const RECORDS: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("records");
/// Revision to its line.
const AUDIT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("audit");
/// The last revision, and the name of the store once more.
const ABOUT: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("about");
const ABOUT_KEY: &str = "store";

/// The whole store fits the memory of the process anyway, and this is only redb's own copy of what it touched. A revocation changes a
/// page that nothing before it did: with a million clients these are read from the file again and again where they are not kept.
const CACHE_BYTES: usize = 256 << 20;

/// What the database writes to.
pub trait Medium: Send {
    /// Opens it; again after it was full, because redb ends with the first error.
    ///
    /// # Errors
    /// [`StoreError`].
    fn open(&self) -> Result<Disk, StoreError>;

    /// Gives back the room set aside for revocations; false when there is none to give.
    fn spend_reserve(&self) -> bool;
}

/// Bytes set aside for revocations on a full disk, in a file of their own: each takes a few pages of 4 KiB, which later ones reuse.
const RESERVE_BYTES: u64 = 512 * 1024;

/// A file, with its reserve beside it.
struct FileMedium {
    path: PathBuf,
    reserve: PathBuf,
    trouble: Arc<Trouble>,
}

impl FileMedium {
    fn new(path: &Path, trouble: Arc<Trouble>) -> Self {
        let mut reserve = path.as_os_str().to_owned();
        reserve.push(".reserve");
        let medium = Self { path: path.to_owned(), reserve: reserve.into(), trouble };
        if let Err(error) = medium.set_aside() {
            tracing::warn!(path = %medium.reserve.display(), %error, "no room is set aside for revocations");
        }
        medium
    }

    fn set_aside(&self) -> std::io::Result<()> {
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.reserve)?;
        let set_aside = rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, RESERVE_BYTES);
        if set_aside.is_err() {
            // Part of it would be there for nothing.
            let _ = std::fs::remove_file(&self.reserve);
        }
        Ok(set_aside?)
    }
}

impl Medium for FileMedium {
    fn open(&self) -> Result<Disk, StoreError> {
        Ok(Disk::new(disk::open(&self.path)?.0, self.trouble.clone()))
    }

    fn spend_reserve(&self) -> bool {
        std::fs::remove_file(&self.reserve).is_ok()
    }
}

/// An open store.
pub struct RedbStore {
    path: PathBuf,
    store_id: [u8; 16],
    medium: Box<dyn Medium>,
    trouble: Arc<Trouble>,
    /// None after the disk was full, until the next call.
    database: Option<Database>,
    /// Changes are counted on from here at least.
    after: Revision,
}

impl std::fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedbStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl RedbStore {
    /// Makes an empty store at `path`, whole or not at all.
    ///
    /// # Errors
    /// [`StoreError`]; `Exists` when there is one.
    pub fn create(path: &Path, store_id: [u8; 16]) -> Result<(), StoreError> {
        let failed = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::AlreadyExists => StoreError::Exists { path: path.to_owned() },
            std::io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { path: path.to_owned(), source },
            _ => StoreError::Open { path: path.to_owned(), source },
        };
        if path.try_exists().map_err(failed)? {
            return Err(StoreError::Exists { path: path.to_owned() });
        }
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let unfinished = PathBuf::from(name);
        let made = Self::write_empty(&unfinished, store_id, failed).and_then(|()| {
            // A link, not a rename: it never replaces what is there.
            std::fs::hard_link(&unfinished, path).map_err(failed)
        });
        let _ = std::fs::remove_file(&unfinished);
        made?;
        sync_directory_of(path).map_err(failed)
    }

    fn write_empty(
        path: &Path,
        store_id: [u8; 16],
        failed: impl Fn(std::io::Error) -> StoreError + Copy,
    ) -> Result<(), StoreError> {
        let file = disk::create(path, store_id).map_err(failed)?;
        let again = file.try_clone().map_err(failed)?;
        let trouble = Arc::<Trouble>::default();
        let backend = Disk::new(file, trouble.clone());
        let asked = |error: redb::Error| fault(path, &trouble, &error);
        let database = builder().create_with_backend(backend).map_err(|error| asked(error.into()))?;
        let made: Result<(), redb::Error> = (|| {
            let transaction = database.begin_write()?;
            transaction.open_table(RECORDS)?;
            transaction.open_table(AUDIT)?;
            transaction.open_table(ABOUT)?.insert(ABOUT_KEY, (0, &store_id[..]))?;
            transaction.commit()?;
            Ok(())
        })();
        made.map_err(asked)?;
        database.close().map_err(|error| asked(error.into()))?;
        again.sync_all().map_err(failed)
    }

    /// Opens the store at `path` and keeps every other process out of it. Checks all of it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let (_, preamble) = disk::open(path)?;
        let trouble = Arc::<Trouble>::default();
        let medium = Box::new(FileMedium::new(path, trouble.clone()));
        Self::open_on(path, preamble.store_id, trouble, medium)
    }

    /// The same on any medium, which notes its trouble; `path` names it in errors.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open_on(
        path: &Path,
        store_id: [u8; 16],
        trouble: Arc<Trouble>,
        medium: Box<dyn Medium>,
    ) -> Result<Self, StoreError> {
        let mut store = Self { path: path.to_owned(), store_id, medium, trouble, database: None, after: 0 };
        let (_, id) = store.read(|transaction| {
            let about = transaction.open_table(ABOUT)?;
            let found = about.get(ABOUT_KEY)?;
            Ok(found.map_or((0, Vec::new()), |found| (found.value().0, found.value().1.to_vec())))
        })?;
        if id != store_id {
            let text = "its first page and its records are not of one store".into();
            return Err(StoreError::Corrupted { path: path.to_owned(), text });
        }
        Ok(store)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its last change.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn revision(&mut self) -> Result<Revision, StoreError> {
        self.read(|transaction| Ok(last_revision(&transaction.open_table(ABOUT)?)?))
    }

    /// Has the next change be later than `revision`.
    pub const fn go_on_after(&mut self, revision: Revision) {
        self.after = revision;
    }

    fn database(&mut self) -> Result<&Database, StoreError> {
        if self.database.is_none() {
            self.trouble.forgive_full();
            let backend = self.medium.open()?;
            if backend.len().is_ok_and(|length| length == 0) {
                let text = "nothing behind its first page".into();
                return Err(StoreError::Corrupted { path: self.path.clone(), text });
            }
            let opened = builder().create_with_backend(backend);
            let database = opened.map_err(|error| fault(&self.path, &self.trouble, &error.into()))?;
            self.database = Some(database);
        }
        Ok(self.database.as_ref().expect("opened above"))
    }

    fn read<T>(
        &mut self,
        read: impl FnOnce(&redb::ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let database = self.database()?;
        let found =
            database.begin_read().map_err(redb::Error::from).and_then(|transaction| read(&transaction));
        found.map_err(|error| self.give_up(&error))
    }

    /// redb does nothing more after an error: the next call opens the file anew, unless it failed for good.
    fn give_up(&mut self, error: &redb::Error) -> StoreError {
        self.database = None;
        fault(&self.path, &self.trouble, error)
    }

    fn write(&mut self, writes: &[Write], audit: &[u8]) -> Result<Result<Revision, String>, redb::Error> {
        let database = self.database.as_ref().expect("opened by the caller");
        let mut transaction = database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        // Two phases: a torn write of the root is recognised without a walk through everything.
        transaction.set_quick_repair(true);
        let revision;
        {
            let mut records = transaction.open_table(RECORDS)?;
            let mut about = transaction.open_table(ABOUT)?;
            revision = last_revision(&about)?.max(self.after) + 1;
            for write in writes {
                let found = match &write.value {
                    Some(value) => records.insert(write.key.as_str(), (revision, value.as_slice()))?,
                    None => records.remove(write.key.as_str())?,
                };
                // A transaction that is dropped writes nothing.
                if found.map(|found| found.value().0) != write.expected {
                    return Ok(Err(write.key.clone()));
                }
            }
            transaction.open_table(AUDIT)?.insert(revision, audit)?;
            about.insert(ABOUT_KEY, (revision, &self.store_id[..]))?;
        }
        transaction.commit()?;
        Ok(Ok(revision))
    }
}

fn last_revision(
    about: &impl ReadableTable<&'static str, (u64, &'static [u8])>,
) -> Result<Revision, redb::StorageError> {
    Ok(about.get(ABOUT_KEY)?.map_or(0, |found| found.value().0))
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

fn fault(path: &Path, trouble: &Trouble, error: &redb::Error) -> StoreError {
    match (error, trouble.worst()) {
        (redb::Error::DatabaseAlreadyOpen, _) => StoreError::InUse { path: path.to_owned() },
        (_, Worst::Failed) => StoreError::Failed(format!("{}: {error}", path.display())),
        (_, Worst::Full) => StoreError::Full(std::io::Error::other(error.to_string())),
        _ => StoreError::Corrupted { path: path.to_owned(), text: error.to_string() },
    }
}

impl Store for RedbStore {
    fn load(&mut self) -> Result<Snapshot, StoreError> {
        self.read(|transaction| {
            let mut records = Vec::new();
            for row in transaction.open_table(RECORDS)?.iter()? {
                records.push(record(&row?));
            }
            let revision = last_revision(&transaction.open_table(ABOUT)?)?;
            Ok(Snapshot { records, revision })
        })
    }

    fn watch(&mut self, from: Revision) -> Result<Vec<Record>, StoreError> {
        self.read(|transaction| {
            let last = last_revision(&transaction.open_table(ABOUT)?)?;
            let mut records = Vec::new();
            if last <= from {
                return Ok(records);
            }
            for row in transaction.open_table(RECORDS)?.iter()? {
                let row = row?;
                if row.1.value().0 > from {
                    records.push(record(&row));
                }
            }
            records.sort_by_key(|record| record.revision);
            Ok(records)
        })
    }

    fn put(&mut self, writes: &[Write], audit: &[u8]) -> Result<Revision, StoreError> {
        self.database()?;
        match self.write(writes, audit) {
            Ok(Ok(revision)) => Ok(revision),
            Ok(Err(key)) => Err(StoreError::Conflict(key)),
            Err(error) => Err(self.give_up(&error)),
        }
    }

    fn audit(&mut self, count_max: usize) -> Result<Vec<(Revision, Vec<u8>)>, StoreError> {
        self.read(|transaction| {
            let mut lines = Vec::new();
            for row in transaction.open_table(AUDIT)?.iter()?.rev().take(count_max) {
                let (revision, line) = row?;
                lines.push((revision.value(), line.value().to_vec()));
            }
            lines.reverse();
            Ok(lines)
        })
    }

    fn spend_reserve(&mut self) -> bool {
        self.medium.spend_reserve()
    }

    fn store_id(&self) -> [u8; 16] {
        self.store_id
    }
}

type Row<'a> = (redb::AccessGuard<'a, &'static str>, redb::AccessGuard<'a, (u64, &'static [u8])>);

fn record((key, value): &Row<'_>) -> Record {
    let (revision, bytes) = value.value();
    Record { key: key.value().to_owned(), value: bytes.to_vec(), revision }
}
