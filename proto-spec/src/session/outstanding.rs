//! Requests that wait for their answers, found by counter.

use alloc::collections::VecDeque;

use crate::session::Pending;

/// Pending requests of one session with what the caller keeps beside each (`T`: a start time, a waker).
///
/// Counters of a session are consecutive, so the place of a request is its counter less that of the first.
#[derive(Debug)]
pub struct Outstanding<T> {
    first_counter: u64,
    places: VecDeque<Option<(Pending, T)>>,
    waiting_count: usize,
}

impl<T> Default for Outstanding<T> {
    fn default() -> Self {
        Self { first_counter: 0, places: VecDeque::new(), waiting_count: 0 }
    }
}

impl<T> Outstanding<T> {
    /// Requests waiting.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.waiting_count
    }

    /// Whether no request waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.waiting_count == 0
    }

    /// Adds the request sealed last.
    ///
    /// # Panics
    /// If its counter does not follow that of the request added before: requests are added as sealed.
    pub fn push(&mut self, pending: Pending, beside: T) {
        if self.places.is_empty() {
            self.first_counter = pending.counter();
        }
        assert_eq!(pending.counter(), self.first_counter + self.places.len() as u64, "added as sealed");
        self.places.push_back(Some((pending, beside)));
        self.waiting_count += 1;
    }

    /// The request of `counter`, if it still waits.
    #[must_use]
    pub fn get(&self, counter: u64) -> Option<&(Pending, T)> {
        self.places.get(self.place(counter)?)?.as_ref()
    }

    /// Removes the request of `counter`, after its answer was verified.
    pub fn remove(&mut self, counter: u64) -> Option<(Pending, T)> {
        let place = self.place(counter)?;
        let removed = self.places.get_mut(place)?.take()?;
        self.waiting_count -= 1;
        while let Some(None) = self.places.front() {
            self.places.pop_front();
            self.first_counter += 1;
        }
        Some(removed)
    }

    /// Removes every request, oldest first: they will not be answered any more.
    pub fn drain(&mut self) -> impl Iterator<Item = (Pending, T)> + '_ {
        self.waiting_count = 0;
        self.places.drain(..).flatten()
    }

    fn place(&self, counter: u64) -> Option<usize> {
        usize::try_from(counter.checked_sub(self.first_counter)?).ok()
    }
}
