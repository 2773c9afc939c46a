//! The grant of §10.2: what a new session is, and its judgement by a client.

use super::{hkdf::array, reject::Reject, replay::window_bits_valid};

/// Bytes of a grant.
pub const GRANT_BYTES: usize = 50;

/// What a server grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Not 0.
    pub key_id: u64,
    /// One that the client asked for.
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
}

impl Grant {
    /// The bytes of §10.2.
    pub fn encode(&self) -> Vec<u8> {
        [
            self.key_id.to_be_bytes().as_slice(),
            &self.suite.to_be_bytes(),
            &self.server_time.to_be_bytes()[2..],
            &self.renew_after_requests.to_be_bytes(),
            &self.reject_after_requests.to_be_bytes(),
            &self.renew_after_ms.to_be_bytes(),
            &self.reject_after_ms.to_be_bytes(),
            &self.replay_window_bits.to_be_bytes(),
            &self.lost_key,
        ]
        .concat()
    }

    /// Reads and judges the bytes against the suites offered.
    pub fn decode(bytes: &[u8], offered: &[u16]) -> Result<Self, Reject> {
        if bytes.len() != GRANT_BYTES {
            return Err(Reject::Field);
        }
        let number = |from: usize, to: usize| bytes[from..to].iter().fold(0, |n, b| n << 8 | u64::from(*b));
        let grant = Self {
            key_id: number(0, 8),
            suite: number(8, 10) as u16,
            server_time: number(10, 16),
            renew_after_requests: number(16, 20) as u32,
            reject_after_requests: number(20, 24) as u32,
            renew_after_ms: number(24, 28) as u32,
            reject_after_ms: number(28, 32) as u32,
            replay_window_bits: number(32, 34) as u16,
            lost_key: array(&bytes[34..50]),
        };
        let good = grant.key_id != 0
            && offered.contains(&grant.suite)
            && grant.renew_after_requests <= grant.reject_after_requests
            && grant.renew_after_ms <= grant.reject_after_ms
            && window_bits_valid(grant.replay_window_bits.into());
        if good { Ok(grant) } else { Err(Reject::Field) }
    }
}
