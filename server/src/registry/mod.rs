//! The clients and revocations of a store, in memory; its changes are in the files beside this one.

mod enroll;
mod recover;
mod refusal;
mod replace;
mod revoke;
mod source;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Bound,
    path::PathBuf,
    sync::Arc,
};

use mvt_proto::{ClientId, constants::KEY_BYTES};

pub use recover::{NewRecovery, Unsealer};
pub use refusal::RegistryError;
pub use source::{accept, init, open};

use crate::{
    enrolment::Enrolment,
    revocations::Revocations,
    store::{
        Record, Revision, Snapshot, Store, StoreError, Write,
        record::{
            Audit, Content, FLOOR_KEY, Floor, Identity, Recovery, Revocation, State, client_of_key,
            identity_key, is_name, to_value,
        },
        seal::SealKey,
    },
};

/// Names in one line of the audit; of the others it says how many.
const NAMES_SAID_MAX: usize = 8;

/// What the audit says of a command.
fn said<'a>(command: &str, names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(NAMES_SAID_MAX);
    let names: Vec<_> = names.take(NAMES_SAID_MAX).collect();
    match more {
        0 => format!("{command} {}", names.join(" ")),
        more => format!("{command} {} and {more} more", names.join(" ")),
    }
}

/// Bounds of the registry.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Revocations kept one by one.
    pub revocations_max: usize,
    /// How long a revocation is kept, ms: what was authenticated before it has ended by then (SPEC §12.2.2).
    pub revocation_keep_ms: u64,
    /// How long a node that follows this store may not know of a revocation, ms; 0 when none does.
    pub follower_stale_ms: u64,
}

/// Who changes something, and when.
#[derive(Debug, Clone, Copy)]
pub struct Actor {
    /// The user of the process that asked.
    pub uid: u32,
    /// Server time, ms.
    pub now_ms: u64,
}

/// What a change may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Urgency {
    /// The room there is.
    Usual,
    /// And what was set aside.
    MustFit,
}

/// A client as it stands.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Who it is.
    pub identity: Identity,
    revision: Revision,
    recovery: Option<(Recovery, Revision)>,
}

impl Entry {
    /// Whether a recovery secret was made for it.
    #[must_use]
    pub fn has_recovery(&self) -> bool {
        self.recovery().is_some()
    }

    fn recovery(&self) -> Option<&Recovery> {
        self.recovery.as_ref().map(|(recovery, _)| recovery).filter(|recovery| !recovery.sealed.is_empty())
    }
}

/// What another node revoked.
#[derive(Debug)]
pub struct News {
    /// Clients whose revocation stands in the list.
    pub revoked: Vec<ClientId>,
    /// Clients of a command that named more than the list holds: the floor stands for their revocations.
    pub beyond: Vec<ClientId>,
}

/// The store's records by what they say. `enrolment` and `revocations` are what the node publishes; a client that is being
/// revoked leaves `enrolment` before its revocation is written.
#[derive(Debug)]
pub struct Registry {
    store: Box<dyn Store>,
    path: PathBuf,
    bounds: Bounds,
    seal_key: Option<Arc<SealKey>>,
    revision: Revision,
    entries: BTreeMap<String, Entry>,
    keys: HashMap<[u8; KEY_BYTES], String>,
    voids: HashMap<ClientId, (Revocation, Revision)>,
    floor: (Floor, Option<Revision>),
    enrolment: Enrolment,
    revocations: Revocations,
    /// Clients whose revocation was begun: they stay out, even if it could not be written.
    held: HashSet<ClientId>,
    /// The store said no once and memory may differ from it: read it anew before the next change.
    is_stale: bool,
}

impl Registry {
    /// Reads all of `store`; `path` names it in errors.
    ///
    /// # Errors
    /// The store's, and `Corrupted` for a record that says what it must not.
    pub fn open(
        store: Box<dyn Store>,
        path: PathBuf,
        bounds: Bounds,
        seal_key: Option<Arc<SealKey>>,
    ) -> Result<Self, StoreError> {
        let mut registry = Self {
            store,
            path,
            bounds,
            seal_key,
            revision: 0,
            entries: BTreeMap::new(),
            keys: HashMap::new(),
            voids: HashMap::new(),
            floor: (Floor::default(), None),
            enrolment: Enrolment::default(),
            revocations: Revocations::new(bounds.follower_stale_ms),
            held: HashSet::new(),
            is_stale: false,
        };
        registry.reload()?;
        registry.check_seal_key()?;
        Ok(registry)
    }

