//! From key id to place: open addressing over one flat array, eight entries a cache line.

use mvt_sys::memory::{LINE_BYTES, prefetch};

/// Where a session is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(pub(super) u32);

/// Upper half: the hash of a key id; lower half: its place, plus one so that 0 is an empty entry.
type Entry = u64;

const fn entry(hash: u32, place: Place) -> Entry {
    (hash as u64) << 32 | (place.0 as u64 + 1)
}

const fn hash_in(entry: Entry) -> u32 {
    (entry >> 32) as u32
}

const fn place_in(entry: Entry) -> Place {
    Place((entry as u32) - 1)
}

/// Key ids are random already: one multiplication spreads them over the table.
const fn hash_of(key_id: u64) -> u32 {
    (key_id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

/// At most two thirds full, so that runs stay short. Made for the most sessions there may be: it never moves, and the
/// kernel gives memory only to what is touched.
///
/// Invariant: an entry is reached from the home of its hash without passing an empty one.
#[derive(Debug)]
pub(super) struct Index {
    entries: Vec<Entry>,
}

impl Index {
    pub(super) fn new(most: usize) -> Self {
        // Memory that is zero from the start is not touched here.
        Self { entries: vec![0; (most + most / 2).max(8)] }
    }

    /// Scales the hash to the number of entries.
    #[inline]
    fn home(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.entries.len() as u64) >> 32) as usize
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        if at + 1 == self.entries.len() { 0 } else { at + 1 }
    }

    /// Asks for the entry of `key_id` to be brought near.
    #[inline]
    pub(super) fn prefetch(&self, key_id: u64) {
        prefetch(&self.entries[self.home(hash_of(key_id))], LINE_BYTES);
    }

    /// The first place whose hash fits and that `is_it` takes for the one meant.
    #[inline]
    pub(super) fn find(&self, key_id: u64, is_it: impl Fn(Place) -> bool) -> Option<Place> {
        let hash = hash_of(key_id);
        let mut at = self.home(hash);
        while self.entries[at] != 0 {
            let entry = self.entries[at];
            if hash_in(entry) == hash && is_it(place_in(entry)) {
                return Some(place_in(entry));
            }
            at = self.after(at);
        }
        None
    }

    /// Adds `key_id`, which is not there; the table's bound keeps a third empty.
    pub(super) fn insert(&mut self, key_id: u64, place: Place) {
        let hash = hash_of(key_id);
        let mut at = self.home(hash);
        while self.entries[at] != 0 {
            at = self.after(at);
        }
        self.entries[at] = entry(hash, place);
    }

    /// Removes `key_id` at `place`, and moves what stood behind it closer to its home.
    pub(super) fn remove(&mut self, key_id: u64, place: Place) {
        let gone = entry(hash_of(key_id), place);
        let mut hole = self.home(hash_in(gone));
        while self.entries[hole] != gone {
            if self.entries[hole] == 0 {
                return;
            }
            hole = self.after(hole);
        }
        let mut at = self.after(hole);
        while self.entries[at] != 0 {
            let home = self.home(hash_in(self.entries[at]));
            // Distances round the ring: an entry may fill the hole if its home is not behind the hole.
            let count = self.entries.len();
            let from_home = (at + count - home) % count;
            let from_hole = (at + count - hole) % count;
            if from_home >= from_hole {
                self.entries[hole] = self.entries[at];
                hole = at;
            }
            at = self.after(at);
        }
        self.entries[hole] = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// A small table, so that runs are long and wrap; few key ids, so that they come and go.
        #[test]
        fn equals_a_map(steps in prop::collection::vec((any::<bool>(), 0u64..40), 1..400)) {
            let mut index = Index::new(16);
            let mut map = BTreeMap::new();
            let mut next = 0;
            for (add, number) in steps {
                // Some hashes are equal, most homes are near each other.
                let key_id = (number / 2).wrapping_mul(0x0123_4567_89ab_cdef) ^ (number % 2);
                match map.get(&key_id).copied() {
                    None if add && map.len() < 16 => {
                        index.insert(key_id, Place(next));
                        map.insert(key_id, Place(next));
                        next += 1;
                    }
                    Some(place) if !add => {
                        index.remove(key_id, place);
                        map.remove(&key_id);
                    }
                    _ => {}
                }
                for (key_id, place) in &map {
                    prop_assert_eq!(index.find(*key_id, |found| found == *place), Some(*place));
                }
                prop_assert_eq!(index.entries.iter().filter(|entry| **entry != 0).count(), map.len());
            }
        }
    }
}
