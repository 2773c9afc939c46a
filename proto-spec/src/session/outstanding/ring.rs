//! A ring of requests in the order of their counters. Its memory is reused: nothing is moved, nothing allocated, while the
//! number that waits does not grow.

use alloc::boxed::Box;
use core::iter;

use mvt_lanes::HmacKey;
use zeroize::Zeroize;

use super::Waiting;
use crate::{
    constants::HEADER_BYTES,
    secret::Secret,
    suite::{KeyRef, Scheduled, Tag},
};

/// Places of a ring that is used for the first time.
const PLACES_MIN: usize = 4;

/// Places `first..first + count`, modulo their number, are in use; some of them may be vacant.
///
/// Invariants: the number of places is 0 or a power of two, and there is a key for each; the key of a vacant or unused
/// place is all zeros, or none.
#[derive(Debug)]
pub(super) struct Ring<T> {
    places: Box<[Place<T>]>,
    keys: Keys,
    first: usize,
    count: usize,
}

/// What is kept of a request beside its key; with something small beside it, a cache line.
#[derive(Debug)]
struct Place<T> {
    header: [u8; HEADER_BYTES],
    tag: Tag,
    /// `None`: vacant.
    beside: Option<T>,
}

/// The keys of a ring, apart from the places: most answers need only one of them (§7.4). Where one scheduled key came, all are
/// kept so.
#[derive(Debug)]
enum Keys {
    Hs256(Box<[HmacKey]>),
    Gcm256(Box<[Secret]>),
    Scheduled(Box<[Option<Scheduled>]>),
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self { places: Box::default(), keys: Keys::Hs256(Box::default()), first: 0, count: 0 }
    }
}

impl<T> Ring<T> {
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Where the `place`-th is.
    #[inline]
    const fn at(&self, place: usize) -> usize {
        // No place is in use where there is none.
        (self.first + place) & self.places.len().wrapping_sub(1)
    }

    #[inline]
    pub(super) fn push(&mut self, waiting: Waiting<'_>, beside: T) {
        if self.count == self.places.len() || !self.keys.take(waiting.key) {
            self.make_room(waiting.key);
        }
        let at = self.at(self.count);
        let place = &mut self.places[at];
        (place.header, place.tag, place.beside) = (*waiting.header, *waiting.tag, Some(beside));
        self.keys.put(at, waiting.key);
        self.count += 1;
    }

    #[inline]
    pub(super) fn get(&self, place: usize) -> Option<(Waiting<'_>, &T)> {
        if place >= self.count {
            return None;
        }
        let at = self.at(place);
        let Place { header, tag, beside } = &self.places[at];
        let beside = beside.as_ref()?;
        Some((Waiting { key: self.keys.get(at), header, tag }, beside))
    }

    /// Vacates a place if what is beside it is as `wanted`.
    #[inline]
    pub(super) fn remove_if(&mut self, place: usize, wanted: impl FnOnce(&T) -> bool) -> Option<T> {
        if place >= self.count {
            return None;
        }
        let at = self.at(place);
        let removed = self.places[at].beside.take_if(|beside| wanted(beside))?;
        self.keys.wipe(at);
        Some(removed)
    }

    /// Gives up the vacant places before the first that waits: how many.
    #[inline]
    pub(super) fn settle(&mut self) -> u64 {
        let before = self.count;
        while self.count > 0 && self.places[self.first].beside.is_none() {
            self.first = self.at(1);
            self.count -= 1;
        }
        (before - self.count) as u64
    }

    /// What is beside each, the newest first.
    pub(super) fn newest(&self) -> impl Iterator<Item = Option<&T>> {
        (0..self.count).rev().map(|place| self.places[self.at(place)].beside.as_ref())
    }

    /// What is beside each that waits, the oldest first; every key is wiped.
    pub(super) fn into_besides(self) -> impl Iterator<Item = T> {
        let Self { places, first, count, .. } = self;
        let mut places = places.into_vec();
        places.rotate_left(first);
        places.truncate(count);
        places.into_iter().filter_map(|place| place.beside)
    }

    /// Room for `key`: twice the places if all are in use, and keys of its kind.
    #[cold]
    fn make_room(&mut self, key: KeyRef<'_>) {
        let count = if self.count < self.places.len() { self.places.len() } else { 2 * self.count };
        let count = count.max(PLACES_MIN);
        let is_scheduled = !self.is_empty() && matches!(self.keys, Keys::Scheduled(_));
        let mut keys = match key {
            KeyRef::Gcm256(_) if is_scheduled => Keys::scheduled(count),
            key => Keys::blank(key, count),
        };
        for place in 0..self.count {
            if self.places[self.at(place)].beside.is_some() {
                keys.put(place, self.keys.get(self.at(place)));
            }
        }
        let mut places = core::mem::take(&mut self.places).into_vec();
        places.rotate_left(self.first);
        places.truncate(self.count);
        places.extend(iter::repeat_with(Place::vacant).take(count - self.count));
        (self.places, self.keys, self.first) = (places.into_boxed_slice(), keys, 0);
    }
}

impl<T> Place<T> {
    const fn vacant() -> Self {
        Self { header: [0; HEADER_BYTES], tag: [0; size_of::<Tag>()], beside: None }
    }
}

impl Keys {
    /// `count` zeros for keys of the same suite as `key`.
    fn blank(key: KeyRef<'_>, count: usize) -> Self {
        match key {
            KeyRef::Hs256(_) => Self::Hs256(iter::repeat_with(HmacKey::blank).take(count).collect()),
            KeyRef::Gcm256(_) => Self::Gcm256(iter::repeat_with(Secret::blank).take(count).collect()),
            KeyRef::Scheduled(_) => Self::scheduled(count),
        }
    }

    fn scheduled(count: usize) -> Self {
        Self::Scheduled(iter::repeat_with(|| None).take(count).collect())
    }

    /// Whether `key` can be kept here.
    #[inline]
    const fn take(&self, key: KeyRef<'_>) -> bool {
        matches!(
            (self, key),
            (Self::Hs256(_), KeyRef::Hs256(_))
                | (Self::Gcm256(_), KeyRef::Gcm256(_))
                | (Self::Scheduled(_), KeyRef::Gcm256(_) | KeyRef::Scheduled(_))
        )
    }

    #[inline]
    fn put(&mut self, at: usize, key: KeyRef<'_>) {
        match (self, key) {
            (Self::Hs256(keys), KeyRef::Hs256(key)) => keys[at].copy_from(key),
            (Self::Gcm256(keys), KeyRef::Gcm256(key)) => *keys[at].expose_mut() = *key.expose(),
            (Self::Scheduled(keys), KeyRef::Scheduled(key)) => keys[at] = Some(key.clone()),
            (Self::Scheduled(keys), KeyRef::Gcm256(key)) => keys[at] = Some(Scheduled::new(key)),
            _ => unreachable!("the requests of a session are of one suite"),
        }
    }

    #[inline]
    fn get(&self, at: usize) -> KeyRef<'_> {
        match self {
            Self::Hs256(keys) => KeyRef::Hs256(&keys[at]),
            Self::Gcm256(keys) => KeyRef::Gcm256(&keys[at]),
            Self::Scheduled(keys) => KeyRef::Scheduled(keys[at].as_ref().expect("kept until its answer")),
        }
    }

    #[inline]
    fn wipe(&mut self, at: usize) {
        match self {
            Self::Hs256(keys) => keys[at].zeroize(),
            Self::Gcm256(keys) => keys[at].zeroize(),
            Self::Scheduled(keys) => keys[at] = None,
        }
    }
}
