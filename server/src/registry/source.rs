//! Where the registry is read from, by configuration.

use std::sync::Arc;

use crate::{
    config::{Config, Engine},
    fatal::Fatal,
    keys,
    registry::{Bounds, Registry},
    store::{Store, StoreError, feed::FeedStore, file::FileStore, redb::RedbStore},
};

/// Opens the configured store and reads all of it.
///
/// # Errors
/// The store's, and the seal key file's.
pub fn open(config: &Config) -> Result<Registry, Fatal> {
    let table = &config.store;
    let has_feed = !table.feed_file.as_os_str().is_empty();
    let bounds = Bounds {
        revocations_max: table.revocations_max,
        revocation_keep_ms: table.revocation_keep_ms,
        follower_stale_ms: if has_feed { table.login_stale_ms } else { 0 },
    };
    Ok(match table.engine {
        Engine::Redb => {
            let store: Box<dyn Store> = Box::new(RedbStore::open(&table.file)?);
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

/// Makes an empty store, and the seal key if there is none.
///
/// # Errors
/// [`StoreError::Exists`], and the OS's.
pub fn init(config: &Config) -> Result<(), Fatal> {
    let table = &config.store;
    match table.engine {
        Engine::Redb => {}
        Engine::Feed => return Err(StoreError::Follows { path: table.feed_file.clone() }.into()),
        Engine::File => {
            return Err(StoreError::Unchangeable { path: config.identity.clients_file.clone() }.into());
        }
    }
    if table.file.exists() {
        return Err(StoreError::Exists { path: table.file.clone() }.into());
    }
    // The key first: a store is never without it.
    keys::ensure_seal_key(&table.seal_key_file)?;
    let mut store_id = [0; 16];
    getrandom::fill(&mut store_id).map_err(Fatal::Randomness)?;
    Ok(RedbStore::create(&table.file, store_id)?)
}
