//! LOST frames (§9).

use super::{
    frame::{Header, parts},
    hkdf::{array, hmac16},
    label::label32,
    reject::Reject,
};

/// The key a client holds for its key id, or the one of a decoy.
fn key(reset_secret: &[u8; 32], name: &str, node_slot: u16, key_id: u64) -> [u8; 16] {
    let node = label32(reset_secret, name, &node_slot.to_be_bytes());
    hmac16(&node, &[&key_id.to_be_bytes()])
}

/// lost_key of a key id.
pub fn lost_key(reset_secret: &[u8; 32], node_slot: u16, key_id: u64) -> [u8; 16] {
    key(reset_secret, "lost node", node_slot, key_id)
}

/// decoy_key of a key id.
pub fn decoy_key(reset_secret: &[u8; 32], node_slot: u16, key_id: u64) -> [u8; 16] {
    key(reset_secret, "decoy node", node_slot, key_id)
}

/// The LOST frame that answers `request` under a key.
pub fn lost_frame(key: &[u8; 16], request: &[u8]) -> Vec<u8> {
    let (header, _, tag) = parts(request);
    let echo = Header { flags: 0, op: 0, kind: Header::of("LOST").kind, ..Header::decode(request) };
    let lost_tag = hmac16(key, &[b"mvt1 lost", header, tag]);
    [echo.encode(0).as_slice(), &lost_tag].concat()
}

/// §9.3: whether a LOST frame is genuine for an outstanding request.
pub fn verify_lost(lost_key: &[u8], request: &[u8], frame: &[u8]) -> Result<(), Reject> {
    if frame == lost_frame(&array(lost_key), request) { Ok(()) } else { Err(Reject::BadTag) }
}
