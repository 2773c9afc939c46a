//! AWS-LC's: s2n-bignum's proven assembly where the target has it, chosen by what the CPU can do. Its functions are called as they are;
//! the keys of its higher interface lie on the heap, and compute their public half each time one is made.

use aws_lc_sys::{X25519, X25519_public_from_private};

use crate::BYTES;

pub(crate) fn public_of(private: &[u8; BYTES]) -> [u8; BYTES] {
    let mut public = [0; BYTES];
    // SAFETY: reads and writes 32 bytes each (openssl/curve25519.h), which both references are; neither is kept.
    unsafe { X25519_public_from_private(public.as_mut_ptr(), private.as_ptr()) };
    public
}

pub(crate) fn agree(private: &[u8; BYTES], public: &[u8; BYTES], shared: &mut [u8; BYTES]) -> bool {
    // SAFETY: reads 32 bytes of each key and writes 32 (openssl/curve25519.h), which all three references are; none is kept.
    1 == unsafe { X25519(shared.as_mut_ptr(), private.as_ptr(), public.as_ptr()) }
}
