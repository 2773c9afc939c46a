//! HMAC-SHA256 over many independent messages at once.
//!
//! A key is kept as its two *midstates* (the SHA-256 chaining values after the inner and the outer
//! pad block), so a short message costs two compressions. Nothing here knows MVT.
#![no_std]
#![deny(unsafe_code)]

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "SIMD")]
mod avx2;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "SIMD")]
mod avx2_word;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "SIMD")]
mod avx512;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "SIMD")]
mod avx512_word;
mod dispatch;
mod engine;
mod group;
mod job;
mod kernel;
mod key;
mod one;
mod path;
mod plan;
mod portable;
mod rung;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "SIMD")]
mod shani;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "SIMD")]
mod wide;

pub use engine::{DERIVE_INPUT_BYTES_MAX, Engine};
pub use job::Job;
pub use key::HmacKey;
pub use one::{mac, mac_parts};
pub use path::Path;

/// Bytes of a full HMAC-SHA256 output.
pub const MAC_BYTES: usize = 32;
/// Bytes of a truncated tag: the leading half of the output.
pub const TAG_BYTES: usize = 16;
/// Bytes of one SHA-256 block.
pub const BLOCK_BYTES: usize = 64;
