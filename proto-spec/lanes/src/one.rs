//! One message at a time.

use sha2::block_api::compress256;
use zeroize::Zeroize;

use crate::{BLOCK_BYTES, HmacKey, MAC_BYTES};

pub(crate) fn compress(state: &mut [u32; 8], block: &[u8; BLOCK_BYTES]) {
    compress256(state, core::slice::from_ref(block));
}

/// HMAC-SHA256 of `message`.
#[must_use]
pub fn mac(key: &HmacKey, message: &[u8]) -> [u8; MAC_BYTES] {
    mac_parts(key, &[message])
}

/// HMAC-SHA256 of the concatenation of `parts`.
#[must_use]
pub fn mac_parts(key: &HmacKey, parts: &[&[u8]]) -> [u8; MAC_BYTES] {
    let mut state = key.inner;
    let mut block = [0u8; BLOCK_BYTES];
    let mut filled = 0;
    let mut length_bytes = BLOCK_BYTES as u64;
    for part in parts {
        length_bytes += part.len() as u64;
        let mut rest = *part;
        if filled > 0 {
            let take = rest.len().min(BLOCK_BYTES - filled);
            block[filled..filled + take].copy_from_slice(&rest[..take]);
            filled += take;
            rest = &rest[take..];
            if filled < BLOCK_BYTES {
                continue;
            }
            compress(&mut state, &block);
        }
        let (whole, tail) = rest.as_chunks::<BLOCK_BYTES>();
        compress256(&mut state, whole);
        block[..tail.len()].copy_from_slice(tail);
        filled = tail.len();
    }
    finish(&mut state, &mut block, filled, length_bytes);

    let mut outer = key.outer;
    write_words(&state, &mut block);
    finish(&mut outer, &mut block, MAC_BYTES, (BLOCK_BYTES + MAC_BYTES) as u64);
    let mut out = [0u8; MAC_BYTES];
    write_words(&outer, &mut out);
    state.as_mut_slice().zeroize();
    outer.as_mut_slice().zeroize();
    block.as_mut_slice().zeroize();
    out
}

/// Pads `block[..filled]` as the end of a message of `length_bytes` and absorbs it (FIPS 180-4, 5.1.1).
fn finish(state: &mut [u32; 8], block: &mut [u8; BLOCK_BYTES], filled: usize, length_bytes: u64) {
    block[filled] = 0x80;
    block[filled + 1..].fill(0);
    if filled + 1 > BLOCK_BYTES - 8 {
        compress(state, block);
        block.fill(0);
    }
    block[BLOCK_BYTES - 8..].copy_from_slice(&(length_bytes * 8).to_be_bytes());
    compress(state, block);
}

pub(crate) fn write_words(state: &[u32; 8], out: &mut [u8]) {
    for (word, bytes) in state.iter().zip(out.chunks_exact_mut(4)) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::{Hmac, KeyInit, Mac};

    #[test]
    fn equals_rustcrypto_for_every_length_and_split() {
        let message: [u8; 300] = core::array::from_fn(|i| (i * 7 + 3) as u8);
        for key_bytes in [0usize, 1, 32, 63, 64, 65, 200] {
            let key = HmacKey::new(&message[..key_bytes]);
            for length in 0..=300 {
                let mut oracle = Hmac::<sha2::Sha256>::new_from_slice(&message[..key_bytes]).unwrap();
                oracle.update(&message[..length]);
                let expected: [u8; 32] = oracle.finalize().into_bytes().into();
                assert_eq!(mac(&key, &message[..length]), expected, "length {length}");
                let (a, b) = message[..length].split_at(length / 3);
                assert_eq!(mac_parts(&key, &[a, b, &[]]), expected, "split {length}");
            }
        }
    }
}
