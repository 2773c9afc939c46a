//! Two independent libraries, pseudo-random bytes, and the engines this CPU can run.
#![allow(dead_code, reason = "each test file uses its part")]

use hmac::{Hmac, KeyInit, Mac};
use mvt_lanes::{Engine, HmacKey, Path};

/// Bytes from a seed (xorshift); a failure prints the seed.
pub(crate) struct Bytes(u64);

impl Bytes {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.next() as usize % bound
    }

    pub(crate) fn vec(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next() as u8)
    }
}

/// The engine of every path of this CPU; says which are missing.
pub(crate) fn engines() -> Vec<Engine> {
    let (have, lack): (Vec<Path>, Vec<Path>) =
        Path::ALL.into_iter().partition(|&path| Engine::forced(path).is_some());
    for path in lack {
        eprintln!("SKIPPED: this CPU has no {path}; that path was compiled but not run");
    }
    have.into_iter().map(|path| Engine::forced(path).unwrap()).collect()
}

pub(crate) fn ring(key: &[u8], message: &[u8]) -> [u8; 32] {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
    ring::hmac::sign(&key, message).as_ref().try_into().unwrap()
}

pub(crate) fn rustcrypto(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Raw keys with their midstates.
pub(crate) fn keys(bytes: &mut Bytes, count: usize) -> (Vec<[u8; 32]>, Vec<HmacKey>) {
    let raw: Vec<[u8; 32]> = (0..count).map(|_| bytes.array()).collect();
    let keys = raw.iter().map(|key| HmacKey::new(key)).collect();
    (raw, keys)
}
