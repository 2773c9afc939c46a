//! Requests that wait for their answers, found by generation, then counter.

use alloc::collections::VecDeque;

use crate::session::Pending;

/// Pending requests of one session with what the caller keeps beside each (`T`: a start time, a waker).
///
/// A session that renews itself has requests of two generations on their way for a while; more only when answers never come.
#[derive(Debug)]
pub struct Outstanding<T> {
    /// Oldest first; only the newest may be empty.
    generations: VecDeque<Waiting<T>>,
    waiting_count: usize,
}

/// Requests of one generation. Their counters are consecutive, so the place of one is its counter less that of the first.
#[derive(Debug)]
struct Waiting<T> {
    generation: u16,
    first_counter: u64,
    places: VecDeque<Option<(Pending, T)>>,
}

impl<T> Default for Outstanding<T> {
    fn default() -> Self {
        Self { generations: VecDeque::new(), waiting_count: 0 }
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
        let generation = pending.generation();
        let is_new = match self.generations.back_mut() {
            Some(newest) if newest.places.is_empty() => {
                (newest.generation, newest.first_counter) = (generation, pending.counter());
                false
            }
            newest => newest.is_none_or(|newest| newest.generation != generation),
        };
        if is_new {
            let first_counter = pending.counter();
            self.generations.push_back(Waiting { generation, first_counter, places: VecDeque::new() });
        }
        let newest = self.generations.back_mut().expect("just made if there was none");
        assert_eq!(pending.counter(), newest.first_counter + newest.places.len() as u64, "added as sealed");
        newest.places.push_back(Some((pending, beside)));
        self.waiting_count += 1;
    }

    /// The request of this generation and counter, if it still waits.
    #[must_use]
    pub fn get(&self, generation: u16, counter: u64) -> Option<&(Pending, T)> {
        let waiting = self.generations.iter().find(|waiting| waiting.generation == generation)?;
        waiting.places.get(waiting.place(counter)?)?.as_ref()
    }

    /// What is kept beside the `count` requests added last, the newest first.
    pub fn newest(&self, count: usize) -> impl Iterator<Item = &T> {
        let places = self.generations.iter().rev().flat_map(|waiting| waiting.places.iter().rev());
        places.take(count).flatten().map(|(_, beside)| beside)
    }

    /// Removes the request of this generation and counter, after its answer was verified.
    pub fn remove(&mut self, generation: u16, counter: u64) -> Option<(Pending, T)> {
        let at = self.generations.iter().position(|waiting| waiting.generation == generation)?;
        let waiting = &mut self.generations[at];
        let place = waiting.place(counter)?;
        let removed = waiting.places.get_mut(place)?.take()?;
        self.waiting_count -= 1;
        while let Some(None) = waiting.places.front() {
            waiting.places.pop_front();
            waiting.first_counter += 1;
        }
        if waiting.places.is_empty() && at + 1 < self.generations.len() {
            self.generations.remove(at);
        }
        Some(removed)
    }

    /// Removes every request, oldest first: they will not be answered any more.
    pub fn drain(&mut self) -> impl Iterator<Item = (Pending, T)> + '_ {
        self.waiting_count = 0;
        self.generations.drain(..).flat_map(|waiting| waiting.places).flatten()
    }
}

impl<T> Waiting<T> {
    fn place(&self, counter: u64) -> Option<usize> {
        usize::try_from(counter.checked_sub(self.first_counter)?).ok()
    }
}
