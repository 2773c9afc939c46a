//! A medium for the embedded store that is memory, fails when it is told to, and keeps a journal.
#![allow(dead_code)] // each user of it uses its part

use std::{
    collections::BTreeSet,
    fs,
    io::{self, ErrorKind},
    ops::Bound,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use mvt_server::store::{
    StoreError,
    disk::{Disk, FORMAT, PAGE_BYTES, Preamble, Trouble},
    redb::{self as redb_store, RedbStore},
};
use redb::{BackendError, StorageBackend};

/// The name of its store.
pub const ID: [u8; 16] = [9; 16];

/// An empty store in a file.
pub fn made(folder: &Path) -> PathBuf {
    let path = folder.join("mvt.store");
    RedbStore::create(&path, ID).unwrap();
    path
}

/// A medium in memory that fails as it is told to.
#[derive(Debug, Clone, Default)]
pub struct Medium(pub Arc<Mutex<Bytes>>);

#[derive(Debug, Default)]
pub struct Bytes {
    pub bytes: Vec<u8>,
    /// No byte beyond this many in pages that were ever written: growth alone takes nothing, as in most file systems.
    pub room: usize,
    /// The pages that were.
    pub taken: BTreeSet<usize>,
    /// Bytes that come to it when the reserve is spent.
    pub reserve: usize,
    /// Syncs that still succeed; then one fails, and the next ones succeed again.
    pub syncs_left: Option<usize>,
    pub sync_count: usize,
    /// Everything that was done, in order.
    pub journal: Vec<Step>,
}

/// One thing that was done to a medium.
#[derive(Debug, Clone)]
pub enum Step {
    Resize(usize),
    Write(usize, Vec<u8>),
    Sync,
}

impl Step {
    pub fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Resize(length) => bytes.resize(*length, 0),
            Self::Write(at, data) => {
                // A write may outlive the growth it needed.
                bytes.resize(bytes.len().max(at + data.len()), 0);
                bytes[*at..at + data.len()].copy_from_slice(data);
            }
            Self::Sync => {}
        }
    }
}

impl Medium {
    pub fn new() -> Self {
        let medium = Self::default();
        let mut state = medium.0.lock().unwrap();
        state.bytes = Preamble { format: FORMAT, store_id: ID }.to_page().to_vec();
        state.room = usize::MAX;
        drop(state);
        medium
    }

    pub fn with_bytes(bytes: Vec<u8>) -> Self {
        let medium = Self::new();
        medium.0.lock().unwrap().bytes = bytes;
        medium
    }

    /// The bytes of an empty store.
    pub fn with_store() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let medium = Self::new();
        let bytes = fs::read(made(folder.path())).unwrap();
        let mut state = medium.0.lock().unwrap();
        state.taken = (0..bytes.len() / PAGE_BYTES)
            .filter(|page| bytes[page * PAGE_BYTES..][..PAGE_BYTES] != [0; PAGE_BYTES])
            .collect();
        state.bytes = bytes;
        drop(state);
        medium
    }

    pub fn open(&self) -> Result<RedbStore, StoreError> {
        let trouble = Arc::<Trouble>::default();
        let medium = Noted(self.clone(), trouble.clone());
        RedbStore::open_on(Path::new("medium"), ID, trouble, Box::new(medium))
    }
}

/// A medium whose trouble is noted.
struct Noted(Medium, Arc<Trouble>);

impl redb_store::Medium for Noted {
    fn open(&self) -> Result<Disk, StoreError> {
        Ok(Disk::on(Box::new(self.0.clone()), self.1.clone()))
    }

    fn spend_reserve(&self) -> bool {
        let mut state = self.0.0.lock().unwrap();
        let reserve = std::mem::take(&mut state.reserve);
        state.room = state.room.saturating_add(reserve);
        reserve > 0
    }
}

impl StorageBackend for Medium {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap();
        let from = state.bytes.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(from.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.bytes.resize(len as usize, 0);
        state.journal.push(Step::Resize(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.sync_count += 1;
        match &mut state.syncs_left {
            Some(0) => {
                state.syncs_left = None;
                Err(io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error()))
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }?;
        state.journal.push(Step::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let end = offset as usize + data.len();
        let room = state.room;
        for page in offset as usize / PAGE_BYTES..end.div_ceil(PAGE_BYTES) {
            if state.taken.insert(page) && state.taken.len() > room / PAGE_BYTES {
                state.taken.remove(&page);
                return Err(ErrorKind::StorageFull.into());
            }
        }
        state.bytes.get_mut(offset as usize..end).ok_or(ErrorKind::UnexpectedEof)?.copy_from_slice(data);
        state.journal.push(Step::Write(offset as usize, data.to_vec()));
        Ok(())
    }

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }
}
