//! X25519 that refuses what RFC 7748 leaves to the protocol: other encodings, and an all-zero result (SPEC §10.3.1).

use crate::{constants::KEY_BYTES, secret::Secret};

/// A key pair that serves one agreement.
#[derive(Debug)]
pub struct Ephemeral {
    pub(crate) private: Secret,
    pub(crate) public: [u8; KEY_BYTES],
}

impl Ephemeral {
    /// The pair of 32 random bytes.
    #[must_use]
    pub fn new(private: Secret) -> Self {
        let public = public_of(&private);
        Self { private, public }
    }
}

/// The public key of a private one.
#[must_use]
pub fn public_of(private: &Secret) -> [u8; KEY_BYTES] {
    mvt_x25519::public_of(private.expose())
}

/// The points whose order divides 8, on the curve or its twist, each in its one encoding (RFC 7748 §6.1).
const LOW_ORDER: [[u8; KEY_BYTES]; 5] = {
    let mut points = [[0; KEY_BYTES]; 5];
    points[1][0] = 1;
    points[2] = [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda,
        0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ];
    points[3] = [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04,
        0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ];
    points[4] = [0xff; KEY_BYTES];
    points[4][0] = 0xec;
    points[4][31] = 0x7f;
    points
};

/// Whether [`agree`] gives a secret for `public`, whatever the private key, found without computing it: a clamped scalar is a
/// multiple of 8 below eight times either large prime order, so it takes the points of low order to zero and no others.
/// Public keys only: may branch.
#[must_use]
pub fn is_usable(public: &[u8; KEY_BYTES]) -> bool {
    is_canonical(public) && !LOW_ORDER.contains(public)
}

/// The shared secret; `None` when `public` is not canonical, or the secret would be all zero.
#[must_use]
pub fn agree(private: &Secret, public: &[u8; KEY_BYTES]) -> Option<Secret> {
    if !is_canonical(public) {
        return None;
    }
    let mut shared = Secret::blank();
    mvt_x25519::agree(private.expose(), public, shared.expose_mut()).then_some(shared)
}

/// Whether a u-coordinate is below 2^255 − 19, its one encoding. Public keys only: may branch.
#[must_use]
pub fn is_canonical(point: &[u8; KEY_BYTES]) -> bool {
    let all_ones = point[1..31].iter().all(|byte| *byte == 0xff);
    point[31] < 0x7f || (point[31] == 0x7f && !(all_ones && point[0] >= 0xed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_points_of_low_order_are_those_that_give_no_secret() {
        for fill in [0x00, 0x01, 0x40, 0x7f, 0xa5, 0xff] {
            let pair = Ephemeral::new(Secret::new([fill; KEY_BYTES]));
            for point in LOW_ORDER {
                assert!(is_canonical(&point) && !is_usable(&point));
                assert!(agree(&pair.private, &point).is_none());
            }
            for seed in 0..64 {
                let public = public_of(&Secret::new([seed; KEY_BYTES]));
                assert!(is_usable(&public) && agree(&pair.private, &public).is_some());
                // As likely on the twist as not.
                let mut point = public;
                point[31] = 0x11;
                assert_eq!(is_usable(&point), agree(&pair.private, &point).is_some());
            }
        }
    }
}