    /// Gives what it read.
    fn reload(&mut self) -> Result<Vec<Record>, StoreError> {
        let snapshot = self.store.load()?;
        self.entries.clear();
        self.keys.clear();
        let before = std::mem::take(&mut self.voids);
        self.floor = (Floor::default(), None);
        self.enrolment = Enrolment::default();
        // What is void stays so, also what there was no room to write.
        self.apply_all(&snapshot.records)?;
        // But for what was taken away since: it has run out, or the floor holds for it.
        for client in before.keys().filter(|client| !self.voids.contains_key(client)) {
            self.revocations.forget(client);
        }
        self.revision = snapshot.revision;
        self.is_stale = false;
        Ok(snapshot.records)
    }

    /// Takes in what others wrote; what they revoked by that, or `None` when nothing changed.
    ///
    /// # Errors
    /// The store's.
    pub fn follow(&mut self) -> Result<Option<News>, StoreError> {
        let from = self.revision;
        let mut records = self.store.watch(from)?;
        if records.iter().any(|record| record.key == FLOOR_KEY) {
            // It stands for records that are gone: revocations, or all that a copy does not know that was put back and accepted.
            records = self.reload()?;
            records.retain(|record| record.revision > from);
        } else {
            self.apply_all(&records)?;
            self.revision = records.iter().map(|record| record.revision).fold(self.revision, Revision::max);
        }
        let revoked: Vec<_> = records.iter().filter_map(|record| client_of_key(&record.key)).collect();
        let names = records.iter().filter_map(|record| record.key.strip_prefix("identity/"));
        let entries = names.filter_map(|name| self.entries.get(name));
        let ids = entries
            .filter(|entry| entry.identity.state == State::Revoked)
            .map(|entry| ClientId::of_name(&entry.identity.name));
        let beyond = ids.filter(|id| !self.voids.contains_key(id)).collect();
        Ok((!records.is_empty()).then_some(News { revoked, beyond }))
    }

    /// Every record of the store.
    ///
    /// # Errors
    /// The store's.
    pub fn snapshot(&mut self) -> Result<Snapshot, StoreError> {
        self.store.load()
    }

    /// The server time up to which revocations are known; `None` when they are made here.
    #[must_use]
    pub fn as_of_ms(&self) -> Option<u64> {
        self.store.as_of_ms()
    }

    /// The name of the store.
    #[must_use]
    pub fn store_id(&self) -> [u8; 16] {
        self.store.store_id()
    }

    /// Who may log in.
    #[must_use]
    pub const fn enrolment(&self) -> &Enrolment {
        &self.enrolment
    }

    /// What is void.
    #[must_use]
    pub const fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// The change this is as of.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The client of that name.
    ///
    /// # Errors
    /// `Unknown`.
    pub fn find(&self, name: &str) -> Result<&Entry, RegistryError> {
        if !is_name(name) {
            return Err(RegistryError::Name);
        }
        self.entries.get(name).ok_or_else(|| RegistryError::Unknown(name.to_owned()))
    }

