//! GCM256: AES-256-GCM under the request key, header and binding as associated bytes (SPEC §4.1).

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{AeadInOut, Nonce, Tag},
};

use crate::{
    constants::{HEADER_BYTES, TAG_BYTES},
    secret::Secret,
};

pub(super) fn seal(key: &Secret, frame: &mut [u8], bound_to: &[u8]) {
    let (header, payload, tag) = split(frame);
    let (associated, length) = associated(header, bound_to);
    let made = Aes256Gcm::new(key.expose().into())
        .encrypt_inout_detached(&nonce(header), &associated[..length], payload.into())
        .expect("a payload is far below GCM's bound");
    tag.copy_from_slice(&made);
}

pub(super) fn open(key: &Secret, frame: &mut [u8], bound_to: &[u8]) -> bool {
    let (header, payload, tag) = split(frame);
    let (associated, length) = associated(header, bound_to);
    let tag = Tag::<Aes256Gcm>::try_from(&*tag).expect("16 bytes");
    Aes256Gcm::new(key.expose().into())
        .decrypt_inout_detached(&nonce(header), &associated[..length], payload.into(), &tag)
        .is_ok()
}

/// Byte 2 ‖ byte 3 ‖ op or status ‖ u16 0 ‖ timestamp.
fn nonce(header: &[u8]) -> Nonce<Aes256Gcm> {
    let mut nonce = [0u8; 12];
    nonce[..2].copy_from_slice(&header[2..4]);
    nonce[2..4].copy_from_slice(&header[14..16]);
    nonce[6..].copy_from_slice(&header[22..28]);
    nonce.into()
}

fn associated(header: &[u8], bound_to: &[u8]) -> ([u8; HEADER_BYTES + TAG_BYTES], usize) {
    let mut bytes = [0u8; HEADER_BYTES + TAG_BYTES];
    let length = HEADER_BYTES + bound_to.len();
    bytes[..HEADER_BYTES].copy_from_slice(header);
    bytes[HEADER_BYTES..length].copy_from_slice(bound_to);
    (bytes, length)
}

fn split(frame: &mut [u8]) -> (&[u8], &mut [u8], &mut [u8]) {
    let (header, rest) = frame.split_at_mut(HEADER_BYTES);
    let (payload, tag) = rest.split_at_mut(rest.len() - TAG_BYTES);
    (header, payload, tag)
}
