//! Memory for packets on their way into the endpoint, and for datagrams on their way out: blocks that are used again.

use bytes::BytesMut;

/// Bytes of a block, of some 50 packets.
const BLOCK_BYTES: usize = 64 * 1024;
/// Blocks at most: what a turn takes in, and more. In the steady state one or two are in use, and in the cache.
const BLOCKS_MAX: usize = 16;

/// The blocks of one direction. One byte of a packet that somebody keeps, as of a stream with a gap before it, keeps the
/// whole block; so there are only so many, and when all are kept each packet has its own memory, and keeps only that.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    blocks: Vec<BytesMut>,
    current: usize,
}

impl Blocks {
    /// A copy of `bytes`.
    pub(super) fn copy(&mut self, bytes: &[u8]) -> BytesMut {
        if !self.has_room(bytes.len()) {
            return BytesMut::from(bytes);
        }
        let block = &mut self.blocks[self.current];
        block.extend_from_slice(bytes);
        block.split()
    }

    /// Whether the current block has room for so much, be it another one than before.
    fn has_room(&mut self, byte_count: usize) -> bool {
        let room = |block: &BytesMut| block.capacity() - block.len();
        if self.blocks.get(self.current).is_some_and(|block| room(block) >= byte_count) {
            return true;
        }
        if byte_count > BLOCK_BYTES {
            return false;
        }
        // First the one in use: it is in the cache.
        let count = self.blocks.len();
        let free = (0..count)
            .map(|step| (self.current + step) % count)
            .find(|at| self.blocks[*at].try_reclaim(BLOCK_BYTES));
        if free.is_none() && count < BLOCKS_MAX {
            self.blocks.push(BytesMut::with_capacity(BLOCK_BYTES));
        }
        self.current = free.unwrap_or(count.min(BLOCKS_MAX - 1));
        free.is_some() || count < BLOCKS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_nobody_keeps_is_used_again() {
        let mut blocks = Blocks::default();
        for round in 0..1000u32 {
            let packets: Vec<_> = (0..100).map(|_| blocks.copy(&[round as u8; 1200])).collect();
            assert!(packets.iter().all(|packet| packet[..] == [round as u8; 1200]));
        }
        assert_eq!(blocks.blocks.len(), 3, "120 KB a round, which may begin anywhere in a block");
    }

    /// CASES D-14: what is kept of a packet keeps no more than the blocks there are, and the packets themselves.
    #[test]
    fn who_keeps_packets_keeps_a_bounded_number_of_blocks() {
        let mut blocks = Blocks::default();
        let mut kept = Vec::new();
        for number in 0..5000u32 {
            let mut packet = blocks.copy(&[number as u8; 1200]);
            // One byte of every fifty packets.
            if number % 50 == 0 {
                kept.push((number, packet.split_to(1)));
            }
        }
        assert_eq!(blocks.blocks.len(), BLOCKS_MAX);
        let own = blocks.copy(&[7; 1200]);
        assert!(own.capacity() < 2 * 1200, "of its own memory: {}", own.capacity());
        assert!(kept.iter().all(|(number, byte)| byte[0] == *number as u8));
        kept.clear();
        drop(own);
        let shared = blocks.copy(&[9; 1200]);
        assert_eq!((blocks.blocks.len(), &shared[..]), (BLOCKS_MAX, &[9; 1200][..]));
        assert!(blocks.blocks[blocks.current].capacity() > BLOCK_BYTES / 2, "a block again");
    }

    #[test]
    fn what_no_block_holds_has_its_own_memory() {
        let mut blocks = Blocks::default();
        assert_eq!(blocks.copy(&[1; BLOCK_BYTES + 1]).len(), BLOCK_BYTES + 1);
        assert!(blocks.copy(&[]).is_empty());
        assert_eq!(blocks.copy(&[1; BLOCK_BYTES]).len(), BLOCK_BYTES);
    }
}
