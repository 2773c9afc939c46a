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

    fn load(self, [key]: &[&HmacKey; 1]) -> States {
        States { inner: key.inner, outer: key.outer }
    }

    fn absorb(self, states: &mut States, [block]: &[Block; 1]) {
        compress(&mut states.inner, &block.0);
    }

    fn restore(states: &mut States, earlier: &States, _lane: usize) {
        states.inner = earlier.inner;
    }

    fn finish(self, states: &mut States, [out]: &mut [[u8; MAC_BYTES]; 1]) {
        let mut block = [0; BLOCK_BYTES];
        write_words(&states.inner, &mut block);
        block[MAC_BYTES] = 0x80;
        block[BLOCK_BYTES - 8..].copy_from_slice(&((BLOCK_BYTES + MAC_BYTES) as u64 * 8).to_be_bytes());
        compress(&mut states.outer, &block);
        write_words(&states.outer, out);
        block.as_mut_slice().zeroize();
    }

    fn finish_key(self, states: &mut States, [out]: &mut [HmacKey; 1]) {
        let mut key = [[0; MAC_BYTES]];
        self.finish(states, &mut key);
        *out = HmacKey::new(&key[0]);
        key.as_flattened_mut().zeroize();
    }
}
