//! The ring file: ticket keys that nodes share, read again when it changes, turned in time (SPEC §12.1.3).

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use mvt_proto::{
    constants::U48_MAX,
    ticket::{RINGED_KEYS_MAX, RingedKey, TicketKey, TicketKeyId, TicketRing, ring_from_text, ring_to_text},
};
use mvt_sys::keystore::{self, SecretFileError};

use crate::{config::Tickets, fatal::Fatal, keys::random_secret};

/// What becomes of the other keys of a ring when one is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// They open what they sealed; the new one seals once it had the time to reach every node.
    Keep,
    /// They are gone, with every ticket there is: for a ring that was stolen. The new one seals at once.
    Void,
}

/// What tells one version of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl Stamp {
    /// Of the file at `path`; `None` when it is not there.
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Some(Self { inode: metadata.ino(), bytes: metadata.len(), changed })
    }
}

/// The ticket keys of this node: a snapshot of the ring file.
#[derive(Debug)]
pub struct TicketKeys {
    table: Tickets,
    ring: ArcSwap<TicketRing>,
    seen: Mutex<Option<Stamp>>,
}

impl TicketKeys {
    /// Reads the ring file; makes it where the configuration lets us. Without one there are no tickets.
    ///
    /// # Errors
    /// When it lets others in, cannot be read or made, or is no ring.
    pub fn open(table: &Tickets, now_ms: u64) -> Result<Self, Fatal> {
        let keys = Self { table: table.clone(), ring: ArcSwap::default(), seen: Mutex::new(None) };
        keys.reload()?;
        if table.rotate && keys.ring().sealing(now_ms).is_none() {
            rotate(table, now_ms)?;
            keys.reload()?;
        }
        Ok(keys)
    }

    /// No ticket keys: there are no tickets.
    #[must_use]
    pub fn none() -> Self {
        let table = Tickets { rotate: false, ring_file: PathBuf::new(), ..Tickets::default() };
        Self { table, ring: ArcSwap::default(), seen: Mutex::new(None) }
    }

    /// The ring as it is now.
    #[must_use]
    pub fn ring(&self) -> Arc<TicketRing> {
        self.ring.load_full()
    }

    /// Life of a ticket, ms.
    #[must_use]
    pub const fn life_ms(&self) -> u64 {
        self.table.life_ms
    }

    /// Whether tickets of new sessions allow RESUME without a Diffie-Hellman (§12.3.2).
    #[must_use]
    pub const fn psk_alone(&self) -> bool {
        self.table.psk_alone
    }

    /// Takes in a ring file that changed; true when it did. A file that is no ring any more leaves the ring as it is.
    ///
    /// # Errors
    /// What is wrong with the new file, once for each version of it.
    pub fn reload(&self) -> Result<bool, Fatal> {
        let stamp = Stamp::of(&self.table.ring_file);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if stamp.is_none() || *seen == stamp {
            return Ok(false);
        }
        *seen = stamp;
        self.ring.store(Arc::new(read(&self.table.ring_file)?));
        Ok(true)
    }

    /// What the control thread does at every tick: takes in a changed file, and adds a key when the newest one has sealed long
    /// enough. What goes wrong is logged; the keys in hand go on.
    pub fn tick(&self, now_ms: u64) {
        match self.reload() {
            Ok(false) => {}
            Ok(true) => tracing::info!(keys = self.ring().keys().len(), "ticket keys read"),
            Err(error) => tracing::error!(%error, "the ring of ticket keys stays as it was"),
        }
        if self.table.rotate && is_due(&self.ring(), &self.table, now_ms) {
            match rotate(&self.table, now_ms).and_then(|id| self.reload().map(|_| id)) {
                Ok(Some(id)) => tracing::info!(id = %name_of(id), "ticket key added"),
                // Another node did it.
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "no new ticket key"),
            }
        }
    }

    /// Adds a key now, whatever the age of the newest one.
    ///
    /// # Errors
    /// When the ring cannot be read or written.
    pub fn rotate(&self, now_ms: u64, others: Others) -> Result<TicketKeyId, Fatal> {
        let id = rotate_now(&self.table, now_ms, others)?;
        self.reload().map(|_| id)
    }
}

