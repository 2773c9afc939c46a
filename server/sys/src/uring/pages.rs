//! Memory by the page, zeroed, at an address that does not move.

use std::{ffi::c_void, io, ptr::NonNull};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

/// An anonymous private mapping, given back when dropped. A forked child does not have it.
#[derive(Debug)]
pub(super) struct Pages {
    base: NonNull<u8>,
    byte_count: usize,
}

// SAFETY: the mapping belongs to the value alone; no thread keeps anything about it.
unsafe impl Send for Pages {}

impl Pages {
    pub(super) fn new(byte_count: usize) -> io::Result<Self> {
        let rights = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a null hint lets the kernel choose an address, so no existing mapping is touched.
        let base = unsafe { mmap_anonymous(std::ptr::null_mut(), byte_count, rights, MapFlags::PRIVATE)? };
        // SAFETY: exactly the mapping just made. After a fork the kernel would go on writing into the parent's pages only.
        unsafe { madvise(base, byte_count, Advice::LinuxDontFork)? };
        let base = NonNull::new(base.cast::<u8>()).expect("a mapping is never at 0");
        Ok(Self { base, byte_count })
    }

    /// The address of byte `offset`.
    ///
    /// # Panics
    /// When `byte_count` bytes from there are not all inside.
    pub(super) fn at(&self, offset: usize, byte_count: usize) -> *mut u8 {
        assert!(offset <= self.byte_count && byte_count <= self.byte_count - offset, "inside the mapping");
        // SAFETY: offset is within the mapping.
        unsafe { self.base.as_ptr().add(offset) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`; whoever lends it to the kernel keeps it alive until the kernel is done.
        let _ = unsafe { munmap(self.base.as_ptr().cast::<c_void>(), self.byte_count) };
    }
}
