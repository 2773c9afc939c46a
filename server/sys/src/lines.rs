//! A long array of cache lines of words, zeroed, that never moves.

use std::{
    io,
    ops::{Deref, DerefMut},
};

use crate::{memory::LINE_BYTES, pages::LargePages};

/// Words of a line.
pub const LINE_WORDS: usize = LINE_BYTES / size_of::<u64>();

/// One cache line of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Line(pub [u64; LINE_WORDS]);

const _: () = assert!(size_of::<Line>() == LINE_BYTES && align_of::<Line>() == LINE_BYTES);

/// Lines in large pages. The kernel gives memory only to what is touched.
#[derive(Debug)]
pub struct Lines {
    pages: LargePages,
    count: usize,
}

impl Lines {
    /// `count` lines of 0.
    ///
    /// # Errors
    /// The OS's: no address space for so much.
    pub fn new(count: usize) -> io::Result<Self> {
        let byte_count = count.checked_mul(LINE_BYTES).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { pages: LargePages::new(byte_count)?, count })
    }
}

impl Deref for Lines {
    type Target = [Line];

    #[inline]
    fn deref(&self) -> &[Line] {
        // SAFETY: `count` lines are mapped, page-aligned, zeroed by the kernel, and any bits are a line.
        unsafe { std::slice::from_raw_parts(self.pages.base().cast().as_ptr(), self.count) }
    }
}

impl DerefMut for Lines {
    #[inline]
    fn deref_mut(&mut self) -> &mut [Line] {
        // SAFETY: as above, and `&mut self` keeps everybody else away.
        unsafe { std::slice::from_raw_parts_mut(self.pages.base().cast().as_ptr(), self.count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_zero_and_keep_what_they_are_given() {
        let mut lines = Lines::new(100_000).expect("mapped");
        assert!(lines.iter().all(|line| *line == Line([0; 8])));
        lines[99_999].0[7] = 5;
        assert_eq!(lines[99_999], Line([0, 0, 0, 0, 0, 0, 0, 5]));
        assert!(Lines::new(0).expect("mapped").is_empty());
    }
}
