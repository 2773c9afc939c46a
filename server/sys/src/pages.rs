//! Large memory of our own: mapped once for the most there may be, aligned for large pages, never moved.

use std::{ffi::c_void, io, ptr::NonNull};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

/// Bytes of a large page.
const LARGE_PAGE_BYTES: usize = 2 << 20;

/// Zeroed memory that the kernel gives only as it is touched, in large pages where it has them; given back when dropped.
/// Neither a core dump nor a forked child has it.
#[derive(Debug)]
pub(crate) struct LargePages {
    base: NonNull<u8>,
    /// What was mapped around it.
    mapped: NonNull<c_void>,
    mapped_bytes: usize,
}

// SAFETY: the mapping belongs to the value alone; no thread keeps anything about it.
unsafe impl Send for LargePages {}
// SAFETY: through a shared reference it is only read.
unsafe impl Sync for LargePages {}

impl LargePages {
    /// `byte_count` bytes, aligned to [`LARGE_PAGE_BYTES`] if they fill such a page, to a page otherwise.
    ///
    /// # Errors
    /// The OS's: no address space for so much.
    pub(crate) fn new(byte_count: usize) -> io::Result<Self> {
        let is_large = byte_count >= LARGE_PAGE_BYTES;
        let mapped_bytes = if is_large {
            let whole = byte_count.checked_next_multiple_of(LARGE_PAGE_BYTES);
            whole.and_then(|bytes| bytes.checked_add(LARGE_PAGE_BYTES))
        } else {
            Some(byte_count.max(1))
        };
        let mapped_bytes = mapped_bytes.ok_or(io::ErrorKind::OutOfMemory)?;
        let rights = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a null hint lets the kernel choose an address, so no existing mapping is touched.
        let mapped = unsafe { mmap_anonymous(std::ptr::null_mut(), mapped_bytes, rights, flags)? };
        let mapped = NonNull::new(mapped).expect("a mapping is never at 0");
        let skip = if is_large { mapped.cast::<u8>().as_ptr().align_offset(LARGE_PAGE_BYTES) } else { 0 };
        let advice: &[Advice] = if is_large {
            // Advice only: where the kernel declines nothing depends on it.
            &[Advice::LinuxHugepage, Advice::LinuxDontDump, Advice::LinuxDontFork]
        } else {
            &[Advice::LinuxDontDump, Advice::LinuxDontFork]
        };
        for advice in advice {
            // SAFETY: exactly the mapping just made; no advice here changes content or rights of this process.
            let _ = unsafe { madvise(mapped.as_ptr(), mapped_bytes, *advice) };
        }
        // SAFETY: at most one large page is skipped, which was mapped beyond the bytes asked for.
        let base = unsafe { mapped.cast::<u8>().add(skip) };
        Ok(Self { base, mapped, mapped_bytes })
    }

    /// The first byte; as many as were asked for are ours.
    pub(crate) const fn base(&self) -> NonNull<u8> {
        self.base
    }
}

impl Drop for LargePages {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`, and nothing borrowed from it outlives the value.
        let _ = unsafe { munmap(self.mapped.as_ptr(), self.mapped_bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_memory_is_aligned_zeroed_and_whole() {
        for bytes in [0, 1, 4096, LARGE_PAGE_BYTES - 1, LARGE_PAGE_BYTES, 3 * LARGE_PAGE_BYTES + 5] {
            let pages = LargePages::new(bytes).expect("mapped");
            let alignment = if bytes >= LARGE_PAGE_BYTES { LARGE_PAGE_BYTES } else { 4096 };
            assert_eq!(pages.base().as_ptr().align_offset(alignment), 0);
            // SAFETY: inside the mapping, zeroed by the kernel, nobody else has it.
            let all = unsafe { std::slice::from_raw_parts_mut(pages.base().as_ptr(), bytes) };
            assert!(all.iter().all(|byte| *byte == 0));
            all.fill(7);
        }
    }

    #[test]
    fn more_than_there_are_addresses_is_an_error() {
        assert!(LargePages::new(usize::MAX / 2).is_err());
        assert!(LargePages::new(usize::MAX - 1).is_err());
    }
}
