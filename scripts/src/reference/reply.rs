//! HELLO_R, read by a client (§10.2, §10.3).

use super::{
    frame::{Header, Parsed, Role, parse, parts},
    grant::Grant,
    hkdf::{array, hmac16},
    login::LOGIN_FRAME_BYTES,
    noise::HandshakeState,
    reject::Reject,
    schedule::{Schedule, first_generation, schedule},
};

/// The keys both sides hold after message 2.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    /// Handshake hash.
    pub h: [u8; 32],
    /// First output of Split().
    pub k1: [u8; 32],
    /// Second output of Split().
    pub k2: [u8; 32],
    /// The first generation.
    pub schedule: Schedule,
}

/// Keys of a finished handshake.
pub fn keys(noise: &HandshakeState, key_id: u64) -> Keys {
    let (h, k1, k2) = noise.finish();
    Keys { h, k1, k2, schedule: schedule(first_generation(&h, &k1, &k2), key_id, 0) }
}

/// Joins a HELLO_R and tags it under CF_0; `message` is Noise message 2.
pub fn finish_hello_r(cf0: &[u8; 32], login_id: u64, message: &[u8]) -> Vec<u8> {
    let header = Header { counter: login_id, ..Header::of("HELLO_R") }.encode(message.len());
    [header.as_slice(), message, &hmac16(cf0, &[&header, message])].concat()
}

/// A HELLO_R whose Noise payload is `payload`, which starts with a key id.
pub fn hello_r(noise: &HandshakeState, login_id: u64, payload: &[u8]) -> (Vec<u8>, Keys) {
    let mut noise = noise.clone();
    let message = noise.write(payload).expect("the client's key is a good one");
    let keys = keys(&noise, u64::from_be_bytes(array(&payload[..8])));
    (finish_hello_r(&keys.schedule.cf, login_id, &message), keys)
}

/// What a client makes of a HELLO_R: frame, length, login id, Noise, fields, tag.
pub fn read_hello_r(
    noise: &HandshakeState,
    login_id: u64,
    offered: &[u16],
    frame: &[u8],
) -> Result<(Grant, Keys), Reject> {
    let Parsed::Frame(header, payload_bytes) = parse(Role::Client, frame)? else {
        return Err(Reject::Length);
    };
    if header.kind != Header::of("HELLO_R").kind || payload_bytes + 44 != frame.len() {
        return Err(Reject::Kind);
    }
    if frame.len() > LOGIN_FRAME_BYTES || header.counter != login_id {
        return Err(Reject::Field);
    }
    let (bytes, message, tag) = parts(frame);
    let mut noise = noise.clone();
    let grant = Grant::decode(&noise.read(message)?, offered)?;
    let keys = keys(&noise, grant.key_id);
    if hmac16(&keys.schedule.cf, &[bytes, message]) != tag {
        return Err(Reject::BadTag);
    }
    Ok((grant, keys))
}
