//! From key id to place: open addressing over one flat array, eight entries a cache line.

use std::io;

use mvt_sys::{
    lines::{LINE_WORDS, Lines},
    memory::{LINE_BYTES, prefetch},
};

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

/// Entries of one line.
const LINE_ENTRIES: usize = LINE_WORDS;

/// At most two thirds full, so that runs stay short. Every home is the beginning of a cache line, so that the line asked for
/// ahead is, for most key ids, the only one that is read. Made for the most sessions there may be: it never moves, and the
/// kernel gives memory only to what is touched.
///
/// Invariant: an entry is reached from the home of its hash without passing an empty one.
#[derive(Debug)]
pub(super) struct Index {
    lines: Lines,
}

impl Index {
    /// # Errors
    /// The OS's: no address space for so much.
    pub(super) fn new(most: usize) -> io::Result<Self> {
        Ok(Self { lines: Lines::new((most + most / 2).div_ceil(LINE_ENTRIES).max(1))? })
    }

    /// The line a hash begins at: scales it to the number of lines.
    #[inline]
    fn home_line(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.lines.len() as u64) >> 32) as usize
    }

    #[inline]
    fn home(&self, hash: u32) -> usize {
        self.home_line(hash) * LINE_ENTRIES
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        if at + 1 == self.lines.len() * LINE_ENTRIES { 0 } else { at + 1 }
    }

    #[inline]
    fn entry(&self, at: usize) -> Entry {
        self.lines[at / LINE_ENTRIES].0[at % LINE_ENTRIES]
    }

    #[inline]
    fn entry_mut(&mut self, at: usize) -> &mut Entry {
        &mut self.lines[at / LINE_ENTRIES].0[at % LINE_ENTRIES]
    }

    /// Asks for the entry of `key_id` to be brought near.
    #[inline]
    pub(super) fn prefetch(&self, key_id: u64) {
        prefetch(&self.lines[self.home_line(hash_of(key_id))], LINE_BYTES);
    }

    /// The first place whose hash fits and that `is_it` takes for the one meant.
    #[inline]
    pub(super) fn find(&self, key_id: u64, is_it: impl Fn(Place) -> bool) -> Option<Place> {
        let hash = hash_of(key_id);
        let mut line = self.home_line(hash);
        loop {
            for entry in self.lines[line].0 {
                if entry == 0 {
                    return None;
                }
                if hash_in(entry) == hash && is_it(place_in(entry)) {
                    return Some(place_in(entry));
                }
            }
            line = if line + 1 == self.lines.len() { 0 } else { line + 1 };
        }
    }

    /// Adds `key_id`, which is not there; the table's bound keeps a third empty.
    pub(super) fn insert(&mut self, key_id: u64, place: Place) {
        let hash = hash_of(key_id);
        let mut at = self.home(hash);
        while self.entry(at) != 0 {
            at = self.after(at);
        }
        *self.entry_mut(at) = entry(hash, place);
    }

    /// Removes `key_id` at `place`, and moves what stood behind it closer to its home.
    pub(super) fn remove(&mut self, key_id: u64, place: Place) {
        let gone = entry(hash_of(key_id), place);
        let mut hole = self.home(hash_in(gone));
        while self.entry(hole) != gone {
            if self.entry(hole) == 0 {
                return;
            }
            hole = self.after(hole);
        }
        let mut at = self.after(hole);
        while self.entry(at) != 0 {
            let home = self.home(hash_in(self.entry(at)));
            // Distances round the ring: an entry may fill the hole if its home is not behind the hole.
            let count = self.lines.len() * LINE_ENTRIES;
            let from_home = (at + count - home) % count;
            let from_hole = (at + count - hole) % count;
            if from_home >= from_hole {
                *self.entry_mut(hole) = self.entry(at);
                hole = at;
            }
            at = self.after(at);
        }
        *self.entry_mut(hole) = 0;
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
            let mut index = Index::new(16).expect("mapped");
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
                let entries = index.lines.iter().flat_map(|line| line.0);
                prop_assert_eq!(entries.filter(|entry| *entry != 0).count(), map.len());
            }
        }
    }
}
