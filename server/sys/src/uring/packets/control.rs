//! Control data beside packets: the kernel's `cmsghdr` and values, as bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libc::{
    IP_PKTINFO, IP_TOS, IPPROTO_IP, IPPROTO_IPV6, IPV6_PKTINFO, IPV6_TCLASS, SOL_UDP, UDP_GRO, UDP_SEGMENT,
};

/// Bytes before the value of one item: its length, level and kind.
const HEADER_BYTES: usize = size_of::<usize>() + 2 * size_of::<i32>();
/// The largest value: `in6_pktinfo`.
const VALUE_BYTES_MAX: usize = 20;
/// Room for all there is: destination or source, mark, segment size.
pub(super) const CONTROL_BYTES: usize = 3 * (HEADER_BYTES + aligned(VALUE_BYTES_MAX));
/// The congestion bits of the type-of-service byte (RFC 3168 §5).
const ECN_BITS: u8 = 0b11;

const _: () = assert!(HEADER_BYTES == size_of::<libc::cmsghdr>());
const _: () = assert!(CONTROL_BYTES.is_multiple_of(align_of::<usize>()));

const fn aligned(byte_count: usize) -> usize {
    byte_count.next_multiple_of(align_of::<usize>())
}

/// What the control data of received packets says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Note {
    /// The address they were sent to.
    pub(super) local_ip: Option<IpAddr>,
    /// Whether that is one of many hosts' (broadcast, multicast), which nobody may answer from.
    pub(super) is_shared: bool,
    /// The congestion mark.
    pub(super) ecn: u8,
    /// Bytes of each packet but the last one, where the kernel joined several.
    pub(super) stride: Option<usize>,
}

impl Note {
    /// Reads `control`, as far as it is whole; what nobody asked for is skipped.
    pub(super) fn read(mut control: &[u8]) -> Self {
        let mut note = Self::default();
        while let Some((level, kind, value)) = take_item(&mut control) {
            match (level, kind) {
                (IPPROTO_IP, IP_TOS) => note.ecn = value.first().map_or(0, |tos| tos & ECN_BITS),
                (IPPROTO_IPV6, IPV6_TCLASS) => {
                    note.ecn = int_of(value).map_or(0, |class| class as u8 & ECN_BITS);
                }
                (SOL_UDP, UDP_GRO) => note.stride = int_of(value).and_then(|size| usize::try_from(size).ok()),
                // Interface, our own address for an answer, the address in the packet's header.
                (IPPROTO_IP, IP_PKTINFO) => {
                    let octets = |at: usize| value.get(at..)?.first_chunk::<4>().copied();
                    note.local_ip = octets(8).map(|to| Ipv4Addr::from(to).into());
                    // The second is not there for what arrived before the socket was set to tell.
                    note.is_shared = octets(4).is_some_and(|own| own != [0; 4] && Some(own) != octets(8));
                }
                (IPPROTO_IPV6, IPV6_PKTINFO) => {
                    let to = value.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets));
                    note.local_ip = to.map(IpAddr::from);
                    note.is_shared = to.is_some_and(|to| to.is_multicast());
                }
                _ => {}
            }
        }
        note
    }
}

fn int_of(value: &[u8]) -> Option<i32> {
    value.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes))
}

/// The item at the front: level, kind, value; `None` at the end, or where the rest is not whole.
fn take_item<'a>(control: &mut &'a [u8]) -> Option<(i32, i32, &'a [u8])> {
    let (length, rest) = control.split_first_chunk()?;
    let (level, rest) = rest.split_first_chunk()?;
    let (kind, _) = rest.split_first_chunk()?;
    let length = usize::from_ne_bytes(*length);
    let value = control.get(HEADER_BYTES..length)?;
    *control = control.get(aligned(length)..).unwrap_or(&[]);
    Some((i32::from_ne_bytes(*level), i32::from_ne_bytes(*kind), value))
}

/// The control data of packets to be sent to `destination`, in `control`; gives its length.
pub(super) fn write(
    control: &mut [u8; CONTROL_BYTES],
    destination: IpAddr,
    source: Option<IpAddr>,
    ecn: u8,
    segment_bytes: Option<u16>,
) -> usize {
    let mut end = 0;
    let ecn = i32::from(ecn).to_ne_bytes();
    match destination {
        IpAddr::V4(_) => put_item(control, &mut end, IPPROTO_IP, IP_TOS, &ecn),
        IpAddr::V6(_) => put_item(control, &mut end, IPPROTO_IPV6, IPV6_TCLASS, &ecn),
    }
    if let Some(bytes) = segment_bytes {
        put_item(control, &mut end, SOL_UDP, UDP_SEGMENT, &bytes.to_ne_bytes());
    }
    match source {
        Some(IpAddr::V4(source)) => {
            let mut value = [0; 12];
            value[4..8].copy_from_slice(&source.octets());
            put_item(control, &mut end, IPPROTO_IP, IP_PKTINFO, &value);
        }
        Some(IpAddr::V6(source)) => {
            let mut value = [0; 20];
            value[..16].copy_from_slice(&source.octets());
            put_item(control, &mut end, IPPROTO_IPV6, IPV6_PKTINFO, &value);
        }
        None => {}
    }
    end
}

