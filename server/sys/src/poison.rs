//! Bytes that must decide nothing: marked for memcheck, which then reports every branch and every address that depends on them.
//!
//! Outside of valgrind each of these does nothing. Only for `cargo x harden secrets`.

use std::{arch::asm, mem::size_of_val};

/// Requests of `memcheck.h` and `valgrind.h`.
const RUNNING_ON_VALGRIND: usize = 0x1001;
const COUNT_ERRORS: usize = 0x1201;
const MAKE_MEM_UNDEFINED: usize = 0x4d43_0001;
const MAKE_MEM_DEFINED: usize = 0x4d43_0002;

/// Marks the bytes of `value` as secret.
pub fn poison<T: ?Sized>(value: &mut T) {
    let address: *const T = value;
    request(MAKE_MEM_UNDEFINED, address.cast::<u8>() as usize, size_of_val(value));
}

/// Marks them as known to all: a public key, what went over the wire, a verdict.
pub fn reveal<T: ?Sized>(value: &T) {
    let address: *const T = value;
    request(MAKE_MEM_DEFINED, address.cast::<u8>() as usize, size_of_val(value));
}

/// What memcheck has reported so far.
#[must_use]
pub fn report_count() -> usize {
    request(COUNT_ERRORS, 0, 0)
}

/// Whether this process runs on valgrind.
#[must_use]
pub fn is_watched() -> bool {
    request(RUNNING_ON_VALGRIND, 0, 0) != 0
}

/// A client request, as `valgrind.h` makes it on x86-64: the rotations are 128 bits together.
fn request(code: usize, first: usize, second: usize) -> usize {
    let arguments = [code, first, second, 0, 0, 0];
    let mut result = 0usize;
    // SAFETY: on a CPU these instructions change flags alone: rdi is back where it was after four rotations, and rbx is
    // exchanged with itself. Valgrind knows the sequence, reads the six words at rax, which outlive it, and changes rdx; what it marks are
    // its own notes about memory, not the memory.
    unsafe {
        asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") arguments.as_ptr(),
            inout("rdx") result,
            inout("rdi") 0usize => _,
        );
    }
    result
}
