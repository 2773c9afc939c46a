//! The ring of buffers the kernel receives into: small, so that it stays in the second-level cache.

use std::{
    io,
    sync::atomic::{AtomicU16, Ordering},
};

use io_uring::{Submitter, types::BufRingEntry};

use super::pages::Pages;

/// How many buffers of which size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// The name of the group.
    pub(super) group: u16,
    /// A power of two.
    pub(super) count: u16,
    /// Bytes of each.
    pub(super) bytes: usize,
}

/// Of the bytes of lines.
pub(super) const LINES: Shape = Shape { group: 0, count: 64, bytes: 8 * 1024 };

// At 64 MiB a request cost 22 ns of memory traffic, at 512 KiB 13.
const _: () = assert!(LINES.count as usize * LINES.bytes <= 512 * 1024);

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
    shape: Shape,
    entries: Pages,
    bytes: Pages,
    /// The next free entry; the kernel sees it only after [`Buffers::publish`].
    tail: u16,
    is_lent: Box<[bool]>,
}

impl Buffers {
    /// All buffers, not yet the kernel's.
    pub(super) fn new(shape: Shape) -> io::Result<Self> {
        assert!(
            shape.count.is_power_of_two() && u32::try_from(shape.bytes).is_ok(),
            "a shape of the kernel's"
        );
        let count = usize::from(shape.count);
        Ok(Self {
            shape,
            entries: Pages::new(count * size_of::<BufRingEntry>())?,
            bytes: Pages::new(count * shape.bytes)?,
            tail: 0,
            is_lent: vec![true; count].into(),
        })
    }

    /// Hands the ring and every buffer to the kernel. The caller keeps `self` alive until the kernel is done with it.
    pub(super) fn register(&mut self, submitter: &Submitter<'_>) -> io::Result<()> {
        let address = self.entries.at(0, 0) as u64;
        let Shape { group, count, .. } = self.shape;
        // SAFETY: page-aligned memory of `count` entries, alive until the ring that uses it is closed: `Ring` frees it after
        // that.
        unsafe { submitter.register_buf_ring_with_flags(address, count, group, 0)? };
        for buffer_id in 0..count {
            self.give(buffer_id);
        }
        self.publish();
        Ok(())
    }

    /// What a completion said: `byte_count` bytes in `buffer_id`, ours until recycled.
    pub(super) fn fill(&mut self, buffer_id: u16, byte_count: u32) -> Filled {
        let is_lent = &mut self.is_lent[usize::from(buffer_id)];
        assert!(!*is_lent && byte_count as usize <= self.shape.bytes, "the kernel gives what it was given");
        *is_lent = true;
        Filled { buffer_id, byte_count }
    }

    pub(super) fn bytes(&self, filled: &Filled) -> &[u8] {
        // A Filled of another ring must not show memory that the kernel may write to.
        assert!(self.is_lent[usize::from(filled.buffer_id)], "a buffer of this ring");
        let byte_count = filled.byte_count as usize;
        let begin = self.bytes.at(usize::from(filled.buffer_id) * self.shape.bytes, byte_count);
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
        let Shape { count, bytes, .. } = self.shape;
        let place = usize::from(self.tail & (count - 1)) * size_of::<BufRingEntry>();
        let entry = self.entries.at(place, size_of::<BufRingEntry>()).cast::<BufRingEntry>();
        // SAFETY: inside the mapping and aligned; at most `count` buffers exist, so this entry was consumed and the
        // kernel does not read it before the tail has passed it.
        let entry = unsafe { &mut *entry };
        entry.set_addr(self.bytes.at(usize::from(buffer_id) * bytes, bytes) as u64);
        entry.set_len(bytes as u32);
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
