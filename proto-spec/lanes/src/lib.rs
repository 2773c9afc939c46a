//! HMAC-SHA256 over many independent messages at once.
//!
//! A key is kept as its two *midstates* (the SHA-256 chaining values after the inner and the outer
//! pad block), so a short message costs two compressions. Nothing here knows MVT.
#![no_std]
#![deny(unsafe_code)]

mod engine;
mod plan;
mod dispatch;
mod rung;
mod group;
mod portable;
mod kernel;
mod job;
mod one;
mod key;
mod path;

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
