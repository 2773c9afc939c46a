//! Whom the load is for, in which protocol, and who sends it.

use std::net::SocketAddr;

use mvt_proto::{
    constants::{FRAME_BYTES_MAX, KEY_BYTES},
    login::Identity,
};

use crate::{
    io::Carrier,
    peer::exchange::{ANSWER_BYTES_MAX, Exchange},
};

/// The server.
#[derive(Debug)]
pub struct Target {
    /// The server's address, of TCP or of UDP.
    pub address: SocketAddr,
    /// What carries the bytes.
    pub carrier: Carrier,
    /// What it speaks.
    pub protocol: Protocol,
}

/// What a server speaks.
#[derive(Debug)]
pub enum Protocol {
    /// MVT.
    Mvt(Parties),
    /// Another protocol, for comparisons.
    Peer(Box<dyn Exchange>),
}

/// Who speaks MVT.
#[derive(Debug)]
pub struct Parties {
    /// The server's static public key.
    pub server_public: [u8; KEY_BYTES],
    /// Enrolled clients, at least one; sessions take them in turn.
    pub identities: Vec<Identity>,
}

impl Target {
    /// The longest frame or answer.
    #[must_use]
    pub const fn unit_bytes_max(&self) -> usize {
        match self.protocol {
            Protocol::Mvt(_) => FRAME_BYTES_MAX,
            Protocol::Peer(_) => ANSWER_BYTES_MAX,
        }
    }
}
