//! The ring of buffers the kernel receives into: small, so that it stays in the second-level cache.

use std::{
    io,
    sync::atomic::{AtomicU16, Ordering},
};

use io_uring::{Submitter, types::BufRingEntry};

use super::pages::Pages;

/// Buffers of a ring; a power of two.
pub(super) const BUFFER_COUNT: u16 = 64;
/// Bytes of one buffer.
pub(super) const BUFFER_BYTES: usize = 8 * 1024;
/// The name of the only buffer group.
pub(super) const BUFFER_GROUP: u16 = 0;

const _: () = assert!(BUFFER_COUNT.is_power_of_two());
// At 64 MiB a request cost 22 ns of memory traffic, at 512 KiB 13.
const _: () = assert!(BUFFER_COUNT as usize * BUFFER_BYTES <= 512 * 1024);

/// The right to read what the kernel received into a buffer; given back by [`super::Ring::recycle`].
#[must_use = "a buffer that is not recycled is lost to the ring"]
#[derive(Debug)]
pub struct Filled {
    buffer_id: u16,
    byte_count: u32,
}

/// Invariant: the kernel writes only to buffers whose `is_lent` is false; slices are made only of those where it is true.
#[derive(Debug)]
pub(super) struct Buffers {
    entries: Pages,
    bytes: Pages,
    /// The next free entry; the kernel sees it only after [`Buffers::publish`].
    tail: u16,
    is_lent: Box<[bool]>,
}

impl Buffers {
    /// All buffers, not yet the kernel's.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            entries: Pages::new(usize::from(BUFFER_COUNT) * size_of::<BufRingEntry>())?,
            bytes: Pages::new(usize::from(BUFFER_COUNT) * BUFFER_BYTES)?,
            tail: 0,
            is_lent: vec![true; usize::from(BUFFER_COUNT)].into(),
        })
    }

    /// Hands the ring and every buffer to the kernel. The caller keeps `self` alive until the kernel is done with it.
    pub(super) fn register(&mut self, submitter: &Submitter<'_>) -> io::Result<()> {
        let address = self.entries.at(0, 0) as u64;
        // SAFETY: page-aligned memory of BUFFER_COUNT entries, alive until the ring that uses it is closed: `Ring` frees it
        // after that.
        unsafe { submitter.register_buf_ring_with_flags(address, BUFFER_COUNT, BUFFER_GROUP, 0)? };
        for buffer_id in 0..BUFFER_COUNT {
            self.give(buffer_id);
        }
        self.publish();
        Ok(())
    }

    /// What a completion said: `byte_count` bytes in `buffer_id`, ours until recycled.
    pub(super) fn fill(&mut self, buffer_id: u16, byte_count: u32) -> Filled {
        let is_lent = &mut self.is_lent[usize::from(buffer_id)];
        assert!(!*is_lent && byte_count as usize <= BUFFER_BYTES, "the kernel gives what it was given");
        *is_lent = true;
        Filled { buffer_id, byte_count }
    }

    pub(super) fn bytes(&self, filled: &Filled) -> &[u8] {
        // A Filled of another ring must not show memory that the kernel may write to.
        assert!(self.is_lent[usize::from(filled.buffer_id)], "a buffer of this ring");
        let byte_count = filled.byte_count as usize;
        let begin = self.bytes.at(usize::from(filled.buffer_id) * BUFFER_BYTES, byte_count);
        // SAFETY: inside the mapping (asserted by `at`), zeroed when mapped; the buffer is lent to us, so the kernel does
        // not write to it, and `recycle` needs `&mut self`, so not before the slice is gone.
        unsafe { std::slice::from_raw_parts(begin, byte_count) }
    }

    /// Gives the buffer back; the kernel sees it after [`Buffers::publish`].
    pub(super) fn recycle(&mut self, filled: Filled) {
        assert!(self.is_lent[usize::from(filled.buffer_id)], "a buffer of this ring");
        self.give(filled.buffer_id);
    }

    fn give(&mut self, buffer_id: u16) {
        self.is_lent[usize::from(buffer_id)] = false;
        let place = usize::from(self.tail & (BUFFER_COUNT - 1)) * size_of::<BufRingEntry>();
        let entry = self.entries.at(place, size_of::<BufRingEntry>()).cast::<BufRingEntry>();
        // SAFETY: inside the mapping and aligned; at most BUFFER_COUNT buffers exist, so this entry was consumed and the
        // kernel does not read it before the tail has passed it.
        let entry = unsafe { &mut *entry };
        entry.set_addr(self.bytes.at(usize::from(buffer_id) * BUFFER_BYTES, BUFFER_BYTES) as u64);
        entry.set_len(BUFFER_BYTES as u32);
        entry.set_bid(buffer_id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel what was given.
    pub(super) fn publish(&mut self) {
        let base = self.entries.at(0, size_of::<BufRingEntry>()).cast::<BufRingEntry>();
        // SAFETY: the tail lies in the reserved field of entry 0, two aligned bytes inside the mapping, which only we write
        // and the kernel reads, both atomically.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(base).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}
