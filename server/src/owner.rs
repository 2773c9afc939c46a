//! Whose session it is: what revocation compares.

use mvt_proto::{ClientId, constants::CLIENT_ID_BYTES};

/// Who authenticated, with an identity key, to get a session; resuming keeps the time of that authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The client.
    pub client: ClientId,
    /// Server time of the authentication, ms, read **before** the client was looked up: so a login that still found a client
    /// which a revocation takes away is not younger than that revocation.
    pub authenticated_ms: u64,
}

impl Owner {
    /// Of a place without a session.
    pub const NOBODY: Self = Self { client: ClientId::new([0; CLIENT_ID_BYTES]), authenticated_ms: 0 };
}
