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
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_default()
    }

    pub(super) fn put(&mut self, buffer: Vec<u8>) {
        debug_assert!(buffer.is_empty());
        if self.buffers.len() < SPARES_MAX && (1..=SPARE_BYTES_MAX).contains(&buffer.capacity()) {
            self.buffers.push(buffer);
        }
    }
}
