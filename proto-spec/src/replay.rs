//! The window of counters (SPEC §8), after RFC 6479: a ring of bits that never shifts.

use alloc::{boxed::Box, vec};

use crate::Reject;

/// Which of the last W counters were accepted.
///
/// Invariants: bit `c mod W` tells of counter c for `top − W ≤ c < top`; W = 64 × words is a power of two.
#[derive(Debug)]
pub struct ReplayWindow {
    top: u64,
    words: Box<[u64]>,
}

impl ReplayWindow {
    /// An empty window of `bits` counters, a power of two of at least 64 (by `Limits::validate`).
    ///
    /// # Panics
    /// If `bits` is not one: limits are validated where they enter.
    #[must_use]
    pub fn new(bits: u16) -> Self {
        assert!(bits.is_power_of_two() && bits >= 64, "window bits are validated");
        Self { top: 0, words: vec![0; window_words(bits)].into_boxed_slice() }
    }

    /// One past the highest accepted counter.
    #[must_use]
    pub const fn top(&self) -> u64 {
        self.top
    }

    /// Tests `counter` and, if it is fresh, records it (§8.1 to §8.4). `counter` is below 2^48.
    ///
    /// # Errors
    /// `Replay` or `TooOld`; then nothing changed.
    #[inline]
    pub fn test_and_set(&mut self, counter: u64) -> Result<(), Reject> {
        test_and_set(&mut self.top, &mut self.words, counter)
    }
}

/// Words of a window of `bits` counters.
#[must_use]
pub const fn window_words(bits: u16) -> usize {
    bits as usize / 64
}

/// The word of a window of `word_count` words that tells of `counter`.
#[must_use]
#[inline]
pub const fn word_of(counter: u64, word_count: usize) -> usize {
    (counter / 64) as usize & (word_count - 1)
}

/// Whether [`test_and_set`] would accept `counter`; changes nothing.
///
/// # Errors
/// `Replay` or `TooOld`.
pub(crate) fn test(top: u64, words: &[u64], counter: u64) -> Result<(), Reject> {
    if counter >= top {
        Ok(())
    } else if top - counter > words.len() as u64 * 64 {
        Err(Reject::TooOld)
    } else if words[word_of(counter, words.len())] & bit(counter) != 0 {
        Err(Reject::Replay)
    } else {
        Ok(())
    }
}

/// Whether [`test_and_set`] would accept no counter below `end`, which is at most `top`.
pub(crate) fn has_all(top: u64, words: &[u64], end: u64) -> bool {
    debug_assert!(end <= top);
    let mut counter = top.saturating_sub(words.len() as u64 * 64);
    while counter < end {
        // What is left of a word, up to `end`.
        let count = (64 - counter % 64).min(end - counter);
        let mask = (u64::MAX >> (64 - count)) << (counter % 64);
        if words[word_of(counter, words.len())] & mask != mask {
            return false;
        }
        counter += count;
    }
    true
}

/// [`ReplayWindow::test_and_set`] on a window kept elsewhere; the number of `words` is a power of two.
///
/// # Errors
/// `Replay` or `TooOld`; then nothing changed.
#[inline]
pub(crate) fn test_and_set(top: &mut u64, words: &mut [u64], counter: u64) -> Result<(), Reject> {
    let bits = words.len() as u64 * 64;
    let word = word_of(counter, words.len());
    if counter >= *top {
        clear_from(words, *top, counter - *top);
        *top = counter + 1;
    } else if *top - counter > bits {
        return Err(Reject::TooOld);
    } else if words[word] & bit(counter) != 0 {
        return Err(Reject::Replay);
    }
    words[word] |= bit(counter);
    Ok(())
}

/// Forgets the `skipped` counters from `first` on, and the one after them, as the ring reaches them.
#[inline]
fn clear_from(words: &mut [u64], first: u64, skipped: u64) {
    if skipped >= words.len() as u64 * 64 {
        words.fill(0);
        return;
    }
    let mut counter = first;
    let end = first + skipped + 1;
    while counter < end {
        let word = word_of(counter, words.len());
        // Whole words where the run covers one, single bits at its ends.
        if counter.is_multiple_of(64) && end - counter >= 64 {
            words[word] = 0;
            counter += 64;
        } else {
            words[word] &= !bit(counter);
            counter += 1;
        }
    }
}

const fn bit(counter: u64) -> u64 {
    1 << (counter % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{collections::BTreeSet, vec::Vec};
    use proptest::prelude::*;

    /// The sentences of §8, word for word, with unbounded memory.
    #[derive(Default)]
    struct Model {
        top: u64,
        accepted: BTreeSet<u64>,
    }

    impl Model {
        fn test_and_set(&mut self, counter: u64, bits: u64) -> Result<(), Reject> {
            if counter < self.top && self.top - counter > bits {
                return Err(Reject::TooOld);
            }
            if !self.accepted.insert(counter) {
                return Err(Reject::Replay);
            }
            self.top = self.top.max(counter + 1);
            Ok(())
        }
    }

    #[test]
    fn edges_of_the_window_are_exact() {
        for bits in [64u16, 128, 1024, 8192] {
            let mut window = ReplayWindow::new(bits);
            let w = u64::from(bits);
            let top = 10 * w;
            assert_eq!(window.test_and_set(top - 1), Ok(()));
            assert_eq!(window.test_and_set(top - w - 1), Err(Reject::TooOld));
            assert_eq!(window.test_and_set(top - w), Ok(()));
            assert_eq!(window.test_and_set(top - w), Err(Reject::Replay));
            assert_eq!(window.test_and_set(top - w + 1), Ok(()));
            assert_eq!(window.test_and_set(top - 1), Err(Reject::Replay));
            assert_eq!(window.test_and_set(top), Ok(()));
            assert_eq!(window.test_and_set(top - w), Err(Reject::TooOld));
            assert_eq!(window.test_and_set(top + (1 << 40)), Ok(()));
            assert_eq!(window.test_and_set(top), Err(Reject::TooOld));
        }
    }

    proptest! {
        #[test]
        fn equals_the_model(
            bits in prop::sample::select(alloc::vec![64u16, 128, 1024]),
            steps in prop::collection::vec((0u8..4, 0u64..3000), 1..400),
        ) {
            let mut window = ReplayWindow::new(bits);
            let mut model = Model::default();
            let mut seen = Vec::new();
            for (how, by) in steps {
                let counter = match how {
                    0 => model.top + by % 4,
                    1 => model.top.saturating_sub(by % (u64::from(bits) + 3)),
                    2 => model.top + by,
                    _ => seen.get(by as usize % seen.len().max(1)).copied().unwrap_or(by),
                };
                seen.push(counter);
                let tested = test(window.top, &window.words, counter);
                let set = window.test_and_set(counter);
                prop_assert_eq!(set, tested);
                prop_assert_eq!(set, model.test_and_set(counter, u64::from(bits)));
                prop_assert_eq!(window.top(), model.top);
                let end = by % (window.top + 1);
                let fresh = (0..end).rev().take(usize::from(bits) + 1);
                let is_full = fresh.into_iter().all(|counter| test(window.top, &window.words, counter).is_err());
                prop_assert_eq!(has_all(window.top, &window.words, end), is_full);
            }
        }
    }
}
