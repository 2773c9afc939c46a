//! The sending side: places that hold packets with address and control data until the kernel is done with them.

use std::net::{IpAddr, SocketAddr};

use socket2::SockAddr;

use super::control::{self, CONTROL_BYTES};

/// Transmissions in flight. Each is tried while it is submitted, so that more wait for one turn at most.
const PLACES_COUNT: usize = 32;

/// Packets of one size for one peer, to be cut apart by the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outbound {
    /// Who gets them.
    pub destination: SocketAddr,
    /// The address of ours they come from; `None` leaves it to the kernel.
    pub source: Option<IpAddr>,
    /// Their congestion mark, two bits.
    pub ecn: u8,
    /// Bytes of each packet but the last one, which may be shorter; `None` for a single one.
    pub segment_bytes: Option<u16>,
}

/// One transmission. Invariant: while it is in flight the kernel may read all of it and nothing in it is changed or moved.
struct Place {
    is_in_flight: bool,
    is_segmented: bool,
    /// The socket was full; the kernel sends it when it is not.
    is_waiting: bool,
    bytes: Vec<u8>,
    address: SockAddr,
    control: [u8; CONTROL_BYTES],
    vector: libc::iovec,
    message: libc::msghdr,
}

/// The places. Those free are used again last first, for what was sent last is still in the cache.
pub(super) struct Outbox {
    places: Box<[Place]>,
    free: Vec<u32>,
    waiting_count: usize,
}

impl Outbox {
    pub(super) fn new() -> Self {
        let place = || Place {
            is_in_flight: false,
            is_segmented: false,
            is_waiting: false,
            bytes: Vec::new(),
            address: SockAddr::from(SocketAddr::from(([0; 4], 0))),
            control: [0; CONTROL_BYTES],
            // SAFETY: structs of integers and pointers, for which zero is a value.
            vector: unsafe { std::mem::zeroed() },
            // SAFETY: likewise.
            message: unsafe { std::mem::zeroed() },
        };
        let places = (0..PLACES_COUNT).map(|_| place()).collect();
        Self { places, free: (0..PLACES_COUNT as u32).rev().collect(), waiting_count: 0 }
    }

    /// The buffer that the next transmission is to be written to, empty; `None` while all are in flight, or some wait.
    pub(super) fn buffer(&mut self) -> Option<&mut Vec<u8>> {
        if self.is_full() {
            return None;
        }
        let bytes = &mut self.places[*self.free.last()? as usize].bytes;
        bytes.clear();
        Some(bytes)
    }

    /// What was written to [`Outbox::buffer`], now in flight, with the address of its message.
    pub(super) fn take(&mut self, outbound: &Outbound) -> (u32, *const libc::msghdr) {
        let index = self.free.pop().expect("a buffer was written to");
        let place = &mut self.places[index as usize];
        assert!(!place.is_in_flight && !place.bytes.is_empty(), "something to send");
        place.is_in_flight = true;
        place.address = SockAddr::from(outbound.destination);
        let Outbound { destination, source, ecn, segment_bytes } = *outbound;
        // One packet is not cut: some network cards cannot.
        let segment_bytes = segment_bytes.filter(|bytes| usize::from(*bytes) < place.bytes.len());
        place.is_segmented = segment_bytes.is_some();
        let length = control::write(&mut place.control, destination.ip(), source, ecn, segment_bytes);
        place.vector.iov_base = place.bytes.as_mut_ptr().cast();
        place.vector.iov_len = place.bytes.len();
        place.message.msg_name = place.address.as_ptr().cast_mut().cast();
        place.message.msg_namelen = place.address.len();
        place.message.msg_iov = &raw mut place.vector;
        place.message.msg_iovlen = 1;
        place.message.msg_control = place.control.as_mut_ptr().cast();
        place.message.msg_controllen = length;
        (index, self.message(index))
    }

    /// The message at `index`, again.
    pub(super) fn message(&self, index: u32) -> *const libc::msghdr {
        let place = &self.places[index as usize];
        assert!(place.is_in_flight, "a transmission under way");
        &raw const place.message
    }

    /// Whether the socket was full.
    pub(super) const fn is_full(&self) -> bool {
        self.waiting_count > 0
    }

    /// The socket was too full for the transmission at `index`, which is to be sent again.
    pub(super) fn wait(&mut self, index: u32) {
        let place = &mut self.places[index as usize];
        if !std::mem::replace(&mut place.is_waiting, true) {
            self.waiting_count += 1;
        }
    }

    /// The transmission at `index` has completed; whether the kernel was to cut it apart.
    pub(super) fn put_back(&mut self, index: u32) -> bool {
        let place = &mut self.places[index as usize];
        assert!(std::mem::replace(&mut place.is_in_flight, false), "one completion for one transmission");
        if std::mem::replace(&mut place.is_waiting, false) {
            self.waiting_count -= 1;
        }
        self.free.push(index);
        place.is_segmented
    }
}