    /// Up to `count` clients by name, after `after`.
    pub fn list<'a>(&'a self, after: &'a str, count: usize) -> impl Iterator<Item = &'a Entry> + 'a {
        let range = self.entries.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
        range.map(|(_, entry)| entry).take(count)
    }

    /// The time of the last change, server time, ms; 0 when there is none.
    ///
    /// # Errors
    /// The store's.
    pub fn latest_ms(&mut self) -> Result<u64, StoreError> {
        Ok(self.audit(1)?.last().map_or(0, |(_, line)| line.at_ms))
    }

    /// The last lines of the audit, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub fn audit(&mut self, count_max: usize) -> Result<Vec<(Revision, Audit)>, StoreError> {
        let path = self.path.clone();
        let lines = self.store.audit(count_max)?.into_iter().map(|(revision, line)| {
            let line = serde_json::from_slice(&line).map_err(|error| StoreError::Corrupted {
                path: path.clone(),
                text: format!("audit {revision}: {error}"),
            })?;
            Ok((revision, line))
        });
        lines.collect()
    }

    /// A line of the audit for what changed outside of the store. Where the store is not ours to write, there is none.
    ///
    /// # Errors
    /// [`StoreError`]: the change stands all the same.
    pub fn note(&mut self, actor: Actor, what: String) -> Result<(), StoreError> {
        let audit = Audit { at_ms: actor.now_ms, uid: actor.uid, what };
        match self.store.put(&[], &to_value(&audit)) {
            Ok(revision) => self.revision = revision,
            Err(StoreError::Follows { .. } | StoreError::Unchangeable { .. }) => {}
            Err(error) => {
                self.is_stale = true;
                return Err(error);
            }
        }
        tracing::info!(uid = actor.uid, what = audit.what, revision = self.revision, "changed");
        Ok(())
    }

    fn identity_write(&self, identity: &Identity) -> Write {
        Write {
            key: identity_key(&identity.name),
            value: Some(to_value(identity)),
            expected: self.entries.get(&identity.name).map(|entry| entry.revision),
        }
    }

    fn settle(&mut self) -> Result<(), StoreError> {
        if self.is_stale { self.reload().map(drop) } else { Ok(()) }
    }

    fn put(
        &mut self,
        actor: Actor,
        writes: Vec<Write>,
        what: String,
        urgency: Urgency,
    ) -> Result<(), StoreError> {
        let audit = Audit { at_ms: actor.now_ms, uid: actor.uid, what };
        let mut done = self.store.put(&writes, &to_value(&audit));
        if matches!(done, Err(StoreError::Full(_)))
            && urgency == Urgency::MustFit
            && self.store.spend_reserve()
        {
            tracing::warn!("no room to write: what was set aside for revocations is given back");
            done = self.store.put(&writes, &to_value(&audit));
        }
        let revision = match done {
            Ok(revision) => revision,
            Err(error) => {
                self.is_stale = true;
                return Err(error);
            }
        };
        for write in writes {
            match write.value {
                Some(value) => self.apply(&Record { key: write.key, value, revision })?,
                None => self.forget(&write.key),
            }
        }
        self.revision = revision;
        tracing::info!(uid = actor.uid, what = audit.what, revision, "changed");
        Ok(())
    }

    /// Recovery secrets last: their clients may have been written later than they.
    fn apply_all(&mut self, records: &[Record]) -> Result<(), StoreError> {
        let (recoveries, others): (Vec<_>, Vec<_>) =
            records.iter().partition(|record| record.key.starts_with("recovery/"));
        others.into_iter().chain(recoveries).try_for_each(|record| self.apply(record))
    }

    /// One record into memory: the one way in, of what was read, followed or written.
    fn apply(&mut self, record: &Record) -> Result<(), StoreError> {
        let corrupted = |text| StoreError::Corrupted { path: self.path.clone(), text };
        let revision = record.revision;
        match Content::read(&record.key, &record.value).map_err(corrupted)? {
            Content::Identity(identity) => {
                let name = identity.name.clone();
                let before = self.entries.remove(&name);
                if let Some(before) = &before
                    && self.keys.get(&before.identity.public_key) == Some(&name)
                {
                    self.keys.remove(&before.identity.public_key);
                }
                self.keys.insert(identity.public_key, name.clone());
                let recovery = before.and_then(|before| before.recovery);
                self.entries.insert(name.clone(), Entry { identity, revision, recovery });
                self.refresh(&name);
            }
            Content::Recovery(name, recovery) => {
                let Some(entry) = self.entries.get_mut(&name) else {
                    return Err(corrupted(format!("record {}: of no client", record.key)));
                };
                entry.recovery = Some((recovery, revision));
                self.refresh(&name);
            }
            Content::Revocation(revocation) => {
                self.revocations.revoke(&revocation.client, revocation.not_before_ms);
                self.voids.insert(revocation.client, (revocation, revision));
            }
            Content::Floor(floor) => {
                self.revocations.raise_floor(floor.not_before_ms);
                self.floor = (floor, Some(revision));
            }
        }
        Ok(())
    }

    fn forget(&mut self, key: &str) {
        // Nothing else is ever taken away: see `Store::watch`.
        if let Some(client) = client_of_key(key) {
            self.voids.remove(&client);
            self.revocations.forget(&client);
        }
    }

    /// Brings the enrolment in line with one entry.
    fn refresh(&mut self, name: &str) {
        let id = ClientId::of_name(name);
        match self.entries.get(name) {
            Some(entry) if entry.identity.state == State::Enabled && !self.held.contains(&id) => {
                self.enrolment.admit(&entry.identity, entry.recovery());
            }
            _ => self.enrolment.withdraw(&id),
        }
    }
}
