//! The file under the embedded store: a page that says what it is, then the database; and a memory of what went wrong.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    ops::Bound,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use mvt_sys::keystore;
use redb::{BackendError, StorageBackend, backends::FileBackend};

use crate::store::StoreError;

/// The format this program reads and writes.
pub const FORMAT: u32 = 1;
/// The first page: written once, so that a later format is recognised before anything is written.
pub const PAGE_BYTES: usize = 4096;

/// What the first page says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preamble {
    /// Its format.
    pub format: u32,
    /// A name no other store has.
    pub store_id: [u8; 16],
}

impl Preamble {
    /// The page.
    #[must_use]
    pub fn to_page(&self) -> [u8; PAGE_BYTES] {
        let id: String = self.store_id.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!("mvt store\nformat {}\nid {id}\n", self.format);
        let mut page = [0; PAGE_BYTES];
        page[..text.len()].copy_from_slice(text.as_bytes());
        page
    }

    /// Reads a page; the format may be a later one. `None` when it is not one of ours, whole.
    #[must_use]
    pub fn of_page(page: &[u8; PAGE_BYTES]) -> Option<Self> {
        let end = page.iter().position(|byte| *byte == 0)?;
        let mut lines = std::str::from_utf8(&page[..end]).ok()?.lines();
        if lines.next()? != "mvt store" {
            return None;
        }
        let format = lines.next()?.strip_prefix("format ")?.parse().ok()?;
        if format > FORMAT {
            // What else it says is the business of its version.
            return Some(Self { format, store_id: [0; 16] });
        }
        let id = u128::from_str_radix(lines.next()?.strip_prefix("id ")?, 16).ok()?;
        let preamble = Self { format, store_id: id.to_be_bytes() };
        (preamble.to_page() == *page).then_some(preamble)
    }
}

/// Opens the store at `path` for reading and writing, and reads its first page. Nothing is written.
///
/// # Errors
/// [`StoreError`]: missing, not private, read-only, no store, or of a later format.
pub fn open(path: &Path) -> Result<(File, Preamble), StoreError> {
    let named = |source: io::Error| match source.kind() {
        ErrorKind::NotFound => StoreError::Missing { path: path.to_owned() },
        ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { path: path.to_owned(), source },
        _ => StoreError::Open { path: path.to_owned(), source },
    };
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(named)?;
    keystore::check_private(&file).map_err(|source| StoreError::Private { path: path.to_owned(), source })?;
    let corrupted = |text: &str| StoreError::Corrupted { path: path.to_owned(), text: text.into() };
    let mut page = [0; PAGE_BYTES];
    file.read_exact(&mut page).map_err(|_| corrupted("not a store: too short"))?;
    let preamble = Preamble::of_page(&page).ok_or_else(|| corrupted("not a store, or a broken one"))?;
    match preamble.format {
        FORMAT => Ok((file, preamble)),
        0 => Err(corrupted("not a store: format 0")),
        format => Err(StoreError::Newer { path: path.to_owned(), format, known: FORMAT }),
    }
}

/// Makes an empty file at `path`, mode 600, with its first page written and nothing synced.
///
/// # Errors
/// The OS's, also when the file exists.
pub fn create(path: &Path, store_id: [u8; 16]) -> io::Result<File> {
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&Preamble { format: FORMAT, store_id }.to_page())?;
    Ok(file)
}

/// What went wrong on a disk since it was opened. A full disk leaves what was committed; a failed one leaves doubt.
#[derive(Debug, Default)]
pub struct Trouble(AtomicU8);

/// The worst of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worst {
    /// Nothing.
    None,
    /// There was no room.
    Full,
    /// Something failed that must not.
    Failed,
}

impl Trouble {
    /// The worst so far.
    #[must_use]
    pub fn worst(&self) -> Worst {
        match self.0.load(Ordering::Acquire) {
            0 => Worst::None,
            1 => Worst::Full,
            _ => Worst::Failed,
        }
    }

    fn note(&self, worst: Worst) {
        self.0.fetch_max(worst as u8, Ordering::AcqRel);
    }

    /// A write that found no room is told from one that failed.
    fn note_write(&self, error: io::Error) -> io::Error {
        let is_full = matches!(
            error.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
        );
        self.note(if is_full { Worst::Full } else { Worst::Failed });
        error
    }

    fn note_failure(&self, error: io::Error) -> io::Error {
        self.note(Worst::Failed);
        error
    }

    /// To be called when the file is opened anew: a full disk may have room again, a failed one stays failed.
    pub fn forgive_full(&self) {
        let _ = self.0.compare_exchange(
            Worst::Full as u8,
            Worst::None as u8,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
    }
}

/// What the database writes to: the file behind its first page. A failed sync is final, whatever the next one says: the
/// kernel may have dropped the pages.
#[derive(Debug)]
pub struct Disk {
    below: Box<dyn StorageBackend>,
    trouble: Arc<Trouble>,
}

impl Disk {
    /// On `file`, which begins with its first page.
    #[must_use]
    pub fn new(file: File, trouble: Arc<Trouble>) -> Self {
        let below = FileBackend::new(file).expect("wrapping a file does nothing that can fail");
        Self::on(Box::new(below), trouble)
    }

    /// On anything that is like such a file.
    #[must_use]
    pub fn on(below: Box<dyn StorageBackend>, trouble: Arc<Trouble>) -> Self {
        Self { below, trouble }
    }

    fn check(&self) -> io::Result<()> {
        match self.trouble.worst() {
            Worst::Failed => Err(io::Error::other("failed before")),
            Worst::None | Worst::Full => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.below.len()?.saturating_sub(PAGE_BYTES as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.below.read(offset + PAGE_BYTES as u64, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.below.set_len(len + PAGE_BYTES as u64).map_err(|error| self.trouble.note_write(error))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()?;
        self.below.sync_data().map_err(|error| self.trouble.note_failure(error))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.below.write(offset + PAGE_BYTES as u64, data).map_err(|error| self.trouble.note_write(error))
    }

    fn close(&self) -> io::Result<()> {
        self.below.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.below.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.below.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.below.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.below.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.below.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.below.query_lock_range(start, end)
    }
}
