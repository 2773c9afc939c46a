//! HMAC-SHA256 over many independent messages at once.
//!
//! A server that gives every request its own key cannot speed up one HMAC, but it has many in hand. This
//! crate runs them side by side, each lane with its own key and its own message. Nothing here knows MVT.
//!
//! A key is kept as its two *midstates* (the SHA-256 chaining values after the inner and the outer pad
//! block), so a message of at most 55 bytes costs two compressions, and a derived key four.
//!
//! ```
//! use mvt_lanes::{Engine, HmacKey, Job};
//!
//! let engine = Engine::detect();
//! let base = [HmacKey::new(b"key of the first session"), HmacKey::new(b"key of the second")];
//!
//! // A key for each request, from its counter.
//! let mut request_keys = [HmacKey::blank(), HmacKey::blank()];
//! engine.derive(&[&base[0], &base[1]], &[[0, 7], [0, 9]], &mut request_keys);
//!
//! // A tag under each, in the caller's order whatever the lengths.
//! let jobs = [Job::new(&request_keys[0], b"GET /a"), Job::joined(&request_keys[1], b"PUT /b ", &[0x5a; 300])];
//! let mut macs = [[0; 32]; 2];
//! engine.mac(&jobs, &mut macs);
//!
//! // What arrives is checked against 128 bits of it, in constant time.
//! let mut tags = macs.map(|mac| *mac.first_chunk::<16>().unwrap());
//! tags[1][15] ^= 1;
//! let mut ok = [false; 2];
//! engine.verify(&jobs, &tags, &mut ok);
//! assert_eq!(ok, [true, false]);
//! ```
//!
//! # Paths
//!
//! | path | lanes | needs | chosen |
//! |---|---|---|---|
//! | [`Path::ShaNi`] | 2, interleaved | SHA, SSE4.1 | first |
//! | [`Path::Avx512`] | 16 | AVX-512F, AVX2 | second |
//! | [`Path::Avx2`] | 8 | AVX2 | third |
//! | [`Path::Portable`] | 1 | nothing; `sha2` finds ARM and x86 instructions itself | last |
//!
//! [`Engine::detect`] asks CPUID and the operating system and takes the first path that passes a known-answer
//! check in every lane. Interleaved SHA-NI stands first because it was as fast as full groups of sixteen lanes where both
//! were measured (Zen 4; bench `lanes`), and needs no full groups: eight messages took half the time. It is clearly faster than
//! AVX2 (Zen 3 and 4). No CPU whose AVX-512 does more a cycle than Zen 4's was at hand.
//! Without SHA-NI a group that would leave most lanes idle goes to the portable lane: two messages or fewer
//! never ride sixteen lanes, one never rides eight. The tests run every path of the CPU they are on, and say which it lacks.
//!
//! Messages of a batch may differ in length. Those of one block are taken as they come, four groups at a time, each step of
//! one group after that of another, so that none waits for its own results. From the first longer one on, equal block counts share a
//! group; a short message joins a longer group only where idle lanes cost less than a narrower group would.
//!
//! # What is promised
//!
//! * Time depends on lengths, counts and the path: never on keys, contents or tags.
//! * No allocation; at most some 16 KiB of stack.
//! * Wiped: every [`HmacKey`] on drop; chaining values and outputs in the engine's frames after each group.
//!   Not wiped: message blocks (public), and what the compiler spilled from registers inside a compression;
//!   that stack is overwritten by the next group, and a wipe of it would cost more than it protects.
//! * `unsafe` is in the files of the instruction sets only. A kernel is a value that only detection can make.
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
mod self_check;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "SIMD")]
mod shani;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "SIMD")]
mod wide;

pub use engine::{DERIVE_INPUT_BYTES_MAX, Engine};
pub use job::{Claim, Job};
pub use key::HmacKey;
pub use one::{mac, mac_parts};
pub use path::Path;

/// Bytes of a full HMAC-SHA256 output.
pub const MAC_BYTES: usize = 32;
/// Bytes of a truncated tag: the leading half of the output.
pub const TAG_BYTES: usize = 16;
/// Bytes of one SHA-256 block.
pub const BLOCK_BYTES: usize = 64;
