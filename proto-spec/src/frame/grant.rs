//! The grant: what the server gives at login, inside the HELLO_R (SPEC §10.2).

use alloc::vec::Vec;

use crate::{
    Limits, Reject, Suite,
    constants::{GRANT_BYTES, TAG_BYTES, TICKET_BYTES_MAX},
    frame::Reader,
    lost::LostKey,
};

/// What a login grants.
#[derive(Debug)]
pub struct Grant {
    /// Names the session, not 0.
    pub key_id: u64,
    /// One of the suites offered.
    pub suite: Suite,
    /// T_0, ms on the server's timescale, 48 bits.
    pub server_time_ms: u64,
    /// Limits of each generation.
    pub limits: Limits,
    /// Verifies a LOST of this key id.
    pub lost_key: LostKey,
    /// For RESUME (§12), at most 368 bytes.
    pub ticket: Vec<u8>,
}

impl Grant {
    /// The plaintext of §10.2.
    #[must_use]
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        debug_assert!(self.ticket.len() <= TICKET_BYTES_MAX);
        let mut bytes = Vec::with_capacity(GRANT_BYTES + self.ticket.len());
        bytes.extend_from_slice(&self.key_id.to_be_bytes());
        bytes.extend_from_slice(&(self.suite as u16).to_be_bytes());
        bytes.extend_from_slice(&self.server_time_ms.to_be_bytes()[2..]);
        let limits = &self.limits;
        for value in [
            limits.renew_after_requests,
            limits.reject_after_requests,
            limits.renew_after_ms,
            limits.reject_after_ms,
        ] {
            bytes.extend_from_slice(&value.to_be_bytes());
        }
        bytes.extend_from_slice(&limits.replay_window_bits.to_be_bytes());
        bytes.extend_from_slice(self.lost_key.expose());
        bytes.extend_from_slice(&(self.ticket.len() as u16).to_be_bytes());
        bytes.extend_from_slice(&self.ticket);
        bytes
    }

    /// Reads the plaintext of §10.2.
    ///
    /// # Errors
    /// `Field` for a wrong length, key id 0, limits out of bounds or a suite unknown here.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Reject> {
        let mut reader = Reader::new(bytes);
        let key_id = reader.uint(8)?;
        let suite = Suite::from_id(reader.uint(2)? as u16).ok_or(Reject::Field)?;
        let server_time_ms = reader.uint(6)?;
        let limits = Limits {
            renew_after_requests: reader.uint(4)? as u32,
            reject_after_requests: reader.uint(4)? as u32,
            renew_after_ms: reader.uint(4)? as u32,
            reject_after_ms: reader.uint(4)? as u32,
            replay_window_bits: reader.uint(2)? as u16,
        }
        .validate()?;
        let lost_key = LostKey::new(reader.take(TAG_BYTES)?.try_into().expect("taken as 16"));
        let ticket_bytes = reader.uint(2)? as usize;
        if key_id == 0 || ticket_bytes > TICKET_BYTES_MAX {
            return Err(Reject::Field);
        }
        let ticket = reader.take(ticket_bytes)?.to_vec();
        reader.end()?;
        Ok(Self { key_id, suite, server_time_ms, limits, lost_key, ticket })
    }
}
