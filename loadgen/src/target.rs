//! Whom the load is for, and who sends it.

use std::net::SocketAddr;

use mvt_proto::{constants::KEY_BYTES, login::Identity};

/// The server and the identity that logs in to it.
#[derive(Debug)]
pub struct Target {
    /// The server's TCP address.
    pub address: SocketAddr,
    /// The server's static public key.
    pub server_public: [u8; KEY_BYTES],
    /// An enrolled client.
    pub identity: Identity,
}
