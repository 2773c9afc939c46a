//! Where the kernel writes the address of the peer of an accepted connection.

use std::{cell::UnsafeCell, net::SocketAddr};

use socket2::{SockAddr, SockAddrStorage};

/// An address and its length, as accept(2) writes them.
struct Place {
    address: UnsafeCell<SockAddrStorage>,
    length: UnsafeCell<u32>,
    is_in_flight: bool,
}

/// A place for each accept queue. A multishot accept would write every address to the same place, so that two connections accepted in
/// one turn would be seen with one address. Invariant: the kernel writes only to those in flight; we read only those that are not.
pub(super) struct Accepts {
    places: Box<[Place]>,
}

impl Accepts {
    pub(super) fn new(count: usize) -> Self {
        let place = || Place {
            address: UnsafeCell::new(SockAddrStorage::zeroed()),
            length: UnsafeCell::new(0),
            is_in_flight: false,
        };
        Self { places: (0..count).map(|_| place()).collect() }
    }

    /// The addresses of the two fields of `index`, now in flight; `None` where it is.
    pub(super) fn take(&mut self, index: usize) -> Option<(*mut SockAddrStorage, *mut u32)> {
        let place = &mut self.places[index];
        if std::mem::replace(&mut place.is_in_flight, true) {
            return None;
        }
        *place.length.get_mut() = SockAddrStorage::zeroed().size_of();
        Some((place.address.get(), place.length.get()))
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
