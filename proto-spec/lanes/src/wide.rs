//! SHA-256 rounds over a vector of lanes, for any vector width.

use zeroize::Zeroize;

/// SHA-256 round constants (FIPS 180-4, 4.2.2).
#[rustfmt::skip]
pub(crate) const K: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

/// One 32-bit word of every lane.
///
/// # Safety
/// Every method may be called only where the instructions of the implementing type exist. All are inlined
/// into a function that enables them; outside of one they would be slow, not wrong.
pub(crate) trait Word<const L: usize>: Copy {
    unsafe fn splat(word: u32) -> Self;
    unsafe fn read(from: &[u32; L]) -> Self;
    unsafe fn write(self, to: &mut [u32; L]);
    unsafe fn plus(self, other: Self) -> Self;
    unsafe fn xor(self, other: Self) -> Self;
    unsafe fn xor3(self, b: Self, c: Self) -> Self;
    /// Bits of `self` choose between `f` and `g`.
    unsafe fn choose(self, f: Self, g: Self) -> Self;
    unsafe fn majority(self, b: Self, c: Self) -> Self;
    /// Right rotation by `RIGHT`, where `LEFT` is `32 - RIGHT`.
    unsafe fn rotate<const RIGHT: i32, const LEFT: i32>(self) -> Self;
    unsafe fn shift3(self) -> Self;
    unsafe fn shift10(self) -> Self;
}

/// Inner and outer chaining values of `L` lanes, word by word across the lanes.
#[derive(Clone)]
#[repr(C, align(64))]
pub(crate) struct Lanes<const L: usize> {
    pub(crate) inner: [[u32; L]; 8],
    pub(crate) outer: [[u32; L]; 8],
}

impl<const L: usize> Lanes<L> {
    pub(crate) const ZERO: Self = Self { inner: [[0; L]; 8], outer: [[0; L]; 8] };

    pub(crate) fn restore(&mut self, earlier: &Self, lane: usize) {
        for (word, earlier) in self.inner.iter_mut().zip(&earlier.inner) {
            word[lane] = earlier[lane];
        }
    }
}

impl<const L: usize> Zeroize for Lanes<L> {
    fn zeroize(&mut self) {
        self.inner.as_flattened_mut().zeroize();
        self.outer.as_flattened_mut().zeroize();
    }
}

/// Compresses one block of every lane into `chain`.
///
/// # Safety
/// The CPU must have the instructions of `W`.
#[inline(always)]
pub(crate) unsafe fn absorb<const L: usize, W: Word<L>>(chain: &mut [[u32; L]; 8], mut words: [W; 16]) {
    // SAFETY: the caller's promise covers every use of `W`.
    unsafe {
        let before = read_all::<L, W>(chain);
        let after = compress(before, &mut words);
        write_all(chain, after);
    }
}

/// Ends HMAC: the inner result is the one block of the outer hash, whose result takes its place.
///
/// # Safety
/// The CPU must have the instructions of `W`.
#[inline(always)]
pub(crate) unsafe fn finish<const L: usize, W: Word<L>>(lanes: &mut Lanes<L>) {
    // SAFETY: the caller's promise covers every use of `W`.
    unsafe {
        let [a, b, c, d, e, f, g, h] = read_all::<L, W>(&lanes.inner);
        let zero = W::splat(0);
        // 32 bytes of message after 64 bytes of pad: 768 bits (FIPS 180-4, 5.1.1).
        let mut words =
            [a, b, c, d, e, f, g, h, W::splat(1 << 31), zero, zero, zero, zero, zero, zero, W::splat(768)];
        let after = compress(read_all(&lanes.outer), &mut words);
        write_all(&mut lanes.inner, after);
    }
}

/// The midstates of an HMAC keyed by what [`finish`] left (RFC 2104): inner words, then outer words.
///
/// # Safety
/// The CPU must have the instructions of `W`.
#[inline(always)]
pub(crate) unsafe fn key_midstates<const L: usize, W: Word<L>>(
    lanes: &Lanes<L>,
    iv: &[u32; 8],
) -> [[W; 8]; 2] {
    // SAFETY: the caller's promise covers every use of `W`.
    unsafe {
        let key: [W; 8] = read_all(&lanes.inner);
        let mut start = [W::splat(0); 8];
        for (to, &word) in start.iter_mut().zip(iv) {
            *to = W::splat(word);
        }
        let mut midstates = [start; 2];
        for (midstate, pad) in midstates.iter_mut().zip([0x3636_3636, 0x5c5c_5c5c]) {
            let mut words = [W::splat(pad); 16];
            for (word, key) in words.iter_mut().zip(key) {
                *word = word.xor(key);
            }
            *midstate = compress(start, &mut words);
        }
        midstates
    }
}

#[inline(always)]
unsafe fn read_all<const L: usize, W: Word<L>>(words: &[[u32; L]; 8]) -> [W; 8] {
    let [a, b, c, d, e, f, g, h] = words;
    // SAFETY: the caller's promise covers every use of `W`.
    unsafe {
        [W::read(a), W::read(b), W::read(c), W::read(d), W::read(e), W::read(f), W::read(g), W::read(h)]
    }
}

