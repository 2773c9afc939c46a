//! Cache lines asked for ahead of their use.

/// Bytes of a cache line.
pub const LINE_BYTES: usize = 64;

/// Asks for the first `bytes` of `place`, at most all of it, to be brought near; returns at once and changes nothing.
#[inline(always)]
pub fn prefetch<T: ?Sized>(place: &T, bytes: usize) {
    let start = std::ptr::from_ref(place).cast::<u8>();
    let mut offset = 0;
    while offset < bytes.min(size_of_val(place)) {
        prefetch_address(start.wrapping_add(offset));
        offset += LINE_BYTES;
    }
}

/// Asks for the line at `address`, which may be any.
#[inline(always)]
pub(crate) fn prefetch_address(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing the program can see and does not fault, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefetch_changes_nothing() {
        let bytes = vec![7u8; 5 << 20];
        prefetch(&bytes[0], LINE_BYTES);
        prefetch(bytes.as_slice(), 1 << 30);
        prefetch::<[u8]>(&[], 64);
        prefetch_address(std::ptr::null());
        assert!(bytes.iter().all(|byte| *byte == 7));
    }
}
