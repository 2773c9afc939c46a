//! Which shard a TCP connection is handed to, by the client's port (SPEC §17.1).

/// A port is multiplied by this, modulo 2^32: odd, and without pattern, for kernels give out ports of one parity first.
pub const PORT_MULTIPLIER: u32 = 0x9e37_79b1;
/// The upper bits of the product that count.
pub const PORT_SHIFT: u32 = 24;
/// Ports below are not a client's to choose.
const PORT_MIN: u16 = 1024;

/// The byte a connection from `port` is steered by: a server of n shards hands it to shard `byte mod n` (§17.1.1).
#[must_use]
pub const fn shard_byte_of_port(port: u16) -> u8 {
    ((port as u32).wrapping_mul(PORT_MULTIPLIER) >> PORT_SHIFT) as u8
}

/// The ports a client may connect from to reach the shard with this byte, whatever the number of shards: about 252, beginning
/// at the first one from `first` on, round the range (§17.1.2).
pub fn ports_of_shard_byte(shard: u8, first: u16) -> impl Iterator<Item = u16> {
    let first = if first < PORT_MIN { PORT_MIN } else { first };
    (first..=u16::MAX).chain(PORT_MIN..first).filter(move |port| shard_byte_of_port(*port) == shard)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// §17.1.1.
    #[test]
    fn ports_of_either_parity_reach_every_shard_alike() {
        for shards in [1usize, 2, 3, 4, 7, 16] {
            for parity in [0, 1] {
                let mut counts = alloc::vec![0usize; shards];
                for port in (32_768 + parity..=60_999u16).step_by(2) {
                    counts[usize::from(shard_byte_of_port(port)) % shards] += 1;
                }
                let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
                assert!(most * 100 <= least * 120, "{shards} shards, parity {parity}: {counts:?}");
            }
        }
    }

    /// §17.1.2.
    #[test]
    fn every_shard_byte_has_ports_from_anywhere() {
        for shard in 0..=u8::MAX {
            let ports: Vec<u16> = ports_of_shard_byte(shard, 40_000).collect();
            assert!((200..300).contains(&ports.len()), "{} of {shard}", ports.len());
            assert!(ports.iter().all(|port| *port >= 1024 && shard_byte_of_port(*port) == shard));
            let mut other: Vec<u16> = ports_of_shard_byte(shard, 0).collect();
            assert!(other.is_sorted());
            let mut ports = ports;
            ports.sort_unstable();
            other.sort_unstable();
            assert_eq!(ports, other, "the same ports from wherever one begins");
        }
    }

    #[test]
    fn the_function_is_the_one_of_the_text() {
        for (port, byte) in [(0, 0), (1, 0x9e), (2, 0x3c), (40_000, 0x5c), (65_535, 0xdb)] {
            assert_eq!(shard_byte_of_port(port), byte, "{port}");
        }
    }
}
