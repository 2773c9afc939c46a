//! HS256: HMAC-SHA256 truncated to 128 bits over header, payload and what the frame is bound to (SPEC §4).

use mvt_lanes::{HmacKey, mac_parts};
use subtle::ConstantTimeEq;

use crate::constants::TAG_BYTES;

pub(super) fn seal(key: &HmacKey, frame: &mut [u8], bound_to: &[u8]) {
    let (signed, tag) = frame.split_at_mut(frame.len() - TAG_BYTES);
    tag.copy_from_slice(&mac_parts(key, &[signed, bound_to])[..TAG_BYTES]);
}

pub(super) fn open(key: &HmacKey, frame: &[u8], bound_to: &[u8]) -> bool {
    let (signed, tag) = frame.split_at(frame.len() - TAG_BYTES);
    mac_parts(key, &[signed, bound_to])[..TAG_BYTES].ct_eq(tag).into()
}
