//! HKDF-SHA256 (RFC 5869) written out over ring's HMAC.

use ring::{digest, hmac};

/// SHA-256 of `data`.
pub fn sha256(data: &[u8]) -> [u8; 32] {
    array(digest::digest(&digest::SHA256, data).as_ref())
}

/// HMAC-SHA256 (RFC 2104) of the concatenation of `parts`.
pub fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    array(hmac::sign(&key, &parts.concat()).as_ref())
}

/// The first 16 bytes of [`hmac`]: the tag of every HMAC frame.
pub fn hmac16(key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    array(&hmac(key, parts)[..16])
}

/// HKDF-Extract, RFC 5869 §2.2.
pub fn extract(salt: &[u8], ikm: &[u8]) -> [u8; 32] {
    hmac(salt, &[ikm])
}

/// HKDF-Expand, RFC 5869 §2.3; `bytes` is at most 255 × 32.
pub fn expand(prk: &[u8], info: &[u8], bytes: usize) -> Vec<u8> {
    assert!(bytes <= 255 * 32, "RFC 5869 bounds the output");
    let mut out = Vec::new();
    let mut block = Vec::new();
    for i in 1..=255_u8 {
        if out.len() >= bytes {
            break;
        }
        block = hmac(prk, &[&block, info, &[i]]).to_vec();
        out.extend_from_slice(&block);
    }
    out.truncate(bytes);
    out
}

/// `bytes` as an array; the caller knows the length.
pub fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the caller knows the length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex::{decode, encode};

    /// RFC 5869, appendix A.1.
    #[test]
    fn hkdf_agrees_with_rfc5869_case_1() {
        let prk = extract(&decode("000102030405060708090a0b0c").unwrap(), &[0x0b; 22]);
        assert_eq!(encode(&prk), "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
        let okm = expand(&prk, &decode("f0f1f2f3f4f5f6f7f8f9").unwrap(), 42);
        assert_eq!(
            encode(&okm),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        );
    }

    /// RFC 4231, test cases 1 and 2.
    #[test]
    fn hmac_agrees_with_rfc4231() {
        assert_eq!(
            encode(&hmac(&[0x0b; 20], &[b"Hi There"])),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            encode(&hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"])),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
