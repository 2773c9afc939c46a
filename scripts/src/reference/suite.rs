//! Suites: how requests and answers are sealed and opened (§4).

use super::{
    frame::{HEADER_BYTES, Header, SEALED, TAG_BYTES, parts},
    hkdf::hmac16,
    reject::Reject,
};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// The suites of §4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// HMAC-SHA256, payload readable.
    Hs256,
    /// AES-256-GCM.
    Gcm256,
}

impl Suite {
    /// The suite of an id.
    pub fn of(id: u64) -> Option<Self> {
        match id {
            1 => Some(Self::Hs256),
            2 => Some(Self::Gcm256),
            _ => None,
        }
    }

    fn sealed(self) -> u8 {
        if self == Self::Gcm256 { SEALED } else { 0 }
    }
}

/// AES-256-GCM with ring; the tag follows the text.
pub(super) fn gcm_seal(key: &[u8; 32], nonce: [u8; 12], aad: &[u8], text: &[u8]) -> Vec<u8> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("32 bytes"));
    let mut text = text.to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut text)
        .expect("the text is short");
    text
}

/// The inverse of [`gcm_seal`]; `None` if the tag is wrong.
pub(super) fn gcm_open(key: &[u8; 32], nonce: [u8; 12], aad: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("32 bytes"));
    let mut text = text.to_vec();
    let plain = key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut text).ok()?;
    Some(plain.to_vec())
}

/// §4.1: byte 2 ‖ byte 3 ‖ op or status ‖ u16 0 ‖ timestamp.
pub(super) fn gcm_nonce(header: &[u8]) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[0..2].copy_from_slice(&header[2..4]);
    nonce[2..4].copy_from_slice(&header[14..16]);
    nonce[6..12].copy_from_slice(&header[22..28]);
    nonce
}

/// Seals a frame; `request_tag` is empty for a request. The sealed flag follows from the suite.
pub fn seal(suite: Suite, k_req: &[u8; 32], header: Header, payload: &[u8], request_tag: &[u8]) -> Vec<u8> {
    let header = Header { flags: header.flags & !SEALED | suite.sealed(), ..header };
    let bytes = header.encode(payload.len());
    let body = match suite {
        Suite::Hs256 => [payload, &hmac16(k_req, &[&bytes, payload, request_tag])].concat(),
        Suite::Gcm256 => gcm_seal(k_req, gcm_nonce(&bytes), &[&bytes, request_tag].concat(), payload),
    };
    [bytes.as_slice(), &body].concat()
}

/// Opens a whole frame; the payload, or a bad tag.
pub fn open(suite: Suite, k_req: &[u8; 32], frame: &[u8], request_tag: &[u8]) -> Result<Vec<u8>, Reject> {
    assert!(frame.len() >= HEADER_BYTES + TAG_BYTES, "only whole frames are opened");
    let (header, payload, tag) = parts(frame);
    if header[3] & SEALED != suite.sealed() {
        return Err(Reject::BadTag);
    }
    match suite {
        Suite::Hs256 if hmac16(k_req, &[header, payload, request_tag]) == tag => Ok(payload.to_vec()),
        Suite::Hs256 => Err(Reject::BadTag),
        Suite::Gcm256 => {
            let aad = [header, request_tag].concat();
            gcm_open(k_req, gcm_nonce(header), &aad, &frame[HEADER_BYTES..]).ok_or(Reject::BadTag)
        }
    }
}
