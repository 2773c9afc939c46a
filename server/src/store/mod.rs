//! What must outlive the process: records with revisions, behind an interface that a distributed engine can keep.
//!
//! A record is a key and bytes. Every change is one step of one count, the revision; a record remembers the revision that
//! wrote it, and is only replaced by who names that. So a node may hold a snapshot, follow what changes after it, and
//! write without a lock that spans nodes. What is in the bytes is the business of [`record`].

pub mod disk;
pub mod feed;
pub mod file;
pub mod mark;
pub mod record;
pub mod redb;
pub mod seal;

use std::path::PathBuf;

use mvt_sys::keystore::SecretFileError;

/// Counts changes from 1; 0 is the empty store.
pub type Revision = u64;

/// One record as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its name: kind, slash, name.
    pub key: String,
    /// What it says.
    pub value: Vec<u8>,
    /// The change that wrote it.
    pub revision: Revision,
}

/// Everything, as of one revision.
#[derive(Debug)]
pub struct Snapshot {
    /// Every record, in no order.
    pub records: Vec<Record>,
    /// The change they are of.
    pub revision: Revision,
}

/// One record to be written, if it stands as expected.
#[derive(Debug)]
pub struct Write {
    /// Its name.
    pub key: String,
    /// What it is to say; `None` takes it away.
    pub value: Option<Vec<u8>>,
    /// The change that wrote what it replaces; `None` when there must be none.
    pub expected: Option<Revision>,
}

/// One engine. Whoever owns it calls it from one thread; calls block.
pub trait Store: Send + std::fmt::Debug {
    /// Everything but the audit.
    ///
    /// # Errors
    /// [`StoreError`].
    fn load(&mut self) -> Result<Snapshot, StoreError>;

    /// The records written after `from`, as they stand, in the order of their revisions, without waiting. Records that were
    /// taken away are not reported: only those that have run out are, and those that a floor stands for, which is written with that.
    ///
    /// # Errors
    /// [`StoreError`].
    fn watch(&mut self, from: Revision) -> Result<Vec<Record>, StoreError>;

    /// Writes all of `writes`, or nothing, with a line of the audit. When this returns it outlives the process and the machine.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Unchangeable`], [`StoreError::Full`]: nothing was written.
    /// [`StoreError::Failed`]: nobody knows, and nothing may be acknowledged any more.
    fn put(&mut self, writes: &[Write], audit: &[u8]) -> Result<Revision, StoreError>;

    /// The last `count_max` lines of the audit, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    fn audit(&mut self, count_max: usize) -> Result<Vec<(Revision, Vec<u8>)>, StoreError>;

    /// Gives back the room set aside for changes that must not fail for want of it; false when there is none to give.
    fn spend_reserve(&mut self) -> bool {
        false
    }

    /// The server time up to which this store is known to be complete; `None` when changes are made here alone.
    fn as_of_ms(&self) -> Option<u64> {
        None
    }

    /// A name of this store that no other has, to which sealed records are bound.
    fn store_id(&self) -> [u8; 16];
}

/// Why a store cannot be had, or does not do what is asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is none.
    #[error(
        "{path}: no store there; `mvt-server init` makes one, `mvt-server import FILE` one with the clients of a file"
    )]
    Missing {
        /// Where it would be.
        path: PathBuf,
    },
    /// There is one, where one is to be made.
    #[error("{path}: there is a store already")]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// The OS does not let us read or make it.
    #[error("{path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// The OS's reason.
        source: std::io::Error,
    },
    /// It can be read and not written.
    #[error("{path}: cannot be written: {source}")]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// The OS's reason.
        source: std::io::Error,
    },
    /// Others may read it, or it is somebody else's.
    #[error("{path}: {source}")]
    Private {
        /// The file.
        path: PathBuf,
        /// In what way.
        source: SecretFileError,
    },
    /// Another process has it.
    #[error("{path}: another process uses this store; ask it by its admin socket, or stop it")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It was written by a later version; it was not touched.
    #[error("{path}: written by a later version (format {format}, known: {known}); not touched")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
        /// Ours.
        known: u32,
    },
    /// It is an older copy of itself.
    #[error(
        "{path}: put back to an older copy: its last change is {revision}, and {mark} knows of {marked}; who was revoked between \
         would be let in (`mvt-server accept-store` takes it as it is)"
    )]
    RolledBack {
        /// The store.
        path: PathBuf,
        /// Its last change.
        revision: Revision,
        /// The mark.
        mark: PathBuf,
        /// The last change it knows of.
        marked: Revision,
    },
    /// It is no store, or a broken one.
    #[error("{path}: {text}")]
    Corrupted {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        text: String,
    },
    /// A line of the authorized file is wrong.
    #[error("{path}:{line}: {fault}")]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        fault: file::LineFault,
    },
    /// No room: nothing was written.
    #[error("no room to write: {0}")]
    Full(std::io::Error),
    /// The medium failed: what was written last may be there or not.
    #[error("the medium failed: {0}")]
    Failed(String),
    /// A record is not as expected: nothing was written.
    #[error("{0} was changed by somebody else meanwhile; nothing was written")]
    Conflict(String),
    /// Another node's store is followed.
    #[error("this node follows {path}; the node that writes it takes commands")]
    Follows {
        /// The feed.
        path: PathBuf,
    },
    /// This engine is not written by us.
    #[error(
        "clients are lines of {path}, which only its editor changes; store.engine = \"redb\" takes commands"
    )]
    Unchangeable {
        /// The authorized file.
        path: PathBuf,
    },
}

impl StoreError {
    /// The exit status: 2 the operator's input, 65 broken data, 66 a missing input, 73 an output, 74 a medium that failed, 75 in
    /// use (try again), 76 a later format, 77 permissions (after sysexits.h).
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Line { .. } | Self::Unchangeable { .. } | Self::Follows { .. } | Self::Conflict(_) => 2,
            Self::Corrupted { .. } | Self::RolledBack { .. } => 65,
            Self::Open { source, .. } if source.kind() == std::io::ErrorKind::InvalidData => 65,
            Self::Missing { .. } => 66,
            Self::Open { source, .. } if source.kind() == std::io::ErrorKind::NotFound => 66,
            Self::Open { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => 77,
            Self::Exists { .. } | Self::ReadOnly { .. } | Self::Open { .. } | Self::Full(_) => 73,
            Self::Failed(_) => 74,
            Self::InUse { .. } => 75,
            Self::Newer { .. } => 76,
            Self::Private { .. } => 77,
        }
    }

    /// Whether nothing may be acknowledged any more.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Corrupted { .. })
    }
}
