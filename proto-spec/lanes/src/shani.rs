//! One stream, or two interleaved, on the SHA extensions of x86.
//!
//! `sha256rnds2` waits four cycles for itself but can start every two (Zen 3): one stream leaves the unit half idle,
//! two fill it. Three or four run out of the sixteen registers and were slower; on Zen 4, where it can start in each, no faster.

use core::arch::x86_64::*;

use zeroize::Zeroize;

use crate::{HmacKey, MAC_BYTES, job::Block, kernel::Kernel, key::SHA256_IV, wide::K};

cpufeatures::new!(detected, "sha", "sse4.1", "ssse3");

/// Proof that this CPU has the SHA extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShaNi(());

impl ShaNi {
    pub(crate) fn new() -> Option<Self> {
        detected::get().then_some(Self(()))
    }
}

/// Chaining values in the order of the instructions: words f e b a, then h g d c, lowest first.
type Chain = [[u32; 4]; 2];

/// Running inner and waiting outer chaining values of `N` streams.
#[derive(Clone)]
#[repr(C, align(16))]
pub(crate) struct Streams<const N: usize> {
    inner: [Chain; N],
    outer: [Chain; N],
}

impl<const N: usize> Zeroize for Streams<N> {
    fn zeroize(&mut self) {
        self.inner.as_flattened_mut().as_flattened_mut().zeroize();
        self.outer.as_flattened_mut().as_flattened_mut().zeroize();
    }
}

impl<const N: usize> Kernel<N> for ShaNi {
    type States = Streams<N>;

    const BLANK: Streams<N> = Streams { inner: [[[0; 4]; 2]; N], outer: [[[0; 4]; 2]; N] };

    fn load(self, states: &mut Streams<N>, keys: &[&HmacKey; N]) {
        // SAFETY: a value of this type exists only where the SHA extensions were detected.
        unsafe { load(keys, states) }
    }

    fn absorb(self, states: &mut Streams<N>, blocks: &[Block; N]) {
        // SAFETY: a value of this type exists only where the SHA extensions were detected.
        unsafe { absorb(&mut states.inner, blocks) }
    }

    fn restore(states: &mut Streams<N>, earlier: &Streams<N>, lane: usize) {
        states.inner[lane] = earlier.inner[lane];
    }

    fn finish(self, states: &mut Streams<N>) {
        // SAFETY: a value of this type exists only where the SHA extensions were detected.
        unsafe { finish(states) }
    }

    fn write_macs(self, states: &Streams<N>, out: &mut [[u8; MAC_BYTES]; N]) {
        // SAFETY: a value of this type exists only where the SHA extensions were detected.
        unsafe { write_macs(states, out) }
    }

    fn write_keys(self, states: &Streams<N>, out: &mut [HmacKey; N]) {
        // SAFETY: a value of this type exists only where the SHA extensions were detected.
        unsafe { write_keys(states, out) }
    }
}

/// The compression function of SHA-256 in every stream: states before and words of `N` streams to states after.
///
/// A macro, because a function with `target_feature` cannot be `inline(always)`. Whether it is inlined is then decided anew in each
/// binary, and where it was not its arrays went through memory: a request took a third longer.
macro_rules! compress {
    ($before:expr, $words:expr) => {{
        let (before, mut words) = ($before, $words);
        let mut states = before;
        four_rounds!(states, words, &K[..4], 0, false);
        four_rounds!(states, words, &K[4..8], 1, false);
        four_rounds!(states, words, &K[8..12], 2, false);
        four_rounds!(states, words, &K[12..16], 3, false);
        for constants in K[16..].chunks_exact(16) {
            four_rounds!(states, words, &constants[..4], 0, true);
            four_rounds!(states, words, &constants[4..8], 1, true);
            four_rounds!(states, words, &constants[8..12], 2, true);
            four_rounds!(states, words, &constants[12..], 3, true);
        }
        for (state, before) in states.iter_mut().zip(before) {
            *state = [_mm_add_epi32(state[0], before[0]), _mm_add_epi32(state[1], before[1])];
        }
        states
    }};
}

/// Four rounds on window position `$at`; `$schedule` makes its four words first.
macro_rules! four_rounds {
    ($states:ident, $words:ident, $constants:expr, $at:literal, $schedule:literal) => {
        let k: &[u32] = $constants;
        let [k0, k1, k2, k3] = [k[0], k[1], k[2], k[3]].map(u32::cast_signed);
        let constants = _mm_set_epi32(k3, k2, k1, k0);
        for ([abef, cdgh], words) in $states.iter_mut().zip(&mut $words) {
            if $schedule {
                let [w1, w2, w3] = [words[($at + 1) % 4], words[($at + 2) % 4], words[($at + 3) % 4]];
                let sum = _mm_add_epi32(_mm_sha256msg1_epu32(words[$at], w1), _mm_alignr_epi8::<4>(w3, w2));
                words[$at] = _mm_sha256msg2_epu32(sum, w3);
            }
            let sum = _mm_add_epi32(words[$at], constants);
            *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, sum);
            *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32::<0x0e>(sum));
        }
    };
}

/// The two state registers of one stream: `abef` and `cdgh`.
type State = [__m128i; 2];

#[target_feature(enable = "sse4.1,ssse3")]
#[inline]
fn load<const N: usize>(keys: &[&HmacKey; N], streams: &mut Streams<N>) {
    for (lane, key) in keys.iter().enumerate() {
        streams.inner[lane] = written(read_words(&key.inner));
        streams.outer[lane] = written(read_words(&key.outer));
    }
}

