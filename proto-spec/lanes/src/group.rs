//! One group of lanes through one kernel.

use core::array;

use zeroize::Zeroize;

use crate::{HmacKey, MAC_BYTES, job::Block, job::Job, kernel::Kernel};

/// Runs `count <= L` jobs and hands `(lane, mac)` to `sink`. Lanes past `count` repeat the last job.
#[inline(always)]
pub(crate) fn mac<'a, const L: usize, K: Kernel<L>>(
    kernel: K,
    count: usize,
    job_of: impl Fn(usize) -> Job<'a>,
    mut sink: impl FnMut(usize, &[u8; MAC_BYTES]),
) {
    let last = count - 1;
    let mut states = kernel.load(&array::from_fn(|lane| job_of(lane.min(last)).key));
    absorb(kernel, &mut states, count, &job_of);
    let mut macs = [[0; MAC_BYTES]; L];
    kernel.finish(&mut states, &mut macs);
    for (lane, mac) in macs.iter().take(count).enumerate() {
        sink(lane, mac);
    }
    states.zeroize();
    // A correct tag of a forged frame is a secret too.
    macs.as_flattened_mut().zeroize();
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
    let mut states = kernel.load(&array::from_fn(|lane| job_of(lane.min(last)).key));
    absorb(kernel, &mut states, count, &job_of);
    if let Ok(out) = <&mut [HmacKey; L]>::try_from(&mut *out) {
        kernel.finish_key(&mut states, out);
    } else {
        let mut keys = [const { HmacKey::blank() }; L];
        kernel.finish_key(&mut states, &mut keys);
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
