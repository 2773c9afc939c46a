//! The word of eight lanes: one AVX2 register.

use core::arch::x86_64::*;

use crate::wide::Word;

// Every function below is called, by the contract of `Word`, only where AVX2 exists.
impl Word<8> for __m256i {
    #[inline(always)]
    unsafe fn splat(word: u32) -> Self {
        // SAFETY: the contract of `Word`.
        unsafe { _mm256_set1_epi32(word.cast_signed()) }
    }

    #[inline(always)]
    unsafe fn read(from: &[u32; 8]) -> Self {
        // SAFETY: the contract of `Word`; `from` is 32 bytes and no alignment is needed.
        unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
    }

    #[inline(always)]
    unsafe fn write(self, to: &mut [u32; 8]) {
        // SAFETY: the contract of `Word`; `to` is 32 bytes and no alignment is needed.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), self) }
    }

    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        // SAFETY: the contract of `Word`.
        unsafe { _mm256_add_epi32(self, other) }
    }

    #[inline(always)]
    unsafe fn xor(self, other: Self) -> Self {
        // SAFETY: the contract of `Word`.
        unsafe { _mm256_xor_si256(self, other) }
    }

    #[inline(always)]
    unsafe fn xor3(self, b: Self, c: Self) -> Self {
        // SAFETY: the contract of `Word`.
        unsafe { _mm256_xor_si256(_mm256_xor_si256(self, b), c) }
    }

    #[inline(always)]
    unsafe fn choose(self, f: Self, g: Self) -> Self {
        // SAFETY: the contract of `Word`.
        unsafe { _mm256_xor_si256(g, _mm256_and_si256(self, _mm256_xor_si256(f, g))) }
    }

    #[inline(always)]
    unsafe fn majority(self, b: Self, c: Self) -> Self {
        // SAFETY: the contract of `Word`.
        unsafe { _mm256_or_si256(_mm256_and_si256(self, b), _mm256_and_si256(c, _mm256_or_si256(self, b))) }
    }

    #[inline(always)]
    unsafe fn rotate<const RIGHT: i32, const LEFT: i32>(self) -> Self {
        const { assert!(RIGHT + LEFT == 32) };
        // SAFETY: the contract of `Word`.
        unsafe { _mm256_or_si256(_mm256_srli_epi32::<RIGHT>(self), _mm256_slli_epi32::<LEFT>(self)) }
    }

    #[inline(always)]
    unsafe fn shift3(self) -> Self {
        // SAFETY: the contract of `Word`.
        unsafe { _mm256_srli_epi32::<3>(self) }
    }

    #[inline(always)]
    unsafe fn shift10(self) -> Self {
        // SAFETY: the contract of `Word`.
        unsafe { _mm256_srli_epi32::<10>(self) }
    }
}
