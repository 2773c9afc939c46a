//! A 32-byte secret that wipes itself and does not print.

use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::constants::KEY_BYTES;

/// A symmetric or private key: wiped on drop, printed as `[redacted]`, neither `Clone` nor comparable.
pub struct Secret([u8; KEY_BYTES]);

impl Zeroize for Secret {
    fn zeroize(&mut self) {
        // The whole slice: an array wipes byte by byte.
        self.0.as_mut_slice().zeroize();
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl ZeroizeOnDrop for Secret {}

impl Secret {
    /// Takes over `bytes`; the caller's copy is its own to wipe.
    #[must_use]
    pub const fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the primitive that needs them.
    #[must_use]
    pub const fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// No secret: all zero.
    #[must_use]
    pub const fn blank() -> Self {
        Self([0; KEY_BYTES])
    }

    /// The secret, leaving none.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let taken = Self(self.0);
        self.zeroize();
        taken
    }

    /// For primitives that write their output in place.
    pub(crate) fn expose_mut(&mut self) -> &mut [u8; KEY_BYTES] {
        &mut self.0
    }
}

/// Overwrites what calls before this one left below it on this thread's stack. Secrets wipe themselves where they are
/// dropped; where they were moved from, or spilled by the compiler, they cannot. For threads that live long and handle
/// keys, after each piece of such work.
#[inline(never)]
pub fn scrub_stack() {
    // Deeper than any handshake or turn goes, and far less than a thread's stack.
    let mut bytes = [0u8; 64 * 1024];
    bytes.as_mut_slice().zeroize();
    core::hint::black_box(&bytes);
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
