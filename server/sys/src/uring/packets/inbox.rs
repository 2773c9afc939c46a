//! The receiving side: buffers that the kernel fills with address, control data and packets.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
};

use io_uring::types::RecvMsgOut;

use super::control::{CONTROL_BYTES, Note};
use crate::uring::buffers::{Buffers, Filled, Shape};

/// Bytes of the largest address we can be reached from: `sockaddr_in6`.
const NAME_BYTES: usize = size_of::<libc::sockaddr_in6>();
/// What the kernel joins at most: an IP packet's worth.
const PACKETS_BYTES_MAX: usize = 64 * 1024;

/// 32 buffers: as many calls as the kernel makes at one wake-up. Only what arrives is written, so that 32 lone packets touch
/// 64 KiB and 32 trains of ten packets 512 KiB, the second-level cache.
pub(in crate::uring) const SHAPE: Shape = Shape { group: 1, count: 32, bytes: PACKETS_BYTES_MAX + 4096 };

const _: () = assert!(16 + NAME_BYTES + CONTROL_BYTES <= 4096);

/// Packets of one peer that were received together, in a buffer to be given back.
#[must_use = "a buffer that is not recycled is lost to the ring"]
#[derive(Debug)]
pub struct Inbound {
    /// Who sent them.
    pub remote: SocketAddr,
    /// The address they were sent to, where the socket was set to tell.
    pub local_ip: Option<IpAddr>,
    /// Their congestion mark, two bits.
    pub ecn: u8,
    /// Bytes of each packet but the last one, which may be shorter.
    pub stride: usize,
    begin: usize,
    pub(super) filled: Filled,
}

/// The buffers with the form that says what the kernel writes to them.
pub(super) struct Inbox {
    pub(super) buffers: Buffers,
    /// Read by the kernel for as long as a receive is in flight; never changed.
    form: Box<libc::msghdr>,
}

impl Inbox {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: a struct of integers and pointers, for which zero is a value.
        let mut form: Box<libc::msghdr> = Box::new(unsafe { std::mem::zeroed() });
        form.msg_namelen = NAME_BYTES as u32;
        form.msg_controllen = CONTROL_BYTES;
        Ok(Self { buffers: Buffers::new(SHAPE)?, form })
    }

    /// The address of the form; it stays there as long as the inbox.
    pub(super) fn form(&self) -> *const libc::msghdr {
        &raw const *self.form
    }

    /// What a completion brought; `Err` is the buffer of packets that nothing can be done with: cut off by the kernel, from
    /// nobody, or sent to an address of many hosts.
    pub(super) fn read(&self, filled: Filled) -> Result<Inbound, Filled> {
        match self.parse(&filled) {
            Some((remote, note, begin, byte_count)) => {
                let stride = note.stride.filter(|stride| *stride > 0).unwrap_or(byte_count.max(1));
                let Note { local_ip, ecn, .. } = note;
                Ok(Inbound { remote, local_ip, ecn, stride, begin, filled })
            }
            None => Err(filled),
        }
    }

    fn parse(&self, filled: &Filled) -> Option<(SocketAddr, Note, usize, usize)> {
        let bytes = self.buffers.bytes(filled);
        let out = RecvMsgOut::parse(bytes, &self.form).ok()?;
        // Without its control data nobody knows where one packet ends and the next begins.
        if out.is_payload_truncated() || out.is_control_data_truncated() {
            return None;
        }
        let note = Note::read(out.control_data());
        if note.is_shared {
            return None;
        }
        let byte_count = out.payload_data().len();
        Some((address_of(out.name_data())?, note, bytes.len() - byte_count, byte_count))
    }

    pub(super) fn packets(&self, inbound: &Inbound) -> &[u8] {
        &self.buffers.bytes(&inbound.filled)[inbound.begin..]
    }
}

/// The `sockaddr_in` or `sockaddr_in6` that these bytes are.
fn address_of(name: &[u8]) -> Option<SocketAddr> {
    let family = i32::from(u16::from_ne_bytes(*name.first_chunk()?));
    let port = u16::from_be_bytes(*name.get(2..)?.first_chunk()?);
    match family {
        libc::AF_INET => {
            let octets: &[u8; 4] = name.get(4..)?.first_chunk()?;
            Some(SocketAddr::from((Ipv4Addr::from(*octets), port)))
        }
        libc::AF_INET6 => {
            let flow = u32::from_ne_bytes(*name.get(4..)?.first_chunk()?);
            let octets: &[u8; 16] = name.get(8..)?.first_chunk()?;
            let scope = u32::from_ne_bytes(*name.get(24..)?.first_chunk()?);
            Some(SocketAddrV6::new(Ipv6Addr::from(*octets), port, flow, scope).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of an address as the system library lays them out.
    fn bytes_of(address: SocketAddr) -> Vec<u8> {
        let address = socket2::SockAddr::from(address);
        // SAFETY: an initialised address of that length.
        unsafe { std::slice::from_raw_parts(address.as_ptr().cast::<u8>(), address.len() as usize) }.to_vec()
    }

    #[test]
    fn addresses_are_read_as_the_system_writes_them() {
        let six = SocketAddrV6::new(Ipv6Addr::new(0xfe80, 1, 2, 3, 4, 5, 6, 7), 443, 0, 3);
        for address in [SocketAddr::from(([10, 1, 2, 3], 4567)), six.into()] {
            let bytes = bytes_of(address);
            assert_eq!(address_of(&bytes), Some(address));
            for end in 0..bytes.len().min(8) {
                assert_eq!(address_of(&bytes[..end]), None, "{end} bytes of {address}");
            }
        }
        assert_eq!(address_of(&[1, 0, 9, 9, 9, 9, 9, 9]), None, "another family");
    }
}
