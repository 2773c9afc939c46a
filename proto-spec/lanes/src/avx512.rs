//! Sixteen lanes on AVX-512F: two transposed AVX2 halves joined in wide registers.

use core::arch::x86_64::*;

use crate::{
    HmacKey, MAC_BYTES, avx2,
    job::Block,
    kernel::Kernel,
    key::SHA256_IV,
    wide::{self, Lanes},
};

cpufeatures::new!(detected, "avx512f", "avx2");

/// Proof that this CPU and its operating system have AVX-512F and AVX2.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512(());

impl Avx512 {
    pub(crate) fn new() -> Option<Self> {
        detected::get().then_some(Self(()))
    }
}

impl Kernel<16> for Avx512 {
    type States = Lanes<16>;

    const BLANK: Lanes<16> = Lanes::ZERO;

    fn load(self, states: &mut Lanes<16>, keys: &[&HmacKey; 16]) {
        // SAFETY: a value of this type exists only where AVX-512F and AVX2 were detected.
        unsafe { load(keys, states) }
    }

    fn absorb(self, states: &mut Lanes<16>, blocks: &[Block; 16]) {
        // SAFETY: a value of this type exists only where AVX-512F and AVX2 were detected.
        unsafe { absorb(states, blocks) }
    }

    fn restore(states: &mut Lanes<16>, earlier: &Lanes<16>, lane: usize) {
        states.restore(earlier, lane);
    }

    fn finish(self, states: &mut Lanes<16>) {
        // SAFETY: a value of this type exists only where AVX-512F and AVX2 were detected.
        unsafe { finish(states) }
    }

    fn write_macs(self, states: &Lanes<16>, out: &mut [[u8; MAC_BYTES]; 16]) {
        // SAFETY: a value of this type exists only where AVX-512F and AVX2 were detected.
        unsafe { write_macs(states, out) }
    }

    fn write_keys(self, states: &Lanes<16>, out: &mut [HmacKey; 16]) {
        // SAFETY: a value of this type exists only where AVX-512F and AVX2 were detected.
        unsafe { write_keys(states, out) }
    }
}

#[target_feature(enable = "avx512f,avx2")]
fn load(keys: &[&HmacKey; 16], lanes: &mut Lanes<16>) {
    let (low, high) = halves(keys);
    let inner = |keys: &[&HmacKey; 8]| avx2::transpose(keys.map(|key| avx2::read(&key.inner)));
    let outer = |keys: &[&HmacKey; 8]| avx2::transpose(keys.map(|key| avx2::read(&key.outer)));
    write_all(&mut lanes.inner, inner(low), inner(high));
    write_all(&mut lanes.outer, outer(low), outer(high));
}

#[target_feature(enable = "avx512f,avx2")]
fn absorb(lanes: &mut Lanes<16>, blocks: &[Block; 16]) {
    let (low, high) = halves(blocks);
    let (low, high) = (avx2::block_words(low), avx2::block_words(high));
    let mut words = [_mm512_setzero_si512(); 16];
    for half in 0..2 {
        for at in 0..8 {
            words[half * 8 + at] = join(low[half][at], high[half][at]);
        }
    }
    // SAFETY: this function enables the instructions of the word type.
    unsafe { wide::absorb::<16, __m512i>(&mut lanes.inner, words) }
}

#[target_feature(enable = "avx512f,avx2")]
fn finish(lanes: &mut Lanes<16>) {
    // SAFETY: this function enables the instructions of the word type.
    unsafe { wide::finish::<16, __m512i>(lanes) }
}

#[target_feature(enable = "avx512f,avx2")]
fn write_macs(lanes: &Lanes<16>, out: &mut [[u8; MAC_BYTES]; 16]) {
    let (first, second) = halves_mut(out);
    let rows = lanes.inner.each_ref().map(halves);
    avx2::write_macs(rows.map(|(low, _)| avx2::read(low)), first);
    avx2::write_macs(rows.map(|(_, high)| avx2::read(high)), second);
}

#[target_feature(enable = "avx512f,avx2")]
fn write_keys(lanes: &Lanes<16>, out: &mut [HmacKey; 16]) {
    // SAFETY: this function enables the instructions of the word type.
    let [inner, outer] = unsafe { wide::key_midstates::<16, __m512i>(lanes, &SHA256_IV) };
    let (inner, outer) = (split(inner), split(outer));
    let (first, second) = halves_mut(out);
    for (keys, inner, outer) in [(first, inner.0, outer.0), (second, inner.1, outer.1)] {
        let rows = avx2::transpose(inner).into_iter().zip(avx2::transpose(outer));
        for (key, (inner, outer)) in keys.iter_mut().zip(rows) {
            avx2::write(&mut key.inner, inner);
            avx2::write(&mut key.outer, outer);
        }
    }
}

fn halves<T>(lanes: &[T; 16]) -> (&[T; 8], &[T; 8]) {
    let (pairs, _) = lanes.as_chunks::<8>();
    (&pairs[0], &pairs[1])
}

fn halves_mut<T>(lanes: &mut [T; 16]) -> (&mut [T; 8], &mut [T; 8]) {
    let (low, high) = lanes.split_at_mut(8);
    (low.try_into().expect("eight of sixteen"), high.try_into().expect("eight of sixteen"))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn join(low: __m256i, high: __m256i) -> __m512i {
    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn split(words: [__m512i; 8]) -> ([__m256i; 8], [__m256i; 8]) {
    (words.map(|word| _mm512_castsi512_si256(word)), words.map(|word| _mm512_extracti64x4_epi64::<1>(word)))
}

#[target_feature(enable = "avx512f,avx2")]
#[inline]
fn write_all(to: &mut [[u32; 16]; 8], low: [__m256i; 8], high: [__m256i; 8]) {
    for (to, (low, high)) in to.iter_mut().zip(low.into_iter().zip(high)) {
        let (first, second) = halves_mut(to);
        avx2::write(first, low);
        avx2::write(second, high);
    }
}
