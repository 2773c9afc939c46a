//! Public keys that §10.3.1 lets pass.

use super::x25519::KeyPair;

/// 2^255 − 19, little-endian.
const PRIME: [u8; 32] = {
    let mut prime = [0xff; 32];
    prime[0] = 0xed;
    prime[31] = 0x7f;
    prime
};

/// Whether a public key is below 2^255 − 19.
pub fn canonical(public: &[u8; 32]) -> bool {
    public.iter().rev().lt(PRIME.iter().rev())
}

/// The shared secret, unless the key is not canonical or the secret is all zero.
pub fn shared(own: &KeyPair, public: &[u8; 32]) -> Option<[u8; 32]> {
    let secret = own.dh(public);
    (canonical(public) && secret != [0; 32]).then_some(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prime_and_all_above_are_not_canonical() {
        let mut below = PRIME;
        below[0] -= 1;
        assert!(canonical(&below) && canonical(&[0; 32]));
        assert!(!canonical(&PRIME) && !canonical(&[0xff; 32]));
        let mut high = [0; 32];
        high[31] = 0x80;
        assert!(!canonical(&high));
    }
}
