//! Memory: cache lines asked for ahead of their use, and large pages.

use std::mem::MaybeUninit;

/// Bytes of a cache line.
pub const LINE_BYTES: usize = 64;

/// Asks for the first `bytes` of `place`, at most all of it, to be brought near; returns at once and changes nothing.
#[inline(always)]
pub fn prefetch<T: ?Sized>(place: &T, bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let start = std::ptr::from_ref(place).cast::<i8>();
        let mut offset = 0;
        while offset < bytes.min(size_of_val(place)) {
            // SAFETY: a prefetch reads nothing the program can see and does not fault; the address is inside `place`.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.add(offset)) };
            offset += LINE_BYTES;
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (place, bytes);
}

/// Asks the kernel to back `memory`, not yet in use, with large pages. It may decline, and nothing depends on it.
pub fn advise_large_pages<T>(memory: &mut [MaybeUninit<T>]) {
    const PAGE_BYTES: usize = 4096;
    let start = memory.as_mut_ptr().cast::<u8>();
    let skip = start.align_offset(PAGE_BYTES);
    let Some(bytes) = size_of_val(memory).checked_sub(skip) else { return };
    let bytes = bytes - bytes % PAGE_BYTES;
    if bytes == 0 {
        return;
    }
    // SAFETY: the range is whole pages inside `memory`; MADV_HUGEPAGE changes no content and no right of access.
    let _ = unsafe { rustix::mm::madvise(start.add(skip).cast(), bytes, rustix::mm::Advice::LinuxHugepage) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_and_prefetch_change_nothing() {
        let mut bytes: Vec<u8> = Vec::with_capacity(5 << 20);
        advise_large_pages(bytes.spare_capacity_mut());
        bytes.resize(5 << 20, 7);
        prefetch(&bytes[0], LINE_BYTES);
        prefetch(bytes.as_slice(), 1 << 30);
        prefetch::<[u8]>(&[], 64);
        advise_large_pages::<u8>(&mut []);
        assert!(bytes.iter().all(|byte| *byte == 7));
    }
}
