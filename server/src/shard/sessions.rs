//! The sessions a shard owns, found by key id: flat, in chunks that never move.

use mvt_proto::{
    replay::word_of,
    session::{STATE_BYTES_HOT, ServerSession, SessionState},
};
use mvt_sys::memory::{LINE_BYTES, advise_large_pages, prefetch};

use crate::{
    owner::Owner,
    shard::index::{Index, Place},
};

/// Sessions of one chunk: 6 MiB of states, which large pages can back, and as many windows.
const CHUNK_SESSIONS: usize = 1 << 15;

/// What a session has that no request needs: kept apart, so that no request brings it near.
#[derive(Debug)]
pub struct Cold {
    /// Whose session it is.
    pub owner: Owner,
}

impl Cold {
    const fn vacant() -> Self {
        Self { owner: Owner::NOBODY }
    }
}

/// No array is ever grown beyond its capacity, so nothing in it moves.
#[derive(Debug)]
struct Chunk {
    states: Vec<SessionState>,
    windows: Vec<u64>,
    colds: Vec<Cold>,
}

impl Chunk {
    fn new(sessions: usize, window_words: usize) -> Self {
        let mut states = Vec::with_capacity(sessions);
        let mut windows = Vec::with_capacity(sessions * window_words);
        advise_large_pages(states.spare_capacity_mut());
        advise_large_pages(windows.spare_capacity_mut());
        Self { states, windows, colds: Vec::with_capacity(sessions) }
    }
}

/// At most `most` sessions, all with windows of the same width. A session costs 192 bytes, its window, 24 cold bytes and 12
/// bytes of index: 344 bytes beside the index with the default window.
///
/// Invariants: `free` holds the places without a session, which hold [`SessionState::vacant`], a window of zeros and
/// [`Cold::vacant`];
/// a session that leaves is wiped.
#[derive(Debug)]
pub struct Sessions {
    most: usize,
    window_words: usize,
    index: Index,
    chunks: Vec<Chunk>,
    free: Vec<u32>,
    place_count: usize,
    /// Where the next sweep begins.
    hand: usize,
}

impl Sessions {
    /// An empty table for at most `most` sessions with windows of `window_bits`.
    #[must_use]
    pub fn new(most: usize, window_bits: u16) -> Self {
        let window_words = mvt_proto::replay::window_words(window_bits);
        let most = most.min(u32::MAX as usize - 1);
        Self {
            most,
            window_words,
            index: Index::new(most),
            chunks: Vec::new(),
            free: Vec::new(),
            place_count: 0,
            hand: 0,
        }
    }

    /// Sessions held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.place_count - self.free.len()
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
    pub fn insert(&mut self, session: ServerSession, cold: Cold) -> bool {
        let (state, window) = session.into_parts();
        let key_id = state.key_id();
        if self.len() >= self.most || self.find(key_id).is_some() {
            return false;
        }
        assert_eq!(window.len(), self.window_words, "a node grants windows of one width");
        let place = match self.free.pop() {
            Some(place) => {
                let (held, words) = self.parts_mut(Place(place));
                *held = state;
                words.copy_from_slice(&window);
                *self.cold_mut(Place(place)) = cold;
                Place(place)
            }
            None => self.append(state, &window, cold),
        };
        self.index.insert(key_id, place);
        true
    }

    fn append(&mut self, state: SessionState, window: &[u64], cold: Cold) -> Place {
        if self.place_count == self.chunks.len() * CHUNK_SESSIONS {
            let sessions = CHUNK_SESSIONS.min(self.most - self.place_count);
            self.chunks.push(Chunk::new(sessions, self.window_words));
        }
        let chunk = &mut self.chunks[self.place_count / CHUNK_SESSIONS];
        chunk.states.push(state);
        chunk.windows.extend_from_slice(window);
        chunk.colds.push(cold);
        self.place_count += 1;
        Place((self.place_count - 1) as u32)
    }

    /// First step of a lookup: asks for the index entry of `key_id` to be brought near.
    #[inline]
    pub fn prefetch_index(&self, key_id: u64) {
        self.index.prefetch(key_id);
    }

    /// Second step: asks for what a request of this counter will touch, guessing by the hash alone.
    #[inline]
    pub fn prefetch_session(&self, key_id: u64, counter: u64) {
        let Some(Place(place)) = self.index.find(key_id, |_| true) else { return };
        let (chunk, at) = split(place);
        let chunk = &self.chunks[chunk];
        prefetch(&chunk.states[at], STATE_BYTES_HOT);
        prefetch(&chunk.windows[at * self.window_words + word_of(counter, self.window_words)], LINE_BYTES);
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
        let (chunk, at) = split(place.0);
        &self.chunks[chunk].states[at]
    }

    /// The session at a place, with the words of its window.
    #[inline]
    pub fn parts_mut(&mut self, place: Place) -> (&mut SessionState, &mut [u64]) {
        let (chunk, at) = split(place.0);
        let chunk = &mut self.chunks[chunk];
        let words = &mut chunk.windows[at * self.window_words..][..self.window_words];
        (&mut chunk.states[at], words)
    }

    /// The cold column at a place.
    fn cold_mut(&mut self, place: Place) -> &mut Cold {
        let (chunk, at) = split(place.0);
        &mut self.chunks[chunk].colds[at]
    }

    /// Looks at up to `count` places in turn: erases sessions past their deadline, moves the keys of the others on.
    /// Gives the number erased.
    pub fn sweep(&mut self, count: usize, now_ms: u64) -> u64 {
        let mut erased = 0;
        for _ in 0..count.min(self.place_count) {
            let place = Place(self.hand as u32);
            self.hand = if self.hand + 1 == self.place_count { 0 } else { self.hand + 1 };
            let (state, words) = self.parts_mut(place);
            let key_id = state.key_id();
            if key_id == 0 {
                continue;
            }
            if now_ms < state.deadline_ms() {
                state.advance(now_ms);
                continue;
            }
            // The old state wipes itself as it is dropped.
            *state = SessionState::vacant();
            words.fill(0);
            *self.cold_mut(place) = Cold::vacant();
            self.index.remove(key_id, place);
            self.free.push(place.0);
            erased += 1;
        }
        erased
    }
}

#[inline]
const fn split(place: u32) -> (usize, usize) {
    (place as usize / CHUNK_SESSIONS, place as usize % CHUNK_SESSIONS)
}
