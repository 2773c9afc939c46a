//! Where the kernel writes the address of the peer of an accepted connection.

use std::{cell::UnsafeCell, net::SocketAddr};

use socket2::{SockAddr, SockAddrStorage};

/// Accepts in flight. A multishot accept would write every address to the same place, so that two connections accepted
/// in one turn would be seen with one address; these have a place each.
pub(super) const ACCEPTS_MAX: usize = 16;

/// An address and its length, as accept(2) writes them.
struct Place {
    address: UnsafeCell<SockAddrStorage>,
    length: UnsafeCell<u32>,
    is_in_flight: bool,
}

/// The places. Invariant: the kernel writes only to those in flight; we read only those that are not.
pub(super) struct Accepts {
    places: Box<[Place]>,
}

impl Accepts {
    pub(super) fn new() -> Self {
        let place = || Place {
            address: UnsafeCell::new(SockAddrStorage::zeroed()),
            length: UnsafeCell::new(0),
            is_in_flight: false,
        };
        Self { places: (0..ACCEPTS_MAX).map(|_| place()).collect() }
    }

    /// A place that no accept uses, now in flight, with the addresses of its two fields.
    pub(super) fn take(&mut self) -> Option<(u32, *mut SockAddrStorage, *mut u32)> {
        let index = self.places.iter().position(|place| !place.is_in_flight)?;
        let place = &mut self.places[index];
        place.is_in_flight = true;
        *place.length.get_mut() = SockAddrStorage::zeroed().size_of();
        Some((index as u32, place.address.get(), place.length.get()))
    }

    /// The accept at `index` has completed.
    pub(super) fn put_back(&mut self, index: u32) {
        let place = &mut self.places[index as usize];
        assert!(place.is_in_flight, "one completion for one accept");
        place.is_in_flight = false;
    }

    /// The address last written to `index`.
    pub(super) fn peer(&mut self, index: u32) -> Option<SocketAddr> {
        let place = &mut self.places[index as usize];
        assert!(!place.is_in_flight, "the kernel is done with it");
        let storage = std::mem::replace(place.address.get_mut(), SockAddrStorage::zeroed());
        let length = (*place.length.get_mut()).min(storage.size_of());
        // SAFETY: the storage was zeroed and then written by accept, which gave the length of what it wrote.
        unsafe { SockAddr::new(storage, length) }.as_socket()
    }

    /// The places in flight.
    pub(super) fn in_flight(&self) -> impl Iterator<Item = u32> + '_ {
        let places = self.places.iter().enumerate();
        places.filter(|(_, place)| place.is_in_flight).map(|(index, _)| index as u32)
    }
}
