//! What one instruction set must be able to do for a group of lanes.

use zeroize::Zeroize;

use crate::{HmacKey, MAC_BYTES, job::Block};

/// HMAC-SHA256 over `L` lanes in step.
///
/// A value of an implementing type is proof that this CPU has the instructions, so no method is `unsafe`.
pub(crate) trait Kernel<const L: usize>: Copy {
    /// Running inner states and waiting outer states of `L` lanes.
    type States: Clone + Zeroize;

    /// States of no lane, a place to [`Kernel::load`] into.
    const BLANK: Self::States;

    /// Starts every lane at the midstates of its key.
    fn load(self, states: &mut Self::States, keys: &[&HmacKey; L]);

    /// Absorbs one block of message in every lane.
    fn absorb(self, states: &mut Self::States, blocks: &[Block; L]);

    /// Takes back `lane` as it was in `earlier`; its message had already ended.
    fn restore(states: &mut Self::States, earlier: &Self::States, lane: usize);

    /// Ends the inner hash and runs the outer one, whose result takes the place of the running states: one compression.
    fn finish(self, states: &mut Self::States);

    /// Writes what `finish` left.
    fn write_macs(self, states: &Self::States, out: &mut [[u8; MAC_BYTES]; L]);

    /// Makes what `finish` left the key of a new HMAC: two compressions.
    fn write_keys(self, states: &Self::States, out: &mut [HmacKey; L]);
}
