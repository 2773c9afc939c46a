//! What one instruction set must be able to do for a group of lanes.

use zeroize::Zeroize;

use crate::{HmacKey, MAC_BYTES, job::Block};

/// HMAC-SHA256 over `L` lanes in step.
///
/// A value of an implementing type is proof that this CPU has the instructions, so no method is `unsafe`.
pub(crate) trait Kernel<const L: usize>: Copy {
    /// Running inner states and waiting outer states of `L` lanes.
    type States: Clone + Zeroize;

    /// Starts every lane at the midstates of its key.
    fn load(self, keys: &[&HmacKey; L]) -> Self::States;

    /// Absorbs one block of message in every lane.
    fn absorb(self, states: &mut Self::States, blocks: &[Block; L]);

    /// Takes back `lane` as it was in `earlier`; its message had already ended.
    fn restore(states: &mut Self::States, earlier: &Self::States, lane: usize);

    /// Ends the inner hash and runs the outer one: one compression.
    fn finish(self, states: &mut Self::States, out: &mut [[u8; MAC_BYTES]; L]);

    /// As `finish`, then makes each 32-byte output the key of a new HMAC: three compressions.
    fn finish_key(self, states: &mut Self::States, out: &mut [HmacKey; L]);
}
