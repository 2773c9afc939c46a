//! `[store]` with `[admin]`, by which it is changed.

use std::path::PathBuf;

use serde::Deserialize;

use super::value::{between, file};

/// What keeps clients and revocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// The embedded store.
    Redb,
    /// The authorized file, `identity.clients_file`: read at start, without revocation and recovery.
    File,
    /// The feed of the node that owns the store, `store.feed_file`: followed, never written.
    Feed,
}

/// `[store]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreTable {
    /// What keeps clients and revocations.
    pub engine: Engine,
    /// The file of the embedded store.
    #[serde(deserialize_with = "file")]
    pub file: PathBuf,
    /// How far it had come, by which an older copy of it is found at start; empty for a file beside it.
    pub mark_file: PathBuf,
    /// The key file under which recovery secrets in it are sealed.
    #[serde(deserialize_with = "file")]
    pub seal_key_file: PathBuf,
    /// Where the owner of the store tells other nodes of it, and where these hear of it; empty for neither.
    pub feed_file: PathBuf,
    /// Age of what a follower heard last at which it refuses tickets, ms.
    #[serde(deserialize_with = "between::<_, _, 5_000, 86_400_000>")]
    pub resume_stale_ms: u64,
    /// Age at which it refuses logins too, ms.
    #[serde(deserialize_with = "between::<_, _, 5_000, 86_400_000>")]
    pub login_stale_ms: u64,
    /// Revocations kept one by one.
    #[serde(deserialize_with = "between::<_, _, 1, 100_000_000>")]
    pub revocations_max: usize,
    /// How long a revocation is kept: at least the longest life of a ticket, ms.
    #[serde(deserialize_with = "between::<_, _, 60_000, 31_536_000_000>")]
    pub revocation_keep_ms: u64,
}

impl StoreTable {
    /// Where the mark is.
    #[must_use]
    pub fn mark(&self) -> PathBuf {
        if !self.mark_file.as_os_str().is_empty() {
            return self.mark_file.clone();
        }
        let mut path = self.file.clone().into_os_string();
        path.push(".mark");
        path.into()
    }
}

impl Default for StoreTable {
    fn default() -> Self {
        Self {
            engine: Engine::Redb,
            file: "mvt.store".into(),
            mark_file: PathBuf::new(),
            seal_key_file: "seal.key".into(),
            feed_file: PathBuf::new(),
            resume_stale_ms: 60_000,
            login_stale_ms: 600_000,
            revocations_max: 1_000_000,
            revocation_keep_ms: 7 * 86_400_000,
        }
    }
}

/// `[admin]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// The Unix socket of the running server, mode 600.
    #[serde(deserialize_with = "file")]
    pub socket: PathBuf,
}

impl Default for Admin {
    fn default() -> Self {
        Self { socket: "mvt-admin.sock".into() }
    }
}
