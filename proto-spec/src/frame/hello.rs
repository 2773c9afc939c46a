//! HELLO: the plain part before the Noise message (SPEC §10.1).

use alloc::vec::Vec;

use crate::{
    Header, Reject, Suite,
    constants::{COOKIE_BYTES, HEADER_BYTES, HELLO_BYTES, HELLO_SUITES_MAX, TAG_BYTES},
    frame::Reader,
    header::{Flags, Kind, Role},
};

/// Pattern 1: Noise IK.
pub const PATTERN_IK: u16 = 1;
/// Noise message 1 without its payload: e, encrypted s, tag of the payload.
const NOISE_BYTES_MIN: usize = 32 + 48 + 16;

/// A HELLO whose plain part is well formed. Nothing is believed yet.
#[derive(Debug)]
pub struct Hello<'f> {
    /// Tells the client's logins apart.
    pub login_id: u64,
    /// The cookie of a RETRY, if the client has one (§14).
    pub cookie: Option<&'f [u8; COOKIE_BYTES]>,
    /// The suites known here of those offered, in the client's order of preference (§10.1.4).
    pub suites: Vec<Suite>,
    /// What goes into the prologue: the frame before the Noise message.
    pub plain: &'f [u8],
    /// Noise message 1.
    pub noise: &'f [u8],
}

impl<'f> Hello<'f> {
    /// Reads `frame`, one whole HELLO.
    ///
    /// # Errors
    /// The header's refusals, `Kind`, or `Field` for a wrong length, pattern, cookie or suite list.
    pub fn parse(frame: &'f [u8]) -> Result<Self, Reject> {
        let header = Header::parse(frame, Role::Server)?;
        if header.kind != Kind::Hello {
            return Err(Reject::Kind);
        }
        if frame.len() != HELLO_BYTES || header.op != PATTERN_IK {
            return Err(Reject::Field);
        }
        let body = &frame[HEADER_BYTES..frame.len() - TAG_BYTES];
        let mut reader = Reader::new(body);
        let cookie = match reader.uint(1)? as usize {
            0 => None,
            COOKIE_BYTES => Some(reader.take(COOKIE_BYTES)?.try_into().expect("taken as 16")),
            _ => return Err(Reject::Field),
        };
        let suite_count = reader.uint(1)? as usize;
        if !(1..=HELLO_SUITES_MAX).contains(&suite_count) {
            return Err(Reject::Field);
        }
        let mut offered = Vec::with_capacity(suite_count);
        for _ in 0..suite_count {
            let id = reader.uint(2)? as u16;
            if offered.contains(&id) {
                return Err(Reject::Field);
            }
            offered.push(id);
        }
        if reader.left() < NOISE_BYTES_MIN {
            return Err(Reject::Field);
        }
        let plain_bytes = HEADER_BYTES + body.len() - reader.left();
        Ok(Self {
            login_id: header.counter,
            cookie,
            suites: offered.into_iter().filter_map(Suite::from_id).collect(),
            plain: &frame[..plain_bytes],
            noise: &frame[plain_bytes..frame.len() - TAG_BYTES],
        })
    }
}

/// The plain part of a HELLO: header, cookie, suites. The Noise message and mac1 fill it up to 512 bytes.
#[must_use]
pub(crate) fn plain(login_id: u64, cookie: Option<&[u8; COOKIE_BYTES]>, suites: &[u16]) -> Vec<u8> {
    let header = Header {
        kind: Kind::Hello,
        flags: Flags(0),
        key_id: 0,
        generation: 0,
        op: PATTERN_IK,
        counter: login_id,
        timestamp: 0,
        payload_bytes: HELLO_BYTES - HEADER_BYTES - TAG_BYTES,
    };
    let mut bytes = Vec::with_capacity(HELLO_BYTES);
    bytes.extend_from_slice(&header.to_bytes());
    let cookie = cookie.map_or(&[][..], |cookie| &cookie[..]);
    bytes.push(cookie.len() as u8);
    bytes.extend_from_slice(cookie);
    bytes.push(suites.len() as u8);
    suites.iter().for_each(|suite| bytes.extend_from_slice(&suite.to_be_bytes()));
    bytes
}

/// Bytes of zero padding that the Noise payload of a HELLO with this plain part carries (§10.1.1).
#[must_use]
pub(crate) const fn padding_bytes(plain_bytes: usize) -> usize {
    HELLO_BYTES - plain_bytes - NOISE_BYTES_MIN - TAG_BYTES
}