/// A time at which the ring file was changed, server time, ms; 0 when there is none that can be read.
#[must_use]
pub fn latest_ms(table: &Tickets) -> u64 {
    let ring = read(&table.ring_file).unwrap_or_default();
    ring.keys().iter().map(|key| key.seal_from_ms.saturating_sub(table.distribute_ms)).max().unwrap_or(0)
}

/// The id of a ticket key as the log and commands print it.
#[must_use]
pub fn name_of(id: TicketKeyId) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}

fn read(path: &Path) -> Result<TicketRing, Fatal> {
    let text =
        keystore::read_secret(path).map_err(|source| Fatal::SecretFile { path: path.to_owned(), source })?;
    let text = zeroize::Zeroizing::new(text);
    ring_from_text(&text).map_err(|source| Fatal::Ring { path: path.to_owned(), source })
}

/// Whether the newest key has sealed for so long that the next one should be under way.
fn is_due(ring: &TicketRing, table: &Tickets, now_ms: u64) -> bool {
    let Some(newest) = ring.keys().first() else { return true };
    now_ms.saturating_add(table.distribute_ms) >= newest.seal_from_ms.saturating_add(table.rotate_ms)
}

/// Adds a key if it is still due once nobody else writes: of many nodes with one file, one does it.
fn rotate(table: &Tickets, now_ms: u64) -> Result<Option<TicketKeyId>, Fatal> {
    change(table, now_ms, Others::Keep, |ring| is_due(ring, table, now_ms) || ring.sealing(now_ms).is_none())
}

/// Adds a key in any case.
///
/// # Errors
/// As [`TicketKeys::rotate`].
pub fn rotate_now(table: &Tickets, now_ms: u64, others: Others) -> Result<TicketKeyId, Fatal> {
    change(table, now_ms, others, |_| true).map(|id| id.expect("asked for in any case"))
}

