//! Groups of lanes through one kernel.

use core::array;

use zeroize::Zeroize;

use crate::{HmacKey, MAC_BYTES, job::Block, job::Job, kernel::Kernel};

/// Groups of short messages that take each step one after the other. A group waits for the last rounds of its own step, and
/// for its blocks, written in pieces and read as vectors, to reach the cache; the others fill that time.
pub(crate) const GROUPS_MAX: usize = 4;

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

/// Runs `count` messages of one block in up to [`GROUPS_MAX`] groups: `prepare` writes it, padded, into zeros, and gives the
/// key. Lanes past `count` repeat the last one.
#[inline(always)]
pub(crate) fn mac_short<'a, const L: usize, K: Kernel<L>>(
    kernel: K,
    count: usize,
    prepare: impl Fn(usize, &mut Block) -> &'a HmacKey,
    mut sink: impl FnMut(usize, &[u8; MAC_BYTES]),
) {
    let mut states = [const { K::BLANK }; GROUPS_MAX];
    let mut macs = [[0; MAC_BYTES]; L];
    for (group, states) in run_short(kernel, count, &mut states, prepare).iter_mut().enumerate() {
        kernel.write_macs(states, &mut macs);
        for (lane, mac) in macs.iter().enumerate().take(count - group * L) {
            sink(group * L + lane, mac);
        }
        states.zeroize();
    }
    // A correct tag of a forged frame is a secret too.
    macs.as_flattened_mut().zeroize();
}

/// The same for `out.len()` messages, each output made a key.
#[inline(always)]
pub(crate) fn derive<'a, const L: usize, K: Kernel<L>>(
    kernel: K,
    prepare: impl Fn(usize, &mut Block) -> &'a HmacKey,
    out: &mut [HmacKey],
) {
    let mut states = [const { K::BLANK }; GROUPS_MAX];
    let states = run_short(kernel, out.len(), &mut states, prepare);
    for (states, out) in states.iter_mut().zip(out.chunks_mut(L)) {
        if let Ok(out) = <&mut [HmacKey; L]>::try_from(&mut *out) {
            kernel.write_keys(states, out);
        } else {
            let mut keys = [const { HmacKey::blank() }; L];
            kernel.write_keys(states, &mut keys);
            for (to, from) in out.iter_mut().zip(&keys) {
                (to.inner, to.outer) = (from.inner, from.outer);
            }
        }
        states.zeroize();
    }
}

/// The groups that were needed, with their outer hashes done.
#[inline(always)]
fn run_short<'a, 's, const L: usize, K: Kernel<L>>(
    kernel: K,
    count: usize,
    states: &'s mut [K::States; GROUPS_MAX],
    prepare: impl Fn(usize, &mut Block) -> &'a HmacKey,
) -> &'s mut [K::States] {
    let states = &mut states[..count.div_ceil(L)];
    let mut blocks = [[Block::ZERO; L]; GROUPS_MAX];
    for (group, (states, blocks)) in states.iter_mut().zip(&mut blocks).enumerate() {
        let index = |lane: usize| (group * L + lane).min(count - 1);
        kernel.load(states, &array::from_fn(|lane| prepare(index(lane), &mut blocks[lane])));
    }
    for (states, blocks) in states.iter_mut().zip(&blocks) {
        kernel.absorb(states, blocks);
    }
    for states in &mut *states {
        kernel.finish(states);
    }
    states
}

/// Absorbs every block of every job. A lane whose message has ended idles at its own state. Blocks are written one ahead, so that
/// what was written in pieces is in the cache when it is read as vectors.
#[inline(always)]
fn absorb<'a, const L: usize, K: Kernel<L>>(
    kernel: K,
    states: &mut K::States,
    count: usize,
    job_of: impl Fn(usize) -> Job<'a>,
) {
    let block_counts = || (0..count).map(|lane| job_of(lane).block_count());
    let (least, most) = (block_counts().min().unwrap_or(0), block_counts().max().unwrap_or(0));
    let mut blocks = [[Block::ZERO; L]; 2];
    let write = |index: usize, blocks: &mut [Block; L]| {
        for (lane, block) in blocks.iter_mut().enumerate().take(count) {
            job_of(lane).write_block(index, block);
        }
    };
    write(0, &mut blocks[0]);
    for index in 0..most {
        if index + 1 < most {
            write(index + 1, &mut blocks[(index + 1) % 2]);
        }
        if index < least {
            kernel.absorb(states, &blocks[index % 2]);
            continue;
        }
        let mut earlier = states.clone();
        kernel.absorb(states, &blocks[index % 2]);
        for lane in (0..count).filter(|lane| index >= job_of(*lane).block_count()) {
            K::restore(states, &earlier, lane);
        }
        earlier.zeroize();
    }
}
