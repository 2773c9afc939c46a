//! The sessions a shard owns, found by key id, each with the time at which it is to be looked at next.

use std::io;

use mvt_proto::{
    replay::word_of,
    session::{STATE_BYTES_HOT, ServerSession, SessionState},
};
use mvt_sys::slab::Slab;

use crate::shard::{
    index::{Index, Place},
    wheel::{self, Wheel},
};

/// Sessions brought near together before they are looked at, in a turn: four cache lines each, so that they neither wait
/// for each other's nor push each other out of the first-level cache. 128 at a time cost 1.1 to 1.4 times as much.
pub const PREFETCH_GROUP: usize = 32;
/// The same in a sweep, which touches every line of a state.
const GROUP: usize = 16;

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Sessions erased.
    pub erased_count: u64,
    /// Whether all that is due was looked at.
    pub is_done: bool,
}

/// At most `most` sessions, all with windows of the same width. A session costs 192 bytes, its window, 12 bytes of index
/// and 8 of the wheel: 320 bytes and 20 with the default window.
///
/// Invariants: `free` holds the places without a session, which hold [`SessionState::vacant`], a window of zeros, and are
/// not in the wheel; every other place is in the wheel, at the first time at which it has something to erase or, if the
/// session got ahead of the wheel by being used, before. A session that leaves is wiped.
#[derive(Debug)]
pub struct Sessions {
    most: usize,
    window_words: usize,
    index: Index,
    places: Slab<SessionState>,
    free: Vec<u32>,
    wheel: Wheel,
}

impl Sessions {
    /// An empty table for at most `most` sessions with windows of `window_bits`.
    ///
    /// # Errors
    /// The OS's: no address space for so many.
    pub fn new(most: usize, window_bits: u16) -> io::Result<Self> {
        let window_words = mvt_proto::replay::window_words(window_bits);
        let most = most.min(wheel::PLACES_MAX);
        Ok(Self {
            most,
            window_words,
            index: Index::new(most)?,
            places: Slab::new(most, window_words)?,
            free: Vec::new(),
            wheel: Wheel::new(most),
        })
    }

    /// Sessions held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keeps `session`; false when the table is full or the key id is taken.
    ///
    /// # Panics
    /// If its window is not of the width of this table: one node grants one width.
    pub fn insert(&mut self, session: ServerSession, now_ms: u64) -> bool {
        let (state, window) = session.into_parts();
        let key_id = state.key_id();
        if self.len() >= self.most || self.find(key_id).is_some() {
            return false;
        }
        assert_eq!(window.len(), self.window_words, "a node grants windows of one width");
        let due_ms = due_ms(&state);
        let place = match self.free.pop() {
            Some(place) => {
                *self.places.get_mut(place as usize).0 = state;
                place
            }
            None => self.places.push(state) as u32,
        };
        self.places.get_mut(place as usize).1.copy_from_slice(&window);
        self.index.insert(key_id, Place(place));
        self.wheel.put(place, due_ms, now_ms);
        true
    }

    /// First step of a lookup: asks for the index entry of `key_id` to be brought near.
    #[inline]
    pub fn prefetch_index(&self, key_id: u64) {
        self.index.prefetch(key_id);
    }

    /// Second step: asks for what a request of this counter will touch, guessing by the hash alone.
    #[inline]
    pub fn prefetch_session(&self, key_id: u64, counter: u64) {
        if let Some(Place(place)) = self.index.find(key_id, |_| true) {
            self.places.prefetch(place as usize, STATE_BYTES_HOT, word_of(counter, self.window_words));
        }
    }

    /// Where the session of `key_id` is kept.
    #[inline]
    #[must_use]
    pub fn find(&self, key_id: u64) -> Option<Place> {
        self.index.find(key_id, |place| self.state(place).key_id() == key_id)
    }

    /// The session at a place, which stays valid until a session is removed.
    #[inline]
    #[must_use]
    pub fn state(&self, place: Place) -> &SessionState {
        self.places.get(place.0 as usize)
    }

    /// The session at a place, with the words of its window.
    #[inline]
    pub fn parts_mut(&mut self, place: Place) -> (&mut SessionState, &mut [u64]) {
        self.places.get_mut(place.0 as usize)
    }

    /// Looks at up to `most` sessions that are due: erases those past their deadline, moves the keys of the others on.
    pub fn sweep(&mut self, most: usize, now_ms: u64) -> Swept {
        let (mut erased_count, mut looks) = (0, 0);
        let mut group = [0; GROUP];
        loop {
            let room = GROUP.min(most - looks);
            if room == 0 {
                return Swept { erased_count, is_done: false };
            }
            let mut count = 0;
            while count < room
                && let Some(place) = self.wheel.take_due(now_ms)
            {
                self.places.prefetch(place as usize, size_of::<SessionState>(), 0);
                group[count] = place;
                count += 1;
            }
            for place in &group[..count] {
                erased_count += u64::from(self.look_at(*place, now_ms));
            }
            looks += count;
            if count < room {
                return Swept { erased_count, is_done: true };
            }
        }
    }

    /// Erases the session at `place`, which the wheel gave, or moves its keys on; true when it was erased.
    fn look_at(&mut self, place: u32, now_ms: u64) -> bool {
        let (state, words) = self.places.get_mut(place as usize);
        if now_ms < state.deadline_ms() {
            state.advance(now_ms);
            let due_ms = due_ms(state);
            self.wheel.put(place, due_ms, now_ms);
            return false;
        }
        let key_id = state.key_id();
        // The old state wipes itself as it is dropped.
        *state = SessionState::vacant();
        words.fill(0);
        self.index.remove(key_id, Place(place));
        self.free.push(place);
        true
    }
}

/// When a session has something to erase next: a key of a slot that passed, or all of it.
fn due_ms(state: &SessionState) -> u64 {
    state.next_slot_ms().min(state.deadline_ms())
}
