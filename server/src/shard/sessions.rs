//! The sessions a shard owns, found by key id.

use std::hash::{BuildHasherDefault, Hasher};

use hashbrown::HashMap;
use mvt_proto::session::ServerSession;

/// Key ids are random already: one multiplication spreads them over the table.
#[derive(Debug, Default)]
pub(super) struct KeyIdHasher(u64);

impl Hasher for KeyIdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("key ids are hashed as integers");
    }

    fn write_u64(&mut self, key_id: u64) {
        self.0 = key_id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// At most `most` sessions. Each in a box of its own: growing the table moves no keys.
#[derive(Debug)]
pub(super) struct Sessions {
    most: usize,
    table: HashMap<u64, Box<ServerSession>, BuildHasherDefault<KeyIdHasher>>,
    /// Key ids in the order made, for the sweep; ids of erased sessions leave it when the sweep meets them.
    order: std::collections::VecDeque<u64>,
}

impl Sessions {
    pub(super) fn new(most: usize) -> Self {
        Self { most, table: HashMap::default(), order: std::collections::VecDeque::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Keeps `session`; false when the table is full or the key id is taken.
    pub(super) fn insert(&mut self, session: ServerSession) -> bool {
        let key_id = session.key_id();
        if self.table.len() >= self.most || self.table.contains_key(&key_id) {
            return false;
        }
        self.table.insert(key_id, Box::new(session));
        self.order.push_back(key_id);
        true
    }

    pub(super) fn get_mut(&mut self, key_id: u64) -> Option<&mut ServerSession> {
        self.table.get_mut(&key_id).map(|session| &mut **session)
    }

    /// Looks at up to `count` sessions in turn: erases those past their deadline, moves the keys of the others on.
    /// Gives the number erased.
    pub(super) fn sweep(&mut self, count: usize, now_ms: u64) -> u64 {
        let mut erased = 0;
        for _ in 0..count.min(self.order.len()) {
            let Some(key_id) = self.order.pop_front() else { break };
            let Some(session) = self.table.get_mut(&key_id) else { continue };
            if now_ms >= session.deadline_ms() {
                self.table.remove(&key_id);
                erased += 1;
            } else {
                session.advance(now_ms);
                self.order.push_back(key_id);
            }
        }
        erased
    }
}
