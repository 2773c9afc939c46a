//! The keyed state of HMAC-SHA256: two midstates.

use core::fmt;

use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{BLOCK_BYTES, one::compress};

/// Initial chaining value of SHA-256 (FIPS 180-4, 5.3.3).
pub(crate) const SHA256_IV: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// An HMAC-SHA256 key after its pad blocks (RFC 2104): 64 bytes, wiped on drop, never printed.
///
/// Both values are SHA-256 chaining values as eight native-endian words.
#[repr(C, align(64))]
pub struct HmacKey {
    pub(crate) inner: [u32; 8],
    pub(crate) outer: [u32; 8],
}

impl HmacKey {
    /// The key for `key` of any length; keys over 64 bytes are hashed first (RFC 2104, 2).
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        let mut pad = [0u8; BLOCK_BYTES];
        if key.len() > BLOCK_BYTES {
            pad[..32].copy_from_slice(&Sha256::digest(key));
        } else {
            pad[..key.len()].copy_from_slice(key);
        }
        let mut state = Self { inner: SHA256_IV, outer: SHA256_IV };
        pad.iter_mut().for_each(|byte| *byte ^= 0x36);
        compress(&mut state.inner, &pad);
        pad.iter_mut().for_each(|byte| *byte ^= 0x36 ^ 0x5c);
        compress(&mut state.outer, &pad);
        pad.as_mut_slice().zeroize();
        state
    }

    /// A place for a derived key: all zeros, the key of nothing.
    #[must_use]
    pub const fn blank() -> Self {
        Self { inner: [0; 8], outer: [0; 8] }
    }

    /// Becomes a copy of `other` where it is. Named, not `Clone`, for the same reason as [`HmacKey::duplicate`].
    #[inline]
    pub const fn copy_from(&mut self, other: &Self) {
        self.inner = other.inner;
        self.outer = other.outer;
    }

    /// A second copy of the same key. Named, not `Clone`, so that copies of secrets can be found.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self { inner: self.inner, outer: self.outer }
    }
}

impl Zeroize for HmacKey {
    fn zeroize(&mut self) {
        // Whole slices: an array wipes element by element.
        self.inner.as_mut_slice().zeroize();
        self.outer.as_mut_slice().zeroize();
    }
}

impl Drop for HmacKey {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl ZeroizeOnDrop for HmacKey {}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacKey([redacted])")
    }
}
