//! The word of sixteen lanes: one AVX-512 register.

use core::arch::x86_64::*;

use crate::wide::Word;

/// Inputs of `vpternlogd` as columns of its truth table; a function of them is its immediate.
const A: i32 = 0b1111_0000;
const B: i32 = 0b1100_1100;
const C: i32 = 0b1010_1010;
const XOR3: i32 = A ^ B ^ C;
const CHOOSE: i32 = (A & B) | (!A & C);
const MAJORITY: i32 = (A & B) | (A & C) | (B & C);

const _: () = assert!(XOR3 == 0x96 && CHOOSE == 0xca && MAJORITY == 0xe8, "the values in the manuals");

// Every function below is called, by the contract of `Word`, only where AVX-512F exists.
impl Word<16> for __m512i {
    #[inline(always)]
    unsafe fn splat(word: u32) -> Self {
        // SAFETY: the contract of `Word`.
        unsafe { _mm512_set1_epi32(word.cast_signed()) }
    }

    #[inline(always)]
    unsafe fn read(from: &[u32; 16]) -> Self {
        // SAFETY: the contract of `Word`; `from` is 64 bytes and no alignment is needed.
        unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
    }

    #[inline(always)]
    unsafe fn write(self, to: &mut [u32; 16]) {
        // SAFETY: the contract of `Word`; `to` is 64 bytes and no alignment is needed.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), self) }
    }

    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        // SAFETY: the contract of `Word`.
        unsafe { _mm512_add_epi32(self, other) }
    }

    #[inline(always)]
    unsafe fn xor(self, other: Self) -> Self {
        // SAFETY: the contract of `Word`.
        unsafe { _mm512_xor_si512(self, other) }
    }

    #[inline(always)]
    unsafe fn xor3(self, b: Self, c: Self) -> Self {
        // SAFETY: the contract of `Word`.
        unsafe { _mm512_ternarylogic_epi32::<XOR3>(self, b, c) }
    }

    #[inline(always)]
    unsafe fn choose(self, f: Self, g: Self) -> Self {
        // SAFETY: the contract of `Word`.
        unsafe { _mm512_ternarylogic_epi32::<CHOOSE>(self, f, g) }
    }

    #[inline(always)]
    unsafe fn majority(self, b: Self, c: Self) -> Self {
        // SAFETY: the contract of `Word`.
        unsafe { _mm512_ternarylogic_epi32::<MAJORITY>(self, b, c) }
    }

    #[inline(always)]
    unsafe fn rotate<const RIGHT: i32, const LEFT: i32>(self) -> Self {
        // SAFETY: the contract of `Word`.
        unsafe { _mm512_ror_epi32::<RIGHT>(self) }
    }

    #[inline(always)]
    unsafe fn shift3(self) -> Self {
        // SAFETY: the contract of `Word`.
        unsafe { _mm512_srli_epi32::<3>(self) }
    }

    #[inline(always)]
    unsafe fn shift10(self) -> Self {
        // SAFETY: the contract of `Word`.
        unsafe { _mm512_srli_epi32::<10>(self) }
    }
}
