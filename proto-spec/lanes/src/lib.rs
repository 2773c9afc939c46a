//! HMAC-SHA256 over many independent messages at once.
//!
//! A key is kept as its two *midstates* (the SHA-256 chaining values after the inner and the outer
//! pad block), so a short message costs two compressions. Nothing here knows MVT.
#![no_std]
#![deny(unsafe_code)]

mod key;
mod one;

pub use key::HmacKey;
pub use one::{mac, mac_parts};

/// Bytes of a full HMAC-SHA256 output.
pub const MAC_BYTES: usize = 32;
/// Bytes of one SHA-256 block.
pub const BLOCK_BYTES: usize = 64;
