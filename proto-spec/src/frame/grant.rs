//! The grant: what the server gives, inside a HELLO_R, a RESUME_R or a RECOVER_R (SPEC §10.2, §12.4, §13.3).

use zeroize::Zeroizing;

use crate::{Limits, Reject, Suite, constants::GRANT_BYTES, frame::Reader, lost::LostKey};

/// What a new session is granted.
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
}

impl Grant {
    /// The plaintext of §10.2.
    #[must_use]
    pub(crate) fn to_bytes(&self) -> Zeroizing<[u8; GRANT_BYTES]> {
        let mut bytes = Zeroizing::new([0; GRANT_BYTES]);
        let mut rest = &mut bytes[..];
        let mut put = |field: &[u8]| {
            let (place, after) = core::mem::take(&mut rest).split_at_mut(field.len());
            place.copy_from_slice(field);
            rest = after;
        };
        put(&self.key_id.to_be_bytes());
        put(&(self.suite as u16).to_be_bytes());
        put(&self.server_time_ms.to_be_bytes()[2..]);
        let limits = &self.limits;
        for value in [
            limits.renew_after_requests,
            limits.reject_after_requests,
            limits.renew_after_ms,
            limits.reject_after_ms,
        ] {
            put(&value.to_be_bytes());
        }
        put(&limits.replay_window_bits.to_be_bytes());
        put(self.lost_key.expose());
        debug_assert!(rest.is_empty());
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
        let lost_key = LostKey::new(*reader.array()?);
        reader.end()?;
        if key_id == 0 {
            return Err(Reject::Field);
        }
        Ok(Self { key_id, suite, server_time_ms, limits, lost_key })
    }
}
