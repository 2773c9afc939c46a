//! The generations kept beside the current ones, found by key id: one at most for each session (SPEC §11.2.2).
//!
//! Off the path of ordinary requests; a renewal may ask for memory.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use mvt_proto::session::Renewal;

#[derive(Debug)]
struct Watched {
    renewal: Box<Renewal>,
    /// When it has something to erase next, ms.
    due_ms: u64,
}

/// Renewals under way, with the time at which each has something to erase next.
///
/// Invariant: every renewal that holds keys has its `due_ms` among `deadlines`. A deadline that is no renewal's any more is
/// dropped when it is met; none is further away than a slot, so `deadlines` stays within what is renewed in one.
#[derive(Debug, Default)]
pub(super) struct Renewals {
    by_key_id: HashMap<u64, Watched>,
    deadlines: BinaryHeap<Reverse<(u64, u64)>>,
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
        let before = self.by_key_id.insert(key_id, Watched { renewal, due_ms: u64::MAX });
        debug_assert!(before.is_none(), "one renewal for each session");
        self.watch(key_id, now_ms);
    }

    /// Moves the keys of the renewal of `key_id` on, and notes when it is to be looked at next.
    pub(super) fn watch(&mut self, key_id: u64, now_ms: u64) {
        let Some(watched) = self.by_key_id.get_mut(&key_id) else { return };
        if let Some(due_ms) = watched.renewal.advance(now_ms)
            && due_ms != watched.due_ms
        {
            watched.due_ms = due_ms;
            self.deadlines.push(Reverse((due_ms, key_id)));
        }
    }

    /// Forgets the renewal of a session that is erased.
    pub(super) fn end(&mut self, key_id: u64) {
        self.by_key_id.remove(&key_id);
    }

    /// Moves keys on; erases the first generation found whose drain is over, and gives its key id.
    pub(super) fn take_due(&mut self, now_ms: u64) -> Option<u64> {
        while let Some(Reverse((due_ms, key_id))) = self.deadlines.peek().copied()
            && due_ms <= now_ms
        {
            self.deadlines.pop();
            match self.by_key_id.get(&key_id) {
                Some(watched) if watched.due_ms == due_ms => {}
                _ => continue,
            }
            if self.get(key_id).is_some_and(|renewal| renewal.is_over(now_ms)) {
                self.end(key_id);
                return Some(key_id);
            }
            self.watch(key_id, now_ms);
        }
        None
    }
}
