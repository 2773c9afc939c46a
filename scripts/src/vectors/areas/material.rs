//! Keys and bytes that vectors are made of: fixed, and each from its name.

use crate::{
    hex::encode,
    reference::{
        frame::{Header, TAG_BYTES},
        hkdf::{array, expand, sha256},
    },
};

/// A key id of node slot 7, shard 3.
pub(super) const KEY_ID: u64 = 0x0007_03a1_b2c3_d4e5;
/// The origin of every scripted session: a server time.
pub(super) const ORIGIN: u64 = 1_900_000_000_000;

/// Bytes that depend on nothing but their name.
pub(super) fn bytes(name: &str, count: usize) -> Vec<u8> {
    expand(&sha256(b"mvt1 vectors"), name.as_bytes(), count)
}

/// [`bytes`] of one key.
pub(super) fn key(name: &str) -> [u8; 32] {
    array(&bytes(name, 32))
}

/// A key id as vectors write it.
pub(super) fn key_id(key_id: u64) -> String {
    encode(&key_id.to_be_bytes())
}

/// A frame with any tag, for operations that do not open it.
pub(super) fn frame(header: Header, payload: &[u8]) -> Vec<u8> {
    [header.encode(payload.len()).as_slice(), payload, &bytes("tag", TAG_BYTES)].concat()
}

/// A request header with every field in use.
pub(super) fn request_header() -> Header {
    Header {
        key_id: KEY_ID,
        generation: 2,
        op: 0x0102,
        counter: 0x0000_0304_0506,
        timestamp: ORIGIN + 70_000,
        ..Header::of("REQ")
    }
}

/// `bytes` with bit `bit` of byte `at` turned.
pub(super) fn flip(bytes: &[u8], at: usize, bit: u8) -> Vec<u8> {
    let mut out = bytes.to_vec();
    out[at] ^= 1 << bit;
    out
}

/// `frame` without its last `count` bytes, its length field made to fit.
pub(super) fn cut_end(frame: &[u8], count: usize) -> Vec<u8> {
    let mut out = frame[..frame.len() - count].to_vec();
    let length = (out.len() - 2) as u16;
    out[..2].copy_from_slice(&length.to_be_bytes());
    out
}

/// Public keys of low order (RFC 7748 §6.1; a shared secret with one is all zero), the non-canonical among them.
pub(super) const LOW_ORDER: [&str; 9] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];
