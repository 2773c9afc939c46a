//! Where connections come from: which queue an address has, and the name of one, or of its prefix.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{ADDRESS_BITS, PREFIX_BITS};

/// How an address becomes the number of a queue: by its prefix, then by itself (multiply-shift, so that without the multipliers nobody
/// knows who meets whom).
#[derive(Debug, Clone, Copy)]
pub struct SourceHash {
    pub(super) prefix: [u32; 2],
    pub(super) address: [u32; 2],
}

impl SourceHash {
    /// From random numbers, which are made odd.
    #[must_use]
    pub fn new(random: [u32; 4]) -> Self {
        let [a, b, c, d] = random.map(|number| number | 1);
        Self { prefix: [a, b], address: [c, d] }
    }

    /// The queue of `address`, below [`SET_APART`]: what the program computes where it is not named.
    #[must_use]
    pub fn queue_of(&self, address: IpAddr) -> usize {
        let (prefix, whole) = match address {
            IpAddr::V4(address) => {
                let word = u32::from(address);
                ([word >> 8, 0], [word, 0])
            }
            IpAddr::V6(address) => {
                let bits = u128::from(address);
                let [high, low] = [(bits >> 96) as u32, (bits >> 64) as u32];
                ([high, low >> 16], [high, low])
            }
        };
        let hash = |words: [u32; 2], by: [u32; 2], bits: u32| {
            let sum = words[0].wrapping_mul(by[0]).wrapping_add(words[1].wrapping_mul(by[1]));
            sum >> (u32::BITS - bits)
        };
        (hash(prefix, self.prefix, PREFIX_BITS) << ADDRESS_BITS | hash(whole, self.address, ADDRESS_BITS))
            as usize
    }
}

/// Where connections come from: an address (of IPv6, its first 64 bits), or all of a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// The bits that count, the others 0.
    pub(super) address: IpAddr,
    pub(super) is_prefix: bool,
}

impl Source {
    /// What tells an address from others.
    #[must_use]
    pub fn address(address: IpAddr) -> Self {
        Self { address: masked(address, u32::MAX, !0 << 64), is_prefix: false }
    }

    /// And its prefix.
    #[must_use]
    pub fn prefix(address: IpAddr) -> Self {
        Self { address: masked(address, !0 << 8, !0 << 80), is_prefix: true }
    }

    /// Whether `address` is, or is of, it.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        *self == if self.is_prefix { Self::prefix(address) } else { Self::address(address) }
    }
}

fn masked(address: IpAddr, v4: u32, v6: u128) -> IpAddr {
    match address {
        IpAddr::V4(address) => Ipv4Addr::from(u32::from(address) & v4).into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & v6).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port_steering::SPREAD_COUNT;
    use std::collections::BTreeSet;

    /// A flood of one address has one queue, of one prefix four at most, and others are spread over all.
    #[test]
    fn a_prefix_has_four_queues_and_all_of_them_have_all() {
        let sources = SourceHash::new([0x2545_f491, 0x9e37_79b9, 0x85eb_ca6b, 0xc2b2_ae35]);
        let queues = |addresses: &mut dyn Iterator<Item = IpAddr>| {
            addresses.map(|address| sources.queue_of(address)).collect::<BTreeSet<_>>()
        };
        let v4 = |prefix: u16, host: u8| IpAddr::from([10, (prefix >> 8) as u8, prefix as u8, host]);
        for prefix in 0..1000 {
            let of_one = queues(&mut (0..=255).map(|host| v4(prefix, host)));
            assert!((2..=4).contains(&of_one.len()), "{prefix}: {of_one:?}");
        }
        assert_eq!(
            queues(&mut (0..1000).map(|prefix| v4(prefix, (prefix as u8).wrapping_mul(7)))).len(),
            SPREAD_COUNT
        );
        let v6 = |site: u128, net: u128, host: u128| {
            IpAddr::from(Ipv6Addr::from(0x2a00u128 << 112 | site << 80 | net << 64 | host))
        };
        for site in 0..1000 {
            assert_eq!(
                queues(&mut (0..100).map(|host| v6(site, 1, host))).len(),
                1,
                "one network, one queue"
            );
            assert!((2..=4).contains(&queues(&mut (0..256).map(|net| v6(site, net, 1))).len()));
        }
    }
}
