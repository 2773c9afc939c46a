//! Where the registry is read from, by configuration.

use std::sync::Arc;

use crate::{
    config::{Config, Engine, StoreTable},
    fatal::Fatal,
    keys,
    registry::{Bounds, Registry},
    store::{
        Store, StoreError,
        feed::FeedStore,
        file::FileStore,
        mark::{self, MarkedStore},
        redb::RedbStore,
    },
};

/// Opens the configured store and reads all of it.
///
/// # Errors
/// The store's, and the seal key file's.
pub fn open(config: &Config) -> Result<Registry, Fatal> {
    let table = &config.store;
    let bounds = bounds(table);
    Ok(match table.engine {
        Engine::Redb => {
            let store = MarkedStore::open(RedbStore::open(&table.file)?, &table.mark())?;
            let store: Box<dyn Store> = Box::new(store);
            let seal_key = keys::read_seal_key(&table.seal_key_file)?;
            Registry::open(store, table.file.clone(), bounds, seal_key.map(Arc::new))?
        }
        Engine::Feed => {
            let key_file = keys::read(&config.identity.key_file)?;
            let reset_secret = key_file
                .reset_secret()
                .map_err(|source| Fatal::KeyFile { path: config.identity.key_file.clone(), source })?;
            let store = Box::new(FeedStore::open(&table.feed_file, reset_secret)?);
            let seal_key = keys::read_seal_key(&table.seal_key_file)?;
            Registry::open(store, table.feed_file.clone(), bounds, seal_key.map(Arc::new))?
        }
        Engine::File => {
            let path = &config.identity.clients_file;
            Registry::open(Box::new(FileStore::open(path)?), path.clone(), bounds, None)?
        }
    })
}

fn bounds(table: &StoreTable) -> Bounds {
    let has_feed = !table.feed_file.as_os_str().is_empty();
    Bounds {
        revocations_max: table.revocations_max,
        revocation_keep_ms: table.revocation_keep_ms,
        follower_stale_ms: if has_feed { table.login_stale_ms } else { 0 },
    }
}

/// The store as it is, though its mark says that it was put back to an older copy, or is another store's. It may have forgotten
/// revocations: see [`Registry::accept`].
///
/// # Errors
/// As [`open`], without those of the mark; `Unchangeable` and `Follows` where there is no store of ours.
pub fn accept(config: &Config) -> Result<Registry, Fatal> {
    let table = &config.store;
    writable(config)?;
    let store = Box::new(MarkedStore::accept(RedbStore::open(&table.file)?, &table.mark())?);
    let seal_key = keys::read_seal_key(&table.seal_key_file)?;
    Ok(Registry::open(store, table.file.clone(), bounds(table), seal_key.map(Arc::new))?)
}

fn writable(config: &Config) -> Result<(), StoreError> {
    match config.store.engine {
        Engine::Redb => Ok(()),
        Engine::Feed => Err(StoreError::Follows { path: config.store.feed_file.clone() }),
        Engine::File => Err(StoreError::Unchangeable { path: config.identity.clients_file.clone() }),
    }
}

/// Makes an empty store, and the seal key if there is none.
///
/// # Errors
/// [`StoreError::Exists`], and the OS's.
pub fn init(config: &Config) -> Result<(), Fatal> {
    let table = &config.store;
    writable(config)?;
    if table.file.exists() {
        return Err(StoreError::Exists { path: table.file.clone() }.into());
    }
    // The key first: a store is never without it.
    keys::ensure_seal_key(&table.seal_key_file)?;
    let mut store_id = [0; 16];
    getrandom::fill(&mut store_id).map_err(Fatal::Randomness)?;
    RedbStore::create(&table.file, store_id)?;
    Ok(mark::begin(&table.mark(), store_id)?)
}
