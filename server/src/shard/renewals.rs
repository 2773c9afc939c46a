//! The generations kept beside the current ones, found by key id: one at most for each session (SPEC §11.2.2).
//!
//! Off the path of ordinary requests; a renewal may ask for memory.

use std::collections::{BTreeSet, HashMap};

use mvt_proto::session::Renewal;

#[derive(Debug)]
struct Watched {
    renewal: Box<Renewal>,
    /// When it has something to erase next, ms.
    due_ms: Option<u64>,
}

/// Renewals under way, with the time at which each has something to erase next.
///
/// Invariant: `deadlines` holds each `due_ms` with its key id and nothing else, so what ended leaves nothing behind, however many
/// renewals there are in the life of a slot.
#[derive(Debug, Default)]
pub(super) struct Renewals {
    by_key_id: HashMap<u64, Watched>,
    deadlines: BTreeSet<(u64, u64)>,
}

impl Renewals {
    pub(super) fn len(&self) -> usize {
        self.by_key_id.len()
    }

    pub(super) fn get(&self, key_id: u64) -> Option<&Renewal> {
        self.by_key_id.get(&key_id).map(|watched| &*watched.renewal)
    }

    pub(super) fn get_mut(&mut self, key_id: u64) -> Option<&mut Renewal> {
        self.by_key_id.get_mut(&key_id).map(|watched| &mut *watched.renewal)
    }

    pub(super) fn begin(&mut self, key_id: u64, renewal: Box<Renewal>, now_ms: u64) {
        let before = self.by_key_id.insert(key_id, Watched { renewal, due_ms: None });
        debug_assert!(before.is_none(), "one renewal for each session");
        self.watch(key_id, now_ms);
    }

    /// Moves the keys of the renewal of `key_id` on, and notes when it is to be looked at next.
    pub(super) fn watch(&mut self, key_id: u64, now_ms: u64) {
        let Some(watched) = self.by_key_id.get_mut(&key_id) else { return };
        let due_ms = watched.renewal.advance(now_ms);
        if due_ms == watched.due_ms {
            return;
        }
        let before = std::mem::replace(&mut watched.due_ms, due_ms);
        before.map(|before| self.deadlines.remove(&(before, key_id)));
        self.deadlines.extend(due_ms.map(|due| (due, key_id)));
    }

    /// Forgets the renewal of `key_id`.
    pub(super) fn end(&mut self, key_id: u64) {
        let due_ms = self.by_key_id.remove(&key_id).and_then(|watched| watched.due_ms);
        due_ms.map(|due| self.deadlines.remove(&(due, key_id)));
    }

    /// Moves keys on; erases the first generation found whose drain is over, and gives its key id.
    pub(super) fn take_due(&mut self, now_ms: u64) -> Option<u64> {
        while let Some((due_ms, key_id)) = self.deadlines.first().copied()
            && due_ms <= now_ms
        {
            if self.get(key_id).is_some_and(|renewal| renewal.is_over(now_ms)) {
                self.end(key_id);
                return Some(key_id);
            }
            self.watch(key_id, now_ms);
            debug_assert_ne!(self.deadlines.first(), Some(&(due_ms, key_id)), "what is due is moved on");
        }
        None
    }
}
