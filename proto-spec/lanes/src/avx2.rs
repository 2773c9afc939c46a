//! Eight lanes on AVX2.

use core::arch::x86_64::*;

use crate::{
    HmacKey, MAC_BYTES,
    job::Block,
    kernel::Kernel,
    key::SHA256_IV,
    wide::{self, Lanes},
};

cpufeatures::new!(detected, "avx2");

/// Proof that this CPU and its operating system have AVX2.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn new() -> Option<Self> {
        detected::get().then_some(Self(()))
    }
}

impl Kernel<8> for Avx2 {
    type States = Lanes<8>;

    const BLANK: Lanes<8> = Lanes::ZERO;

    fn load(self, states: &mut Lanes<8>, keys: &[&HmacKey; 8]) {
        // SAFETY: a value of this type exists only where AVX2 was detected.
        unsafe { load(keys, states) }
    }

    fn absorb(self, states: &mut Lanes<8>, blocks: &[Block; 8]) {
        // SAFETY: a value of this type exists only where AVX2 was detected.
        unsafe { absorb(states, blocks) }
    }

    fn restore(states: &mut Lanes<8>, earlier: &Lanes<8>, lane: usize) {
        states.restore(earlier, lane);
    }

    fn finish(self, states: &mut Lanes<8>) {
        // SAFETY: a value of this type exists only where AVX2 was detected.
        unsafe { finish(states) }
    }

    fn write_macs(self, states: &Lanes<8>, out: &mut [[u8; MAC_BYTES]; 8]) {
        // SAFETY: a value of this type exists only where AVX2 was detected.
        unsafe { write_macs(read_all(&states.inner), out) }
    }

    fn write_keys(self, states: &Lanes<8>, out: &mut [HmacKey; 8]) {
        // SAFETY: a value of this type exists only where AVX2 was detected.
        unsafe { write_keys(states, out) }
    }
}

#[target_feature(enable = "avx2")]
fn load(keys: &[&HmacKey; 8], lanes: &mut Lanes<8>) {
    write_all(&mut lanes.inner, transpose(keys.map(|key| read(&key.inner))));
    write_all(&mut lanes.outer, transpose(keys.map(|key| read(&key.outer))));
}

#[target_feature(enable = "avx2")]
fn absorb(lanes: &mut Lanes<8>, blocks: &[Block; 8]) {
    let [low, high] = block_words(blocks);
    let mut words = [_mm256_setzero_si256(); 16];
    words[..8].copy_from_slice(&low);
    words[8..].copy_from_slice(&high);
    // SAFETY: this function enables the instructions of the word type.
    unsafe { wide::absorb::<8, __m256i>(&mut lanes.inner, words) }
}

#[target_feature(enable = "avx2")]
fn finish(lanes: &mut Lanes<8>) {
    // SAFETY: this function enables the instructions of the word type.
    unsafe { wide::finish::<8, __m256i>(lanes) }
}

#[target_feature(enable = "avx2")]
fn write_keys(lanes: &Lanes<8>, out: &mut [HmacKey; 8]) {
    // SAFETY: this function enables the instructions of the word type.
    let [inner, outer] = unsafe { wide::key_midstates::<8, __m256i>(lanes, &SHA256_IV) };
    let rows = transpose(inner).into_iter().zip(transpose(outer));
    for (key, (inner, outer)) in out.iter_mut().zip(rows) {
        write(&mut key.inner, inner);
        write(&mut key.outer, outer);
    }
}

/// The sixteen big-endian words of eight blocks, word by word across the lanes, in two halves.
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn block_words(blocks: &[Block; 8]) -> [[__m256i; 8]; 2] {
    let mut halves = [[_mm256_setzero_si256(); 8]; 2];
    for (half, rows) in halves.iter_mut().enumerate() {
        for (row, block) in rows.iter_mut().zip(blocks) {
            let at = block.0[half * 32..].as_ptr().cast();
            // SAFETY: `half` is 0 or 1, so 32 bytes follow within the 64 of the block; no alignment is needed.
            *row = swap_bytes(unsafe { _mm256_loadu_si256(at) });
        }
        *rows = transpose(*rows);
    }
    halves
}

/// Eight words across eight lanes, written as one big-endian output for each lane.
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn write_macs(words: [__m256i; 8], out: &mut [[u8; MAC_BYTES]; 8]) {
    for (row, out) in transpose(words).into_iter().zip(out) {
        // SAFETY: `out` is 32 bytes; no alignment is needed.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), swap_bytes(row)) };
    }
}

/// Rows to columns of an 8 x 8 square of words; its own inverse.
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn transpose(rows: [__m256i; 8]) -> [__m256i; 8] {
    let [a, b, c, d, e, f, g, h] = rows;
    let (ab0, ab1) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    let (cd0, cd1) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    let (ef0, ef1) = (_mm256_unpacklo_epi32(e, f), _mm256_unpackhi_epi32(e, f));
    let (gh0, gh1) = (_mm256_unpacklo_epi32(g, h), _mm256_unpackhi_epi32(g, h));
    let (low0, low1) = (_mm256_unpacklo_epi64(ab0, cd0), _mm256_unpackhi_epi64(ab0, cd0));
    let (low2, low3) = (_mm256_unpacklo_epi64(ab1, cd1), _mm256_unpackhi_epi64(ab1, cd1));
    let (high0, high1) = (_mm256_unpacklo_epi64(ef0, gh0), _mm256_unpackhi_epi64(ef0, gh0));
    let (high2, high3) = (_mm256_unpacklo_epi64(ef1, gh1), _mm256_unpackhi_epi64(ef1, gh1));
    [
        _mm256_permute2x128_si256::<0x20>(low0, high0),
        _mm256_permute2x128_si256::<0x20>(low1, high1),
        _mm256_permute2x128_si256::<0x20>(low2, high2),
        _mm256_permute2x128_si256::<0x20>(low3, high3),
        _mm256_permute2x128_si256::<0x31>(low0, high0),
        _mm256_permute2x128_si256::<0x31>(low1, high1),
        _mm256_permute2x128_si256::<0x31>(low2, high2),
        _mm256_permute2x128_si256::<0x31>(low3, high3),
    ]
}

#[target_feature(enable = "avx2")]
#[inline]
fn swap_bytes(words: __m256i) -> __m256i {
    let order = _mm256_set_epi64x(
        0x0c0d_0e0f_0809_0a0b,
        0x0405_0607_0001_0203,
        0x0c0d_0e0f_0809_0a0b,
        0x0405_0607_0001_0203,
    );
    _mm256_shuffle_epi8(words, order)
}

#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn read(from: &[u32; 8]) -> __m256i {
    // SAFETY: `from` is 32 bytes; no alignment is needed.
    unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn write(to: &mut [u32; 8], words: __m256i) {
    // SAFETY: `to` is 32 bytes; no alignment is needed.
    unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), words) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn read_all(from: &[[u32; 8]; 8]) -> [__m256i; 8] {
    from.each_ref().map(|word| read(word))
}

#[target_feature(enable = "avx2")]
#[inline]
fn write_all(to: &mut [[u32; 8]; 8], words: [__m256i; 8]) {
    for (to, words) in to.iter_mut().zip(words) {
        write(to, words);
    }
}