fn put_item(control: &mut [u8; CONTROL_BYTES], end: &mut usize, level: i32, kind: i32, value: &[u8]) {
    let item = &mut control[*end..*end + HEADER_BYTES + aligned(value.len())];
    item.fill(0);
    item[..8].copy_from_slice(&(HEADER_BYTES + value.len()).to_ne_bytes());
    item[8..12].copy_from_slice(&level.to_ne_bytes());
    item[12..16].copy_from_slice(&kind.to_ne_bytes());
    item[HEADER_BYTES..HEADER_BYTES + value.len()].copy_from_slice(value);
    *end += item.len();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(level: i32, kind: i32, value: &[u8]) -> Vec<u8> {
        let (mut control, mut end) = ([0; CONTROL_BYTES], 0);
        put_item(&mut control, &mut end, level, kind, value);
        control[..end].to_vec()
    }

    fn received() -> Vec<u8> {
        let info = [&[1, 0, 0, 0][..], &[10, 0, 0, 7], &[10, 0, 0, 7]].concat();
        let gro = item(SOL_UDP, UDP_GRO, &1234i32.to_ne_bytes());
        let unknown = item(libc::SOL_SOCKET, libc::SO_TIMESTAMP, &[9; 16]);
        [item(IPPROTO_IP, IP_PKTINFO, &info), item(IPPROTO_IP, IP_TOS, &[0xfe]), unknown, gro].concat()
    }

    #[test]
    fn what_the_kernel_says_is_read_and_the_rest_skipped() {
        let expected = Note {
            local_ip: Some(Ipv4Addr::new(10, 0, 0, 7).into()),
            is_shared: false,
            ecn: 0b10,
            stride: Some(1234),
        };
        assert_eq!(Note::read(&received()), expected);
        let multicast = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        let info = [&multicast.octets()[..], &[0; 4]].concat();
        let six =
            [item(IPPROTO_IPV6, IPV6_PKTINFO, &info), item(IPPROTO_IPV6, IPV6_TCLASS, &1i32.to_ne_bytes())];
        let expected = Note { local_ip: Some(multicast.into()), is_shared: true, ecn: 1, stride: None };
        assert_eq!(Note::read(&six.concat()), expected);
    }

    /// Broadcast: the header's address is not our own.
    #[test]
    fn an_address_of_many_hosts_is_told_from_our_own() {
        let info = [&[1, 0, 0, 0][..], &[10, 0, 0, 7], &[10, 0, 0, 255]].concat();
        assert!(Note::read(&item(IPPROTO_IP, IP_PKTINFO, &info)).is_shared);
        let early = [&[0, 0, 0, 0][..], &[0, 0, 0, 0], &[10, 0, 0, 7]].concat();
        assert!(!Note::read(&item(IPPROTO_IP, IP_PKTINFO, &early)).is_shared);
    }

    #[test]
    fn cut_or_mad_control_data_is_read_as_far_as_it_is_whole() {
        let whole = received();
        for end in 0..whole.len() {
            let note = Note::read(&whole[..end]);
            assert!(note.stride.is_none() || note.ecn == 0b10, "cut at {end}");
        }
        for length in [0, 1, 15, 16, 17, 4096, usize::MAX, usize::MAX - 7] {
            let mut mad = whole.clone();
            mad[..8].copy_from_slice(&length.to_ne_bytes());
            Note::read(&mad);
        }
        assert_eq!(Note::read(&[0xff; 64]), Note::default());
    }

    #[test]
    fn what_is_written_fits_and_is_read_the_same() {
        let mut control = [0xaa; CONTROL_BYTES];
        for address in [IpAddr::from([192, 168, 1, 9]), Ipv6Addr::LOCALHOST.into()] {
            let end = write(&mut control, address, Some(address), 0b10, Some(1452));
            let note = Note::read(&control[..end]);
            assert_eq!(note.ecn, 0b10);
            let mut rest = &control[..end];
            let mut kinds = Vec::new();
            while let Some((level, kind, _)) = take_item(&mut rest) {
                kinds.push((level, kind));
            }
            assert_eq!((kinds.len(), kinds[1]), (3, (SOL_UDP, UDP_SEGMENT)));
        }
        assert_eq!(write(&mut control, [1, 2, 3, 4].into(), None, 0, None), HEADER_BYTES + 8);
    }
}