#[inline(always)]
unsafe fn write_all<const L: usize, W: Word<L>>(to: &mut [[u32; L]; 8], words: [W; 8]) {
    for (to, word) in to.iter_mut().zip(words) {
        // SAFETY: the caller's promise covers every use of `W`.
        unsafe { word.write(to) };
    }
}

/// The compression function of SHA-256 (FIPS 180-4, 6.2.2) in every lane.
#[inline(always)]
unsafe fn compress<const L: usize, W: Word<L>>(before: [W; 8], words: &mut [W; 16]) -> [W; 8] {
    let mut state = before;
    // SAFETY: the caller's promise covers every use of `W`.
    unsafe {
        eight_rounds::<L, W, 0, false>(&mut state, words, &K[..16]);
        eight_rounds::<L, W, 8, false>(&mut state, words, &K[..16]);
        for constants in K[16..].chunks_exact(16) {
            eight_rounds::<L, W, 0, true>(&mut state, words, constants);
            eight_rounds::<L, W, 8, true>(&mut state, words, constants);
        }
        for (word, before) in state.iter_mut().zip(before) {
            *word = word.plus(before);
        }
    }
    state
}

/// Eight rounds, after which every variable is back in its place; `SCHEDULE` makes the word of each first, so that the rotations of
/// both, the scarcest instructions, come evenly.
#[inline(always)]
unsafe fn eight_rounds<const L: usize, W: Word<L>, const AT: usize, const SCHEDULE: bool>(
    state: &mut [W; 8],
    words: &mut [W; 16],
    constants: &[u32],
) {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    // SAFETY: the caller's promise covers every use of `W`.
    unsafe {
        round(a, b, c, &mut d, e, f, g, &mut h, next::<L, W, SCHEDULE>(words, constants, AT));
        round(h, a, b, &mut c, d, e, f, &mut g, next::<L, W, SCHEDULE>(words, constants, AT + 1));
        round(g, h, a, &mut b, c, d, e, &mut f, next::<L, W, SCHEDULE>(words, constants, AT + 2));
        round(f, g, h, &mut a, b, c, d, &mut e, next::<L, W, SCHEDULE>(words, constants, AT + 3));
        round(e, f, g, &mut h, a, b, c, &mut d, next::<L, W, SCHEDULE>(words, constants, AT + 4));
        round(d, e, f, &mut g, h, a, b, &mut c, next::<L, W, SCHEDULE>(words, constants, AT + 5));
        round(c, d, e, &mut f, g, h, a, &mut b, next::<L, W, SCHEDULE>(words, constants, AT + 6));
        round(b, c, d, &mut e, f, g, h, &mut a, next::<L, W, SCHEDULE>(words, constants, AT + 7));
    }
    *state = [a, b, c, d, e, f, g, h];
}

/// One round; the two variables that change are passed by reference and rotate at the call.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the eight working variables have standard names")]
unsafe fn round<const L: usize, W: Word<L>>(a: W, b: W, c: W, d: &mut W, e: W, f: W, g: W, h: &mut W, t: W) {
    // SAFETY: the caller's promise covers every use of `W`.
    unsafe {
        let sum1 = e.rotate::<6, 26>().xor3(e.rotate::<11, 21>(), e.rotate::<25, 7>());
        let t1 = h.plus(t).plus(e.choose(f, g)).plus(sum1);
        let sum0 = a.rotate::<2, 30>().xor3(a.rotate::<13, 19>(), a.rotate::<22, 10>());
        *d = d.plus(t1);
        *h = t1.plus(sum0).plus(a.majority(b, c));
    }
}

/// Word `at` of the window with its constant.
#[inline(always)]
unsafe fn next<const L: usize, W: Word<L>, const SCHEDULE: bool>(
    words: &mut [W; 16],
    constants: &[u32],
    at: usize,
) -> W {
    // SAFETY: the caller's promise covers every use of `W`.
    unsafe {
        if SCHEDULE {
            schedule::<L, W>(words, at);
        }
        words[at].plus(W::splat(constants[at]))
    }
}

/// Replaces word `at` of the window by the one sixteen later.
#[inline(always)]
unsafe fn schedule<const L: usize, W: Word<L>>(words: &mut [W; 16], at: usize) {
    let (w1, w9, w14) = (words[(at + 1) & 15], words[(at + 9) & 15], words[(at + 14) & 15]);
    // SAFETY: the caller's promise covers every use of `W`.
    unsafe {
        let sigma0 = w1.rotate::<7, 25>().xor3(w1.rotate::<18, 14>(), w1.shift3());
        let sigma1 = w14.rotate::<17, 15>().xor3(w14.rotate::<19, 13>(), w14.shift10());
        words[at] = words[at].plus(w9).plus(sigma0).plus(sigma1);
    }
}
