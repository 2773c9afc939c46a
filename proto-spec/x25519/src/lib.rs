//! X25519 (RFC 7748 §5), by AWS-LC where the feature `aws-lc` is on, by `x25519-dalek` where it is not.
//!
//! The function alone: which points are taken is the protocol's matter. Neither branches on a private key, nor reads memory by it.
//!
//! ```
//! let (ours, theirs) = ([1; 32], [2; 32]);
//! let (mut shared, mut same) = ([0; 32], [0; 32]);
//! assert!(mvt_x25519::agree(&ours, &mvt_x25519::public_of(&theirs), &mut shared));
//! assert!(mvt_x25519::agree(&theirs, &mvt_x25519::public_of(&ours), &mut same));
//! assert_eq!(shared, same);
//! ```

#![no_std]

#[cfg(feature = "aws-lc")]
mod aws_lc;
#[cfg(any(test, not(feature = "aws-lc")))]
mod portable;

#[cfg(feature = "aws-lc")]
use aws_lc as library;
#[cfg(not(feature = "aws-lc"))]
use portable as library;

/// Bytes of a private key, of a public key, and of a shared secret.
pub const BYTES: usize = 32;

/// The public key of a private one: X25519(private, 9).
#[must_use]
pub fn public_of(private: &[u8; BYTES]) -> [u8; BYTES] {
    library::public_of(private)
}

/// Writes X25519(private, public) into `shared`; false when that is all zero, because `public` is of low order (RFC 7748 §6.1). Of
/// `public` the highest bit is not looked at, and what is not below the prime is reduced.
#[must_use]
pub fn agree(private: &[u8; BYTES], public: &[u8; BYTES], shared: &mut [u8; BYTES]) -> bool {
    library::agree(private, public, shared)
}

#[cfg(test)]
mod tests;
