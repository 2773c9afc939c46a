//! RETRY frames (§14).

use super::{
    frame::{Header, Parsed, Role, parse, parts},
    hkdf::hmac16,
    login::mac1_key,
    reject::Reject,
};

/// Status of a RETRY that carries a cookie.
pub const COOKIE: u16 = 1;
/// Status of a RETRY that carries milliseconds to wait.
pub const BUSY: u16 = 2;

/// The RETRY that answers `hello`.
pub fn retry(server_public: &[u8; 32], hello: &[u8], status: u16, payload: &[u8]) -> Vec<u8> {
    let login_id = Header::decode(hello).counter;
    let header = Header { op: status, counter: login_id, ..Header::of("RETRY") }.encode(payload.len());
    let (_, _, mac1) = parts(hello);
    let tag = hmac16(&mac1_key(server_public), &[b"mvt1 retry", &header, payload, mac1]);
    [header.as_slice(), payload, &tag].concat()
}

/// Status and payload of a RETRY that answers `hello`: frame, tag, inner length.
pub fn open_retry(server_public: &[u8; 32], hello: &[u8], frame: &[u8]) -> Result<(u16, Vec<u8>), Reject> {
    let Parsed::Frame(header, _) = parse(Role::Client, frame)? else { return Err(Reject::Length) };
    if header.kind != Header::of("RETRY").kind {
        return Err(Reject::Kind);
    }
    let (_, payload, _) = parts(frame);
    if frame != retry(server_public, hello, header.op, payload) {
        return Err(Reject::BadTag);
    }
    match (header.op, payload.len()) {
        (COOKIE, 16) | (BUSY, 4) => Ok((header.op, payload.to_vec())),
        _ => Err(Reject::Field),
    }
}
