//! Empty output buffers between two uses.

/// Buffers kept; beyond them memory is given back.
const SPARES_MAX: usize = 256;
/// Capacity of a buffer that is kept.
const SPARE_BYTES_MAX: usize = 64 * 1024;

/// A bounded stack: the buffer used last is the one in the cache.
#[derive(Debug, Default)]
pub(super) struct Spares {
    buffers: Vec<Vec<u8>>,
}

impl Spares {
    /// What `place` is written into: a spare one if it has no memory of its own.
    #[inline]
    pub(super) fn lend<'a>(&mut self, place: &'a mut Vec<u8>) -> &'a mut Vec<u8> {
        if place.capacity() == 0
            && let Some(buffer) = self.buffers.pop()
        {
            *place = buffer;
        }
        place
    }

    pub(super) fn put(&mut self, buffer: Vec<u8>) {
        debug_assert!(buffer.is_empty());
        // One that grew too large, or never had memory, is dropped.
        if self.buffers.len() < SPARES_MAX && (1..=SPARE_BYTES_MAX).contains(&buffer.capacity()) {
            self.buffers.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spares_are_bounded_in_number_and_size() {
        let mut spares = Spares::default();
        spares.put(Vec::new());
        spares.put(Vec::with_capacity(SPARE_BYTES_MAX + 1));
        assert!(spares.buffers.is_empty());
        (0..2 * SPARES_MAX).for_each(|_| spares.put(Vec::with_capacity(100)));
        assert_eq!(spares.buffers.len(), SPARES_MAX);
    }

    #[test]
    fn a_place_with_memory_keeps_it() {
        let mut spares = Spares::default();
        spares.put(Vec::with_capacity(100));
        let mut own = Vec::with_capacity(7);
        assert!(spares.lend(&mut own).capacity() < 100);
        let mut none = Vec::new();
        assert!(spares.lend(&mut none).capacity() >= 100);
        assert_eq!(spares.lend(&mut Vec::new()).capacity(), 0);
    }
}
