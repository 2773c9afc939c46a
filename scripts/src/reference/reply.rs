//! HELLO_R, and what a client makes of it (§10.2, §10.3).

use super::{
    frame::{Header, Parsed, Role, parse, parts},
    hkdf::{array, hmac16},
    login::LOGIN_FRAME_BYTES,
    noise::HandshakeState,
    reject::Reject,
    replay::window_bits_valid,
    schedule::{Schedule, first_generation, schedule},
};

/// Longest ticket of a HELLO_R.
pub const TICKET_BYTES_MAX: usize = 368;

/// The Noise payload of message 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Not 0.
    pub key_id: u64,
    /// One of the HELLO's list.
    pub suite: u16,
    /// T_0.
    pub server_time: u64,
    /// Soft limit of requests.
    pub renew_after_requests: u32,
    /// Hard limit of requests, not below the soft one.
    pub reject_after_requests: u32,
    /// Soft limit of age.
    pub renew_after_ms: u32,
    /// Hard limit of age, not below the soft one.
    pub reject_after_ms: u32,
    /// 64 to 8192, a power of two.
    pub replay_window_bits: u16,
    /// The key of a genuine LOST.
    pub lost_key: [u8; 16],
    /// Opaque, 0 to 368 bytes.
    pub ticket: Vec<u8>,
}

impl Reply {
    /// The bytes of §10.2.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&self.key_id.to_be_bytes());
        out.extend_from_slice(&self.suite.to_be_bytes());
        out.extend_from_slice(&self.server_time.to_be_bytes()[2..]);
        out.extend_from_slice(&self.renew_after_requests.to_be_bytes());
        out.extend_from_slice(&self.reject_after_requests.to_be_bytes());
        out.extend_from_slice(&self.renew_after_ms.to_be_bytes());
        out.extend_from_slice(&self.reject_after_ms.to_be_bytes());
        out.extend_from_slice(&self.replay_window_bits.to_be_bytes());
        out.extend_from_slice(&self.lost_key);
        out.extend_from_slice(&(self.ticket.len() as u16).to_be_bytes());
        out.extend_from_slice(&self.ticket);
        out
    }

    /// Reads and judges the bytes against the suites offered.
    pub fn decode(bytes: &[u8], offered: &[u16]) -> Result<Self, Reject> {
        if bytes.len() < 52 {
            return Err(Reject::Field);
        }
        let number =
            |from: usize, to: usize| bytes[from..to].iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
        let reply = Self {
            key_id: number(0, 8),
            suite: number(8, 10) as u16,
            server_time: number(10, 16),
            renew_after_requests: number(16, 20) as u32,
            reject_after_requests: number(20, 24) as u32,
            renew_after_ms: number(24, 28) as u32,
            reject_after_ms: number(28, 32) as u32,
            replay_window_bits: number(32, 34) as u16,
            lost_key: array(&bytes[34..50]),
            ticket: bytes[52..].to_vec(),
        };
        let good = reply.key_id != 0
            && offered.contains(&reply.suite)
            && reply.renew_after_requests <= reply.reject_after_requests
            && reply.renew_after_ms <= reply.reject_after_ms
            && window_bits_valid(reply.replay_window_bits.into())
            && number(50, 52) == reply.ticket.len() as u64
            && reply.ticket.len() <= TICKET_BYTES_MAX;
        if good { Ok(reply) } else { Err(Reject::Field) }
    }
}

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
) -> Result<(Reply, Keys), Reject> {
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
    let reply = Reply::decode(&noise.read(message)?, offered)?;
    let keys = keys(&noise, reply.key_id);
    if hmac16(&keys.schedule.cf, &[bytes, message]) != tag {
        return Err(Reject::BadTag);
    }
    Ok((reply, keys))
}
