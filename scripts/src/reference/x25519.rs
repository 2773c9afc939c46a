//! X25519 (RFC 7748) with given private keys.

use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};

/// A private key with its public key.
#[derive(Debug, Clone, Copy)]
pub struct KeyPair {
    /// 32 bytes, clamped when used.
    pub private: [u8; 32],
    /// The u coordinate.
    pub public: [u8; 32],
}

impl KeyPair {
    /// The pair of a private key.
    pub fn new(private: [u8; 32]) -> Self {
        Self { private, public: x25519(private, X25519_BASEPOINT_BYTES) }
    }

    /// The shared secret; all zero for a public key of low order.
    pub fn dh(&self, public: &[u8; 32]) -> [u8; 32] {
        x25519(self.private, *public)
    }
}
