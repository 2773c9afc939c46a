//! Bytes that were read, not yet cut into frames or answers.

use super::READ_BYTES_MAX;

/// Bytes `begin..filled` were read. Its memory is reused for the whole run; what was not a whole frame moves to the front when
/// more comes.
///
/// Invariant: `begin ≤ filled ≤ bytes.len()`.
#[derive(Debug)]
pub struct Inbox {
    bytes: Vec<u8>,
    begin: usize,
    filled: usize,
}

impl Inbox {
    /// Room for one read and a rest of `rest_bytes_max`.
    #[must_use]
    pub fn new(rest_bytes_max: usize) -> Self {
        Self { bytes: vec![0; READ_BYTES_MAX + rest_bytes_max], begin: 0, filled: 0 }
    }

    /// Where the next read goes.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.settle();
        &mut self.bytes[self.filled..self.filled + READ_BYTES_MAX]
    }

    /// A read brought `count` bytes.
    pub(super) const fn grow(&mut self, count: usize) {
        self.filled += count;
    }

    /// Copies what a ring received, so that its buffer goes back at once; all of its buffers at most between two turns.
    pub(super) fn take(&mut self, received: &[u8]) {
        if self.filled + received.len() > self.bytes.len() {
            self.settle();
        }
        let end = self.filled + received.len();
        if end > self.bytes.len() {
            self.bytes.resize(end, 0);
        }
        self.bytes[self.filled..end].copy_from_slice(received);
        self.filled = end;
    }

    /// What was read.
    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes[self.begin..self.filled]
    }

    /// Forgets everything.
    pub(super) const fn clear(&mut self) {
        (self.begin, self.filled) = (0, 0);
    }

    /// Forgets the first `count` bytes.
    pub const fn consume(&mut self, count: usize) {
        self.begin += count;
        if self.begin == self.filled {
            self.clear();
        }
    }

    /// Moves what is left to the front.
    fn settle(&mut self) {
        if self.begin > 0 {
            self.bytes.copy_within(self.begin..self.filled, 0);
            self.filled -= self.begin;
            self.begin = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_moves_to_the_front_and_more_than_a_read_fits() {
        let mut inbox = Inbox::new(16);
        inbox.take(b"abc");
        inbox.take(&vec![7; 3 * READ_BYTES_MAX]);
        inbox.consume(2);
        assert_eq!(inbox.bytes()[..2], [b'c', 7]);
        inbox.consume(3 * READ_BYTES_MAX);
        assert_eq!(inbox.bytes(), [7]);
        inbox.room()[0] = 9;
        inbox.grow(1);
        assert_eq!(inbox.bytes(), [7, 9]);
    }
}
