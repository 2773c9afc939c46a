//! Test vectors of RFC 7748, and the two libraries against each other where both are built.

use crate::{BYTES, agree, portable, public_of};

fn bytes(hex: &str) -> [u8; BYTES] {
    core::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex"))
}

/// SplitMix64, so that every run sees the same keys.
fn random(seed: &mut u64) -> [u8; BYTES] {
    let mut out = [0; BYTES];
    for piece in out.chunks_mut(8) {
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = *seed;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        piece.copy_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    out
}

/// RFC 7748 §5.2, the two vectors.
#[test]
fn single_agreements_are_those_of_the_rfc() {
    for (private, public, expected) in [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
    ] {
        let mut shared = [0; BYTES];
        assert!(agree(&bytes(private), &bytes(public), &mut shared));
        assert_eq!(shared, bytes(expected));
    }
}

/// RFC 7748 §5.2, after one and after a thousand rounds.
#[test]
fn agreements_in_a_row_are_those_of_the_rfc() {
    let (mut private, mut public) = (public_nine(), public_nine());
    for round in 1..=1000 {
        let mut shared = [0; BYTES];
        assert!(agree(&private, &public, &mut shared));
        (public, private) = (private, shared);
        if round == 1 {
            assert_eq!(private, bytes("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"));
        }
    }
    assert_eq!(private, bytes("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"));
}

fn public_nine() -> [u8; BYTES] {
    let mut nine = [0; BYTES];
    nine[0] = 9;
    nine
}

/// RFC 7748 §6.1: both sides of the example.
#[test]
fn public_keys_are_those_of_the_rfc() {
    for (private, public) in [
        (
            "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
        ),
        (
            "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
            "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
        ),
    ] {
        assert_eq!(public_of(&bytes(private)), bytes(public));
    }
}

#[test]
fn what_is_of_low_order_gives_no_secret() {
    let (mut seed, mut shared) = (1, [7; BYTES]);
    let one = core::array::from_fn(|at| u8::from(at == 0));
    for point in [[0; BYTES], one] {
        assert!(!agree(&random(&mut seed), &point, &mut shared));
        assert_eq!(shared, [0; BYTES]);
    }
}

/// As likely on the twist as not, and with the bit that is not looked at.
#[test]
fn both_libraries_agree() {
    let mut seed = 2;
    for _ in 0..1_000 {
        let (private, point) = (random(&mut seed), random(&mut seed));
        let (mut ours, mut other) = ([0; BYTES], [1; BYTES]);
        assert_eq!(agree(&private, &point, &mut ours), portable::agree(&private, &point, &mut other));
        assert_eq!(ours, other);
        assert_eq!(public_of(&private), portable::public_of(&private));
    }
}
