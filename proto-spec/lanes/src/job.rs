//! One message under one key, cut into padded SHA-256 blocks.

use crate::{BLOCK_BYTES, HmacKey, TAG_BYTES};

/// One block of input, aligned so that a vector load of it never crosses a cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Block(pub(crate) [u8; BLOCK_BYTES]);

impl Block {
    pub(crate) const ZERO: Self = Self([0; BLOCK_BYTES]);

    /// A message that fits with its padding, into zeros.
    #[inline(always)]
    pub(crate) fn write_short<const N: usize>(&mut self, message: &[u8; N]) {
        const { assert!(N < BLOCK_BYTES - 8) };
        self.0[..N].copy_from_slice(message);
        self.pad(N);
    }

    /// Padding after `length` bytes of message that fit with it (FIPS 180-4, 5.1.1), for a total that includes the pad block.
    #[inline(always)]
    fn pad(&mut self, length: usize) {
        self.0[length] = 0x80;
        let bits = (BLOCK_BYTES + length) as u64 * 8;
        self.0[BLOCK_BYTES - 8..].copy_from_slice(&bits.to_be_bytes());
    }
}

/// A message to authenticate: the concatenation of `parts` under `key`.
///
/// Three parts cover a header, a payload and something bound to both; unused parts are empty.
/// Lengths are public: the time taken depends on them. Contents and keys are not.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The key of this lane.
    pub key: &'a HmacKey,
    /// The message, in order.
    pub parts: [&'a [u8]; 3],
}

/// A message that says it was made under a key that is to be derived.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a, const N: usize> {
    /// What the key is derived from,
    pub base_key: &'a HmacKey,
    /// with this input.
    pub input: [u8; N],
    /// The message.
    pub message: &'a [u8],
    /// Its truncated tag, as it says.
    pub tag: &'a [u8; TAG_BYTES],
}

impl<'a> Job<'a> {
    /// A message in one piece.
    #[must_use]
    pub const fn new(key: &'a HmacKey, message: &'a [u8]) -> Self {
        Self { key, parts: [message, &[], &[]] }
    }

    /// A message in two pieces: `head` then `tail`.
    #[must_use]
    pub const fn joined(key: &'a HmacKey, head: &'a [u8], tail: &'a [u8]) -> Self {
        Self { key, parts: [head, tail, &[]] }
    }

    /// Bytes of the whole message.
    #[must_use]
    pub const fn message_bytes(&self) -> usize {
        self.parts[0].len() + self.parts[1].len() + self.parts[2].len()
    }

    /// Blocks the inner hash absorbs after the pad block: the message, 0x80, an 8-byte length.
    pub(crate) const fn block_count(&self) -> usize {
        self.message_bytes() / BLOCK_BYTES
            + 1
            + (self.message_bytes() % BLOCK_BYTES > BLOCK_BYTES - 9) as usize
    }

    /// Writes block `index` of the padded message (FIPS 180-4, 5.1.1), for a total that includes the pad block.
    ///
    /// Past the end it writes zeros.
    #[inline(always)]
    pub(crate) fn write_block(&self, index: usize, block: &mut Block) {
        if self.block_count() == 1 && index == 0 {
            *block = Block::ZERO;
            self.write_only_block(block);
        } else {
            self.write_any_block(index, block);
        }
    }

    /// The hot case: the whole message and its padding fit one block, which is zeros so far.
    #[inline(always)]
    pub(crate) fn write_only_block(&self, block: &mut Block) {
        let mut at = 0;
        for part in &self.parts {
            if !part.is_empty() {
                copy_short(&mut block.0[at..at + part.len()], part);
                at += part.len();
            }
        }
        block.pad(at);
    }

    fn write_any_block(&self, index: usize, block: &mut Block) {
        let total = self.message_bytes();
        let start = index * BLOCK_BYTES;
        let mut begin = 0;
        // Of a long message most blocks are a piece of one part.
        for part in &self.parts {
            if let Some(from) = start.checked_sub(begin)
                && let Some(whole) = part.get(from..).and_then(<[u8]>::first_chunk)
            {
                block.0 = *whole;
                return;
            }
            begin += part.len();
        }
        block.0.fill(0);
        begin = 0;
        for part in &self.parts {
            let end = begin + part.len();
            if begin < start + BLOCK_BYTES && end > start {
                let from = start.saturating_sub(begin);
                let to = begin.saturating_sub(start);
                let take = (part.len() - from).min(BLOCK_BYTES - to);
                copy_short(&mut block.0[to..to + take], &part[from..from + take]);
            }
            begin = end;
        }
        if (start..start + BLOCK_BYTES).contains(&total) {
            block.0[total - start] = 0x80;
        }
        if index + 1 == self.block_count() {
            let bits = (BLOCK_BYTES as u64 + total as u64) * 8;
            block.0[BLOCK_BYTES - 8..].copy_from_slice(&bits.to_be_bytes());
        }
    }
}

/// Copies at most one block without a call to `memcpy`: two overlapping moves of a fixed width.
#[inline(always)]
fn copy_short(to: &mut [u8], from: &[u8]) {
    if !copy_overlapping::<32>(to, from)
        && !copy_overlapping::<16>(to, from)
        && !copy_overlapping::<8>(to, from)
        && !copy_overlapping::<4>(to, from)
    {
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
    }
}

/// Copies `WIDTH..=2 * WIDTH` bytes; says no to fewer.
#[inline(always)]
fn copy_overlapping<const WIDTH: usize>(to: &mut [u8], from: &[u8]) -> bool {
    let (Some(head), Some(tail)) = (from.first_chunk::<WIDTH>(), from.last_chunk::<WIDTH>()) else {
        return false;
    };
    // Both ends are read before either is written, so the moves stay in registers.
    let (head, tail) = (*head, *tail);
    let at = to.len() - WIDTH;
    to[..WIDTH].copy_from_slice(&head);
    to[at..].copy_from_slice(&tail);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_equal_padding_of_the_joined_message() {
        let bytes: [u8; 200] = core::array::from_fn(|i| i as u8 | 1);
        let key = HmacKey::blank();
        for length in 0..=200usize {
            let mut padded = [0u8; 320];
            padded[..length].copy_from_slice(&bytes[..length]);
            padded[length] = 0x80;
            let blocks = (length + 9).div_ceil(64);
            padded[blocks * 64 - 8..blocks * 64].copy_from_slice(&((64 + length as u64) * 8).to_be_bytes());
            for cut in [0, 1, length / 3, length / 2, length] {
                let (a, b) = bytes[..length].split_at(cut.min(length));
                for job in [Job::joined(&key, a, b), Job { key: &key, parts: [&[], a, b] }] {
                    assert_eq!(job.block_count(), blocks, "length {length}");
                    for index in 0..blocks {
                        let mut block = Block([0xff; 64]);
                        job.write_block(index, &mut block);
                        assert_eq!(block.0, padded[index * 64..][..64], "length {length} block {index}");
                    }
                }
            }
        }
    }
}