fn change(
    table: &Tickets,
    now_ms: u64,
    others: Others,
    is_wanted: impl Fn(&TicketRing) -> bool,
) -> Result<Option<TicketKeyId>, Fatal> {
    let path = &table.ring_file;
    let cannot_write = |source| Fatal::Write { path: path.to_owned(), source };
    let _lock = keystore::lock_beside(path).map_err(cannot_write)?;
    let ring = match read(path) {
        Ok(_) if others == Others::Void => TicketRing::default(),
        Ok(ring) => ring,
        Err(Fatal::SecretFile { source: SecretFileError::Io(error), .. })
            if error.kind() == ErrorKind::NotFound =>
        {
            TicketRing::default()
        }
        Err(fatal) => return Err(fatal),
    };
    if !is_wanted(&ring) {
        return Ok(None);
    }
    let key = TicketKey::new(random_secret()?.expose())
        .map_err(|error| Fatal::Ring { path: path.to_owned(), source: error.into() })?;
    let id = key.id();
    // Where no key seals there is nothing to wait for: no node has another one.
    let wait_ms = if ring.sealing(now_ms).is_some() { table.distribute_ms } else { 0 };
    let seal_from_ms = now_ms.saturating_add(wait_ms);
    let open_ms = table.rotate_ms.saturating_add(table.distribute_ms).saturating_add(table.life_ms);
    let open_until_ms = seal_from_ms.saturating_add(open_ms).min(U48_MAX);
    let mut keys = vec![RingedKey { key, seal_from_ms, open_until_ms }];
    let opening = TicketRing::into_keys(ring).into_iter().filter(|old| now_ms < old.open_until_ms);
    keys.extend(opening.take(RINGED_KEYS_MAX - 1));
    keystore::replace_secret(path, &ring_to_text(&keys)).map_err(cannot_write)?;
    Ok(Some(id))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const NOW_MS: u64 = 1_700_000_000_000;

    fn table(folder: &tempfile::TempDir) -> Tickets {
        Tickets { ring_file: folder.path().join("tickets.ring"), ..Tickets::default() }
    }

    fn ids(keys: &TicketKeys) -> Vec<TicketKeyId> {
        keys.ring().keys().iter().map(|key| key.key.id()).collect()
    }

    #[test]
    fn a_ring_is_made_once_and_read_by_the_next_node() {
        let folder = tempfile::tempdir().expect("a folder");
        let table = table(&folder);
        let first = TicketKeys::open(&table, NOW_MS).expect("made");
        let second = TicketKeys::open(&table, NOW_MS + 5).expect("read");
        assert_eq!((ids(&first).len(), ids(&first)), (1, ids(&second)));
        assert!(first.ring().sealing(NOW_MS).is_some(), "the first key seals at once");
        let mode = fs::metadata(&table.ring_file).expect("made").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn without_leave_to_rotate_there_is_no_ring_and_no_ticket() {
        let folder = tempfile::tempdir().expect("a folder");
        let table = Tickets { rotate: false, ..table(&folder) };
        let keys = TicketKeys::open(&table, NOW_MS).expect("no file is no error");
        keys.tick(NOW_MS + 1);
        assert!(keys.ring().sealing(NOW_MS).is_none() && !table.ring_file.exists());
        rotate_now(&table, NOW_MS, Others::Keep).expect("by command");
        keys.tick(NOW_MS + 2);
        assert_eq!(ids(&keys).len(), 1, "another's file is taken in");
    }

    /// §12.1.3: the new key is on every node before the first ticket is sealed under it.
    #[test]
    fn a_new_key_seals_after_it_was_distributed_and_the_old_one_opens_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let table = table(&folder);
        let keys = TicketKeys::open(&table, NOW_MS).expect("made");
        let other = TicketKeys::open(&table, NOW_MS).expect("read");
        let old = ids(&keys)[0];
        let new = keys.rotate(NOW_MS + 1_000, Others::Keep).expect("added");
        let sealing = |keys: &TicketKeys, at_ms: u64| keys.ring().sealing(at_ms).map(|key| key.key.id());
        assert_eq!(sealing(&keys, NOW_MS + 60_999), Some(old));
        assert_eq!(sealing(&keys, NOW_MS + 61_000), Some(new));
        assert_eq!(sealing(&other, NOW_MS + 61_000), Some(old), "it has not looked yet");
        other.tick(NOW_MS + 2_000);
        assert_eq!(sealing(&other, NOW_MS + 61_000), Some(new));
        assert!(keys.ring().keys().iter().all(|key| key.open_until_ms > NOW_MS + 3_600_000));
    }

    #[test]
    fn a_stolen_ring_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let table = table(&folder);
        let keys = TicketKeys::open(&table, NOW_MS).expect("made");
        let other = TicketKeys::open(&table, NOW_MS).expect("read");
        keys.rotate(NOW_MS + 1_000, Others::Keep).expect("added");
        let new = keys.rotate(NOW_MS + 2_000, Others::Void).expect("added");
        other.tick(NOW_MS + 3_000);
        for keys in [keys, other] {
            assert_eq!(ids(&keys), [new]);
            assert_eq!(keys.ring().sealing(NOW_MS + 2_000).map(|key| key.key.id()), Some(new));
        }
    }

    #[test]
    fn keys_turn_in_time_once_for_all_nodes_and_leave_when_they_are_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let table = table(&folder);
        let nodes = [(); 3].map(|()| TicketKeys::open(&table, NOW_MS).expect("open"));
        for minute in 0..600 {
            let now_ms = NOW_MS + minute * 60_000;
            nodes.iter().for_each(|node| node.tick(now_ms));
            assert!(nodes.iter().all(|node| node.ring().sealing(now_ms).is_some()), "minute {minute}");
            assert!(ids(&nodes[0]).len() <= 4, "minute {minute}: {}", ids(&nodes[0]).len());
        }
        assert_eq!(ids(&nodes[0]), ids(&nodes[1]));
    }

    #[test]
    fn a_file_that_lets_others_in_or_is_no_ring_is_refused_and_changes_nothing_later() {
        let folder = tempfile::tempdir().expect("a folder");
        let table = Tickets { rotate: false, ..table(&folder) };
        rotate_now(&table, NOW_MS, Others::Keep).expect("made");
        let keys = TicketKeys::open(&table, NOW_MS).expect("read");
        let before = ids(&keys);
        fs::set_permissions(&table.ring_file, fs::Permissions::from_mode(0o640)).expect("set");
        assert!(matches!(TicketKeys::open(&table, NOW_MS), Err(Fatal::SecretFile { .. })));
        keys.tick(NOW_MS);
        assert_eq!(ids(&keys), before);
        keystore::replace_secret(&table.ring_file, "mvt-ticket-key AAAA 1 2\n").expect("written");
        assert!(matches!(TicketKeys::open(&table, NOW_MS), Err(Fatal::Ring { .. })));
        keys.tick(NOW_MS);
        assert_eq!(ids(&keys), before);
    }
}
