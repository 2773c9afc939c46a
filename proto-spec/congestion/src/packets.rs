//! How large packets grow.

use quinn_proto::{EndpointConfig, MtuDiscoveryConfig};

/// Bytes of the largest packet, where the path takes it; each end finds out by probes. Ten of them are what the kernel takes at
/// once, and no less is what `quinn` gives it. On Ethernet the search ends where its frames do.
pub const PACKET_BYTES_MAX: u16 = 6_550;
/// Bytes the kernel takes in one transmission, to be cut apart or not: the largest UDP payload of IPv4.
const TRANSMISSION_BYTES_MAX: usize = 65_507;

const _: () = assert!(10 * PACKET_BYTES_MAX as usize <= TRANSMISSION_BYTES_MAX);

/// The search for the size that a path takes.
#[must_use]
pub fn search() -> MtuDiscoveryConfig {
    let mut search = MtuDiscoveryConfig::default();
    search.upper_bound(PACKET_BYTES_MAX);
    search
}

/// Has an endpoint tell its peers that it takes packets of that size.
///
/// # Panics
/// Never: the size is one that QUIC allows.
pub fn take_large(endpoint: &mut EndpointConfig) {
    endpoint.max_udp_payload_size(PACKET_BYTES_MAX).expect("at least 1200 and at most 65527 bytes");
}

/// How many packets of `packet_bytes` the kernel takes at once; one at least.
#[must_use]
pub fn per_transmission(packet_bytes: u16) -> usize {
    (TRANSMISSION_BYTES_MAX / usize::from(packet_bytes.max(1))).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transmission_is_never_more_than_the_kernel_takes() {
        for packet_bytes in [0, 1, 1_200, 1_452, PACKET_BYTES_MAX, 40_000, u16::MAX] {
            let count = per_transmission(packet_bytes);
            assert!(count >= 1);
            assert!(count == 1 || count * usize::from(packet_bytes) <= TRANSMISSION_BYTES_MAX);
        }
        assert_eq!(per_transmission(PACKET_BYTES_MAX), 10);
        let mut endpoint = EndpointConfig::default();
        take_large(&mut endpoint);
        assert_eq!(endpoint.get_max_udp_payload_size(), PACKET_BYTES_MAX.into());
    }
}
