//! Requests that wait for their answers, found by generation, then counter.

mod ring;

use alloc::collections::VecDeque;

use self::ring::Ring;
use crate::{
    constants::HEADER_BYTES,
    header::{self, Flags},
    session::Pending,
    suite::{KeyRef, Tag},
};

/// What opens the answer of one request, where it is kept.
#[derive(Debug, Clone, Copy)]
pub struct Waiting<'a> {
    pub(super) key: KeyRef<'a>,
    pub(super) header: &'a [u8; HEADER_BYTES],
    pub(super) tag: &'a Tag,
}

impl Waiting<'_> {
    /// The request's counter, by which its answer finds it.
    #[must_use]
    #[inline]
    pub fn counter(&self) -> u64 {
        header::counter_of(self.header)
    }

    /// The request's generation, within which its counter counts.
    #[must_use]
    #[inline]
    pub const fn generation(&self) -> u16 {
        u16::from_be_bytes([self.header[12], self.header[13]])
    }

    /// When it was sealed, server time, ms.
    pub(super) const fn timestamp(&self) -> u64 {
        let [.., a, b, c, d, e, f] = *self.header;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }

    pub(super) const fn flags(&self) -> Flags {
        Flags(self.header[3])
    }
}

impl<'a> From<&'a Pending> for Waiting<'a> {
    fn from(pending: &'a Pending) -> Self {
        Self { key: pending.key.borrow(), header: &pending.header, tag: &pending.tag }
    }
}

/// Requests of one session that wait, with what the caller keeps beside each (`T`: a start time, a waker).
///
/// A session that renews itself has requests of two generations on their way for a while; more only when answers never come.
#[derive(Debug)]
pub struct Outstanding<T> {
    /// Oldest first; only the newest may be empty.
    generations: VecDeque<OfGeneration<T>>,
    waiting_count: usize,
}

/// Requests of one generation. Their counters are consecutive, so the place of one is its counter less that of the first.
#[derive(Debug)]
struct OfGeneration<T> {
    generation: u16,
    first_counter: u64,
    ring: Ring<T>,
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

    /// Adds the request sealed last; its key is copied.
    ///
    /// # Panics
    /// If its counter does not follow that of the request added before: requests are added as sealed.
    #[inline]
    pub fn push<'a>(&mut self, waiting: impl Into<Waiting<'a>>, beside: T) {
        let waiting = waiting.into();
        let (generation, counter) = (waiting.generation(), waiting.counter());
        let newest = match self.generations.back_mut() {
            Some(newest) if newest.generation == generation => newest,
            _ => self.begin(generation, counter),
        };
        if newest.ring.is_empty() {
            newest.first_counter = counter;
        }
        assert_eq!(counter, newest.first_counter + newest.ring.len() as u64, "added as sealed");
        newest.ring.push(waiting, beside);
        self.waiting_count += 1;
    }

    /// Makes `generation` the newest.
    #[cold]
    fn begin(&mut self, generation: u16, first_counter: u64) -> &mut OfGeneration<T> {
        let spare = self.generations.pop_back_if(|newest| newest.ring.is_empty());
        let ring = spare.map_or_else(Ring::default, |spare| spare.ring);
        self.generations.push_back(OfGeneration { generation, first_counter, ring });
        self.generations.back_mut().expect("just added")
    }

    /// The request of this generation and counter, if it still waits.
    #[must_use]
    #[inline]
    pub fn get(&self, generation: u16, counter: u64) -> Option<(Waiting<'_>, &T)> {
        let of = self.generations.iter().find(|of| of.generation == generation)?;
        of.ring.get(of.place(counter)?)
    }

    /// Finds the requests of one generation by counter: [`Outstanding::get`] for many.
    #[inline]
    pub(super) fn of<'a>(&'a self, generation: u16) -> impl Fn(u64) -> Option<Waiting<'a>> + 'a {
        let of = self.generations.iter().find(|of| of.generation == generation);
        move |counter| {
            let of = of?;
            of.ring.get(of.place(counter)?).map(|(waiting, _)| waiting)
        }
    }

    /// What is kept beside the `count` requests added last, the newest first.
    pub fn newest(&self, count: usize) -> impl Iterator<Item = &T> {
        let besides = self.generations.iter().rev().flat_map(|of| of.ring.newest());
        besides.take(count).flatten()
    }

    /// Removes the request of this generation and counter after its answer was verified, and wipes its key.
    #[inline]
    pub fn remove(&mut self, generation: u16, counter: u64) -> Option<T> {
        self.remove_if(generation, counter, |_| true)
    }

    /// The same if what is beside it is as `wanted`.
    #[inline]
    pub fn remove_if(&mut self, generation: u16, counter: u64, wanted: impl FnOnce(&T) -> bool) -> Option<T> {
        let at = self.generations.iter().position(|of| of.generation == generation)?;
        let of = &mut self.generations[at];
        let removed = of.ring.remove_if(of.place(counter)?, wanted)?;
        self.waiting_count -= 1;
        of.first_counter += of.ring.settle();
        if of.ring.is_empty() && at + 1 < self.generations.len() {
            self.generations.remove(at);
        }
        Some(removed)
    }

    /// Removes the requests of one generation and of `counters` whose `beside` is as `wanted`, and wipes their keys; `each` gets the
    /// counter of each in this order, with what was beside it, or nothing where it stays or does not wait.
    #[inline]
    pub fn remove_each(
        &mut self,
        generation: u16,
        counters: impl Iterator<Item = u64>,
        wanted: impl Fn(&T) -> bool,
        mut each: impl FnMut(u64, Option<T>),
    ) {
        let Some(at) = self.generations.iter().position(|of| of.generation == generation) else {
            counters.for_each(|counter| each(counter, None));
            return;
        };
        let of = &mut self.generations[at];
        for counter in counters {
            let removed = of.place(counter).and_then(|place| of.ring.remove_if(place, &wanted));
            self.waiting_count -= usize::from(removed.is_some());
            each(counter, removed);
        }
        of.first_counter += of.ring.settle();
        if of.ring.is_empty() && at + 1 < self.generations.len() {
            self.generations.remove(at);
        }
    }

    /// Removes every request, oldest first: they will not be answered any more.
    pub fn drain(&mut self) -> impl Iterator<Item = T> + '_ {
        self.waiting_count = 0;
        self.generations.drain(..).flat_map(|of| of.ring.into_besides())
    }
}

impl<T> OfGeneration<T> {
    #[inline]
    fn place(&self, counter: u64) -> Option<usize> {
        usize::try_from(counter.checked_sub(self.first_counter)?).ok()
    }
}
