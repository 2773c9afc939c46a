//! The fixed-size name of a client (SPEC §12.1.1).

use core::fmt;

use sha2::{Digest, Sha256};

use crate::constants::CLIENT_ID_BYTES;

/// What a ticket, a session or a revocation calls a client: 16 bytes that follow from its name of enrolment. Not secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId([u8; CLIENT_ID_BYTES]);

impl ClientId {
    /// From its 16 bytes, as a ticket carries them.
    #[must_use]
    pub const fn new(bytes: [u8; CLIENT_ID_BYTES]) -> Self {
        Self(bytes)
    }

    /// `SHA-256("mvt1 client" || name)[..16]` (§12.1.1).
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let digest = Sha256::new().chain_update(b"mvt1 client").chain_update(name.as_bytes()).finalize();
        let mut bytes = [0; CLIENT_ID_BYTES];
        bytes.copy_from_slice(&digest[..CLIENT_ID_BYTES]);
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; CLIENT_ID_BYTES] {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    /// §12.1.1. The digest is `printf 'mvt1 clientalice' | sha256sum`.
    #[test]
    fn a_client_id_is_the_truncated_hash_of_its_name() {
        let id = ClientId::of_name("alice");
        assert_eq!(id.to_string(), "821e06a5c1a8c31ebca0e90f5da6a454");
        assert_eq!(ClientId::new(*id.as_bytes()), id);
        assert_ne!(ClientId::of_name("alicf"), id);
    }
}
