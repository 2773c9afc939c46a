//! X25519 points that an honest party never sends.

use mvt_proto::login::Identity;

use super::secret;

/// The field's prime 2^255 − 19, little-endian, plus `add` below 19.
fn prime_plus(add: u8) -> [u8; 32] {
    let mut point = [0xff; 32];
    point[0] = 0xed + add;
    point[31] = 0x7f;
    point
}

pub fn hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
    (0..text.len()).step_by(2).map(digit).collect()
}

fn point(text: &str) -> [u8; 32] {
    hex(text).try_into().expect("32 bytes")
}

/// Points of small order in their canonical encodings (RFC 7748, §6.1; the Wycheproof set), and all other
/// encodings of points below 2^255.
pub fn bad_points() -> Vec<[u8; 32]> {
    let mut one = [0u8; 32];
    one[0] = 1;
    let mut below_prime = prime_plus(0);
    below_prime[0] -= 1;
    let mut points = vec![
        [0u8; 32],
        one,
        below_prime,
        point("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        point("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    ];
    points.extend((0..19).map(prime_plus));
    points
}

/// The same points and an honest one with the top bit set, which X25519 ignores: a second encoding each.
pub fn with_top_bit() -> Vec<[u8; 32]> {
    let mut points = bad_points();
    points.push(*Identity::new(secret(0xe1)).public());
    points.iter_mut().for_each(|point| point[31] |= 0x80);
    points
}
