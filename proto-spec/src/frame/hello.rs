//! HELLO: the plain part before the Noise message (SPEC §10.1).

use alloc::vec::Vec;

use crate::{
    Reject, Suite,
    constants::{COOKIE_BYTES, HEADER_BYTES, HELLO_BYTES, TAG_BYTES},
    frame::{Reader, begin_login, login_header, suites, take_cookie},
    header::Kind,
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
        let header = login_header(frame, Kind::Hello)?;
        if header.op != PATTERN_IK {
            return Err(Reject::Field);
        }
        let body = &frame[HEADER_BYTES..frame.len() - TAG_BYTES];
        let mut reader = Reader::new(body);
        let cookie = take_cookie(&mut reader)?;
        let suites = suites::take(&mut reader)?;
        if reader.left() < NOISE_BYTES_MIN {
            return Err(Reject::Field);
        }
        let plain_bytes = HEADER_BYTES + body.len() - reader.left();
        Ok(Self {
            login_id: header.counter,
            cookie,
            suites,
            plain: &frame[..plain_bytes],
            noise: &frame[plain_bytes..frame.len() - TAG_BYTES],
        })
    }
}

/// The plain part of a HELLO: header, cookie, suites. The Noise message and mac1 fill it up to 512 bytes.
#[must_use]
pub(crate) fn plain(login_id: u64, cookie: Option<&[u8; COOKIE_BYTES]>, suites: &[u16]) -> Vec<u8> {
    let mut bytes = begin_login(Kind::Hello, PATTERN_IK, login_id, cookie);
    suites::put(suites, &mut bytes);
    bytes
}

/// Bytes of zero padding that the Noise payload of a HELLO with this plain part carries (§10.1.1).
#[must_use]
pub(crate) const fn padding_bytes(plain_bytes: usize) -> usize {
    HELLO_BYTES - plain_bytes - NOISE_BYTES_MIN - TAG_BYTES
}