#[target_feature(enable = "sha,sse4.1,ssse3")]
fn absorb<const N: usize>(chains: &mut [Chain; N], blocks: &[Block; N]) {
    let mut words = [[_mm_setzero_si128(); 4]; N];
    for (words, block) in words.iter_mut().zip(blocks) {
        for (word, bytes) in words.iter_mut().zip(block.0.as_chunks::<16>().0) {
            // SAFETY: `bytes` is 16 bytes; no alignment is needed.
            *word = swap_bytes(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) });
        }
    }
    write_all(chains, compress!(read_all(chains), words));
}

/// The outer hash of every stream, in the place of the inner one.
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn finish<const N: usize>(streams: &mut Streams<N>) {
    // 0x80 after 32 bytes of message, then a length of 96 bytes in bits (FIPS 180-4, 5.1.1).
    let (end, length) = (_mm_set_epi32(0, 0, 0, i32::MIN), _mm_set_epi32(768, 0, 0, 0));
    let words = read_all(&streams.inner).map(|state| {
        let [low, high] = in_order(state);
        [low, high, end, length]
    });
    write_all(&mut streams.inner, compress!(read_all(&streams.outer), words));
}

#[target_feature(enable = "sse4.1,ssse3")]
fn write_macs<const N: usize>(streams: &Streams<N>, out: &mut [[u8; MAC_BYTES]; N]) {
    for (state, out) in read_all(&streams.inner).into_iter().zip(out) {
        for (words, bytes) in in_order(state).into_iter().zip(out.as_chunks_mut::<16>().0) {
            // SAFETY: `bytes` is 16 bytes; no alignment is needed.
            unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), swap_bytes(words)) };
        }
    }
}

#[target_feature(enable = "sha,sse4.1,ssse3")]
fn write_keys<const N: usize>(streams: &Streams<N>, out: &mut [HmacKey; N]) {
    let keys = read_all(&streams.inner);
    let start = [read_words(&SHA256_IV); N];
    let mut midstates = [start; 2];
    for (midstate, pad) in midstates.iter_mut().zip([0x3636_3636, 0x5c5c_5c5c]) {
        let pad = _mm_set1_epi32(pad);
        let mut words = [[pad; 4]; N];
        for (words, state) in words.iter_mut().zip(keys) {
            let [low, high] = in_order(state);
            (words[0], words[1]) = (_mm_xor_si128(low, pad), _mm_xor_si128(high, pad));
        }
        *midstate = compress!(start, words);
    }
    for (lane, key) in out.iter_mut().enumerate() {
        write_words(&mut key.inner, midstates[0][lane]);
        write_words(&mut key.outer, midstates[1][lane]);
    }
}

/// From the order of the instructions to words a to d and e to h.
#[target_feature(enable = "sse4.1,ssse3")]
#[inline]
fn in_order([abef, cdgh]: State) -> State {
    let (feba, dchg) = (_mm_shuffle_epi32::<0x1b>(abef), _mm_shuffle_epi32::<0xb1>(cdgh));
    [_mm_blend_epi16::<0xf0>(feba, dchg), _mm_alignr_epi8::<8>(dchg, feba)]
}

/// From eight words in order to the order of the instructions.
#[target_feature(enable = "sse4.1,ssse3")]
#[inline]
fn read_words(words: &[u32; 8]) -> State {
    let (low, high) = words.split_at(4);
    // SAFETY: each half is 16 bytes; no alignment is needed.
    let (dcba, hgfe) =
        unsafe { (_mm_loadu_si128(low.as_ptr().cast()), _mm_loadu_si128(high.as_ptr().cast())) };
    let (cdab, efgh) = (_mm_shuffle_epi32::<0xb1>(dcba), _mm_shuffle_epi32::<0x1b>(hgfe));
    [_mm_alignr_epi8::<8>(cdab, efgh), _mm_blend_epi16::<0xf0>(efgh, cdab)]
}

#[target_feature(enable = "ssse3")]
#[inline]
fn swap_bytes(words: __m128i) -> __m128i {
    _mm_shuffle_epi8(words, _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203))
}

#[target_feature(enable = "sse4.1,ssse3")]
#[inline]
fn write_words(to: &mut [u32; 8], state: State) {
    for (to, words) in to.as_chunks_mut::<4>().0.iter_mut().zip(in_order(state)) {
        // SAFETY: `to` is 16 bytes; no alignment is needed.
        unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), words) };
    }
}

#[target_feature(enable = "sse4.1")]
#[inline]
fn read_all<const N: usize>(chains: &[Chain; N]) -> [State; N] {
    let mut states = [[_mm_setzero_si128(); 2]; N];
    for (state, chain) in states.iter_mut().zip(chains) {
        *state = read(chain);
    }
    states
}

#[target_feature(enable = "sse4.1")]
#[inline]
fn write_all<const N: usize>(chains: &mut [Chain; N], states: [State; N]) {
    for (chain, state) in chains.iter_mut().zip(states) {
        *chain = written(state);
    }
}

#[target_feature(enable = "sse2")]
#[inline]
fn written(state: State) -> Chain {
    let mut chain = [[0; 4]; 2];
    for (to, from) in chain.iter_mut().zip(state) {
        // SAFETY: `to` is 16 bytes; no alignment is needed.
        unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), from) };
    }
    chain
}

#[target_feature(enable = "sse2")]
#[inline]
fn read(chain: &Chain) -> State {
    // SAFETY: each half is 16 bytes; no alignment is needed.
    chain.each_ref().map(|half| unsafe { _mm_loadu_si128(half.as_ptr().cast()) })
}
