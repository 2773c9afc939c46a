//! Groups of lanes through one kernel.

use core::array;

use zeroize::Zeroize;

use crate::{HmacKey, MAC_BYTES, job::Block, job::Job, kernel::Kernel};

/// Full groups of short messages that take each step one after the other, so that the wait of one for its own last
/// rounds, and for its blocks to come back from memory, is filled by the others.
pub(crate) const RUN_GROUPS: usize = 4;

/// Runs `count <= L` jobs and hands `(lane, mac)` to `sink`. Lanes past `count` repeat the last job.
#[inline(always)]
pub(crate) fn mac<'a, const L: usize, K: Kernel<L>>(
    kernel: K,
    count: usize,
    job_of: impl Fn(usize) -> Job<'a>,
    mut sink: impl FnMut(usize, &[u8; MAC_BYTES]),
) {
    let last = count - 1;
    let mut states = K::BLANK;
    kernel.load(&mut states, &array::from_fn(|lane| job_of(lane.min(last)).key));
    absorb(kernel, &mut states, count, &job_of);
    kernel.finish(&mut states);
    let mut macs = [[0; MAC_BYTES]; L];
    kernel.write_macs(&states, &mut macs);
    for (lane, mac) in macs.iter().take(count).enumerate() {
        sink(lane, mac);
    }
    states.zeroize();
    // A correct tag of a forged frame is a secret too.
    macs.as_flattened_mut().zeroize();
}

/// Runs `G` full groups of messages of one block: `prepare` writes it, padded, into zeros, and gives the key.
#[inline(always)]
pub(crate) fn mac_run<'a, const L: usize, const G: usize, K: Kernel<L>>(
    kernel: K,
    prepare: impl Fn(usize, &mut Block) -> &'a HmacKey,
    mut sink: impl FnMut(usize, &[u8; MAC_BYTES]),
) {
    let mut states = [const { K::BLANK }; G];
    finish_run(kernel, &mut states, prepare);
    let mut macs = [[0; MAC_BYTES]; L];
    for (group, states) in states.iter_mut().enumerate() {
        kernel.write_macs(states, &mut macs);
        for (lane, mac) in macs.iter().enumerate() {
            sink(group * L + lane, mac);
        }
        states.zeroize();
    }
    macs.as_flattened_mut().zeroize();
}

/// The same, and makes each output a key.
#[inline(always)]
pub(crate) fn derive_run<'a, const L: usize, const G: usize, K: Kernel<L>>(
    kernel: K,
    prepare: impl Fn(usize, &mut Block) -> &'a HmacKey,
    out: &mut [HmacKey],
) {
    let mut states = [const { K::BLANK }; G];
    finish_run(kernel, &mut states, prepare);
    for (states, out) in states.iter_mut().zip(out.as_chunks_mut::<L>().0) {
        kernel.write_keys(states, out);
        states.zeroize();
    }
}

#[inline(always)]
fn finish_run<'a, const L: usize, const G: usize, K: Kernel<L>>(
    kernel: K,
    states: &mut [K::States; G],
    prepare: impl Fn(usize, &mut Block) -> &'a HmacKey,
) {
    let mut blocks = [[Block::ZERO; L]; G];
    for (group, (states, blocks)) in states.iter_mut().zip(&mut blocks).enumerate() {
        kernel.load(states, &array::from_fn(|lane| prepare(group * L + lane, &mut blocks[lane])));
    }
    for (states, blocks) in states.iter_mut().zip(&blocks) {
        kernel.absorb(states, blocks);
    }
    for states in states {
        kernel.finish(states);
    }
}

/// Runs `count <= L` jobs and makes each output a key.
#[inline(always)]
pub(crate) fn derive<'a, const L: usize, K: Kernel<L>>(
    kernel: K,
    job_of: impl Fn(usize) -> Job<'a>,
    out: &mut [HmacKey],
) {
    let count = out.len();
    let last = count - 1;
    let mut states = K::BLANK;
    kernel.load(&mut states, &array::from_fn(|lane| job_of(lane.min(last)).key));
    absorb(kernel, &mut states, count, &job_of);
    kernel.finish(&mut states);
    if let Ok(out) = <&mut [HmacKey; L]>::try_from(&mut *out) {
        kernel.write_keys(&states, out);
    } else {
        let mut keys = [const { HmacKey::blank() }; L];
        kernel.write_keys(&states, &mut keys);
        for (to, from) in out.iter_mut().zip(&keys) {
            (to.inner, to.outer) = (from.inner, from.outer);
        }
    }
    states.zeroize();
}

/// Absorbs every block of every job. A lane whose message has ended idles at its own state.
#[inline(always)]
fn absorb<'a, const L: usize, K: Kernel<L>>(
    kernel: K,
    states: &mut K::States,
    count: usize,
    job_of: impl Fn(usize) -> Job<'a>,
) {
    let mut blocks = [Block::ZERO; L];
    let mut most = 1;
    for (lane, block) in blocks.iter_mut().enumerate().take(count) {
        let job = job_of(lane);
        most = most.max(job.block_count());
        job.write_block(0, block);
    }
    kernel.absorb(states, &blocks);
    for index in 1..most {
        let mut earlier = states.clone();
        for (lane, block) in blocks.iter_mut().enumerate().take(count) {
            job_of(lane).write_block(index, block);
        }
        kernel.absorb(states, &blocks);
        for lane in 0..count {
            if index >= job_of(lane).block_count() {
                K::restore(states, &earlier, lane);
            }
        }
        earlier.zeroize();
    }
}
