//! Transports that need more than a socket: what turns their packets into the bytes of lanes, without I/O. TCP needs
//! nothing here, its driver has the bytes.

pub mod quic;
