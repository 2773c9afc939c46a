//! Records of one size behind each other: a value, and some words that go with it.

use std::{fmt, io, marker::PhantomData, ptr::NonNull};

use crate::{
    memory::{LINE_BYTES, prefetch_address},
    pages::LargePages,
};

/// At most `most` records, each a `T` and a number of words fixed for the slab, beginning at a cache line. A record never
/// moves, so that no copy of a secret is left behind; memory is taken as records are pushed.
///
/// Invariants: records `0..len` hold an initialised `T` and initialised words; `most * stride` bytes are mapped.
pub struct Slab<T> {
    pages: LargePages,
    word_count: usize,
    stride: usize,
    most: usize,
    len: usize,
    values: PhantomData<T>,
}

impl<T> Slab<T> {
    /// Where the words begin in a record.
    const WORDS_AT: usize = size_of::<T>().next_multiple_of(align_of::<u64>());

    /// An empty slab.
    ///
    /// # Errors
    /// The OS's: no address space for so much.
    pub fn new(most: usize, word_count: usize) -> io::Result<Self> {
        const { assert!(align_of::<T>() <= LINE_BYTES, "records begin at a cache line") };
        let stride = (Self::WORDS_AT + word_count * size_of::<u64>()).next_multiple_of(LINE_BYTES);
        let byte_count = stride.checked_mul(most).ok_or(io::ErrorKind::OutOfMemory)?;
        let pages = LargePages::new(byte_count)?;
        Ok(Self { pages, word_count, stride, most, len: 0, values: PhantomData })
    }

    /// Bytes of one record.
    #[must_use]
    pub const fn record_bytes(&self) -> usize {
        self.stride
    }

    /// Records pushed.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a record with words of 0 and gives its place, counted from 0.
    ///
    /// # Panics
    /// When the slab is full.
    pub fn push(&mut self, value: T) -> usize {
        assert!(self.len < self.most, "the caller counts");
        let place = self.len;
        // SAFETY: `place < most`, so the record is mapped; nothing was written there since the kernel zeroed it, so there is
        // no value to drop and the words are 0.
        unsafe { self.value(place).write(value) };
        self.len += 1;
        place
    }

    /// The value at `place`.
    ///
    /// # Panics
    /// When there is no such record.
    #[inline]
    #[must_use]
    pub fn get(&self, place: usize) -> &T {
        assert!(place < self.len, "a record");
        // SAFETY: a record that was pushed holds a value; `&self` keeps writers away.
        unsafe { self.value(place).as_ref() }
    }

    /// The value at `place`, with its words.
    ///
    /// # Panics
    /// When there is no such record.
    #[inline]
    pub fn get_mut(&mut self, place: usize) -> (&mut T, &mut [u64]) {
        assert!(place < self.len, "a record");
        let value = self.value(place);
        // SAFETY: the words lie behind the value, inside the record, initialised by the kernel; the two do not overlap, and
        // `&mut self` keeps everybody else away from both.
        unsafe {
            let words = value.cast::<u8>().add(Self::WORDS_AT).cast::<u64>();
            (&mut *value.as_ptr(), std::slice::from_raw_parts_mut(words.as_ptr(), self.word_count))
        }
    }

    /// Asks for the first `bytes` of the value at `place`, and the line of its word `word`, to be brought near. Changes
    /// nothing, and a place or a word that does not exist is ignored.
    #[inline]
    pub fn prefetch(&self, place: usize, bytes: usize, word: usize) {
        if place >= self.len || word >= self.word_count {
            return;
        }
        let start = self.value(place).cast::<u8>().as_ptr();
        for offset in (0..bytes.min(Self::WORDS_AT)).step_by(LINE_BYTES) {
            prefetch_address(start.wrapping_add(offset));
        }
        prefetch_address(start.wrapping_add(Self::WORDS_AT + word * size_of::<u64>()));
    }

    #[inline]
    fn value(&self, place: usize) -> NonNull<T> {
        debug_assert!(place < self.most);
        // SAFETY: `place < most` at every caller, so the record is inside the mapping.
        unsafe { self.pages.base().add(place * self.stride).cast() }
    }
}

impl<T> Drop for Slab<T> {
    fn drop(&mut self) {
        for place in 0..self.len {
            // SAFETY: a record that was pushed holds a value, dropped once, here.
            unsafe { self.value(place).drop_in_place() };
        }
    }
}

impl<T> fmt::Debug for Slab<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slab").field("len", &self.len).field("most", &self.most).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn records_keep_what_they_are_given_and_end_with_the_slab() {
        let mark = Arc::new(());
        let mut slab: Slab<(Arc<()>, u8)> = Slab::new(20_000, 3).expect("mapped");
        assert_eq!(slab.record_bytes(), 64);
        for number in 0..20_000usize {
            assert_eq!(slab.push((mark.clone(), number as u8)), number);
            let (_, words) = slab.get_mut(number);
            assert_eq!(words, [0, 0, 0]);
            words.fill(number as u64);
            slab.prefetch(number, 1 << 20, 2);
        }
        slab.prefetch(20_000, 64, 0);
        slab.prefetch(0, 64, 3);
        for number in 0..20_000usize {
            assert_eq!(slab.get(number).1, number as u8);
            assert_eq!(*slab.get_mut(number).1, [number as u64; 3]);
        }
        assert_eq!(Arc::strong_count(&mark), 20_001);
        slab.get_mut(7).0.0 = Arc::default();
        assert_eq!(Arc::strong_count(&mark), 20_000);
        drop(slab);
        assert_eq!(Arc::strong_count(&mark), 1);
    }

    #[test]
    #[should_panic(expected = "a record")]
    fn a_place_without_a_record_is_refused() {
        let slab: Slab<u64> = Slab::new(10, 1).expect("mapped");
        let _ = slab.get(0);
    }

    #[test]
    #[should_panic(expected = "the caller counts")]
    fn one_record_too_many_is_refused() {
        let mut slab: Slab<u64> = Slab::new(1, 0).expect("mapped");
        slab.push(1);
        slab.push(2);
    }
}
