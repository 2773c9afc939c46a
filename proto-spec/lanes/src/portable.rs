//! One lane on the compression function of the `sha2` crate.

use zeroize::Zeroize;

use crate::{
    BLOCK_BYTES, HmacKey, MAC_BYTES,
    job::Block,
    kernel::Kernel,
    one::{compress, write_words},
};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

#[derive(Clone)]
pub(crate) struct States {
    inner: [u32; 8],
    outer: [u32; 8],
}

impl Zeroize for States {
    fn zeroize(&mut self) {
        self.inner.as_mut_slice().zeroize();
        self.outer.as_mut_slice().zeroize();
    }
}

impl Kernel<1> for Portable {
    type States = States;

    const BLANK: States = States { inner: [0; 8], outer: [0; 8] };

    fn load(self, states: &mut States, [key]: &[&HmacKey; 1]) {
        (states.inner, states.outer) = (key.inner, key.outer);
    }

    fn absorb(self, states: &mut States, [block]: &[Block; 1]) {
        compress(&mut states.inner, &block.0);
    }

    fn restore(states: &mut States, earlier: &States, _lane: usize) {
        states.inner = earlier.inner;
    }

    fn finish(self, states: &mut States) {
        let mut block = [0; BLOCK_BYTES];
        write_words(&states.inner, &mut block);
        block[MAC_BYTES] = 0x80;
        block[BLOCK_BYTES - 8..].copy_from_slice(&((BLOCK_BYTES + MAC_BYTES) as u64 * 8).to_be_bytes());
        states.inner = states.outer;
        compress(&mut states.inner, &block);
        block.as_mut_slice().zeroize();
    }

    fn write_macs(self, states: &States, [out]: &mut [[u8; MAC_BYTES]; 1]) {
        write_words(&states.inner, out);
    }

    fn write_keys(self, states: &States, [out]: &mut [HmacKey; 1]) {
        let mut key = [0; MAC_BYTES];
        write_words(&states.inner, &mut key);
        *out = HmacKey::new(&key);
        key.as_mut_slice().zeroize();
    }
}
