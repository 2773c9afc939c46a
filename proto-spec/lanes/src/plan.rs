//! Which jobs share a group: short ones as they come, others by equal block counts; wide groups only where they pay.

use crate::{HmacKey, MAC_BYTES, job::Block, job::Job, rung::Ladder};

/// Jobs sorted at a time when lengths are mixed; bounds the stack, not the batch.
const WINDOW_JOBS: usize = 128;
/// Block counts told apart by the counting sort; longer messages are sorted by comparison.
const BUCKETS: usize = 32;

/// Runs jobs `0..count` and hands `(index, mac)` to `sink`, in no particular order.
pub(crate) fn mac<'a>(
    ladder: Ladder,
    count: usize,
    job_at: impl Fn(usize) -> Job<'a>,
    mut sink: impl FnMut(usize, &[u8; MAC_BYTES]),
) {
    let mut at = 0;
    while at < count {
        let (rung, take) = ladder.pick_short(count - at);
        if (at..at + take).any(|index| job_at(index).block_count() > 1) {
            break;
        }
        let prepare = |lane, block: &mut Block| {
            let job = job_at(at + lane);
            job.write_only_block(block);
            job.key
        };
        rung.mac_short(take, prepare, |lane, mac| sink(at + lane, mac));
        at += take;
    }
    while at < count {
        let length = (count - at).min(WINDOW_JOBS);
        mac_window(ladder, length, |index| job_at(at + index), |index, mac| sink(at + index, mac));
        at += length;
    }
}

/// Derives `out.len()` keys; all inputs are one block, so there is nothing to sort.
pub(crate) fn derive<'a, const N: usize>(
    ladder: Ladder,
    input_at: impl Fn(usize) -> (&'a HmacKey, &'a [u8; N]),
    out: &mut [HmacKey],
) {
    let mut at = 0;
    while at < out.len() {
        let (rung, take) = ladder.pick_short(out.len() - at);
        let prepare = |lane, block: &mut Block| {
            let (key, input) = input_at(at + lane);
            block.write_short(input);
            key
        };
        rung.derive(prepare, &mut out[at..at + take]);
        at += take;
    }
}

fn mac_window<'a>(
    ladder: Ladder,
    count: usize,
    job_at: impl Fn(usize) -> Job<'a>,
    mut sink: impl FnMut(usize, &[u8; MAC_BYTES]),
) {
    let mut blocks = [0u64; WINDOW_JOBS];
    for (index, blocks) in blocks[..count].iter_mut().enumerate() {
        *blocks = job_at(index).block_count() as u64;
    }
    let order = longest_first(&blocks[..count]);
    let mut at = 0;
    while at < count {
        let (rung, take) = ladder.pick(count - at, |lane| blocks[usize::from(order[at + lane])]);
        let index_of = |lane: usize| usize::from(order[at + lane]);
        rung.mac(take, |lane| job_at(index_of(lane)), |lane, mac| sink(index_of(lane), mac));
        at += take;
    }
}

/// Positions of `blocks` by falling value.
fn longest_first(blocks: &[u64]) -> [u8; WINDOW_JOBS] {
    let bucket = |blocks: u64| BUCKETS - 1 - (blocks as usize).min(BUCKETS - 1);
    let mut starts = [0u8; BUCKETS + 1];
    for &blocks in blocks {
        starts[bucket(blocks) + 1] += 1;
    }
    let long = usize::from(starts[1]);
    for index in 1..=BUCKETS {
        starts[index] += starts[index - 1];
    }
    let mut order = [0u8; WINDOW_JOBS];
    for (index, &blocks) in blocks.iter().enumerate() {
        let at = &mut starts[bucket(blocks)];
        order[usize::from(*at)] = index as u8;
        *at += 1;
    }
    order[..long].sort_unstable_by_key(|&index| core::cmp::Reverse(blocks[usize::from(index)]));
    order
}

const _: () = assert!(WINDOW_JOBS <= u8::MAX as usize, "positions and counts are bytes");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_a_permutation_by_falling_block_count() {
        let mut blocks = [0u64; WINDOW_JOBS];
        let mut seed = 1u64;
        for blocks in &mut blocks {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *blocks = 1 + (seed >> 58);
        }
        let order = longest_first(&blocks);
        assert!(order.windows(2).all(|pair| blocks[usize::from(pair[0])] >= blocks[usize::from(pair[1])]));
        let mut seen = [false; WINDOW_JOBS];
        order.iter().for_each(|&index| seen[usize::from(index)] = true);
        assert!(seen.iter().all(|&seen| seen));
    }
}
