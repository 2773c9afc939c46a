//! Payloads with a layout of their own, one file per kind (SPEC §10 to §14).

pub mod control;
pub mod grant;
pub mod hello;
pub mod recover;
pub mod resume;
pub mod retry;
mod suites;

use alloc::vec::Vec;

use crate::{
    Header, Reject,
    constants::{COOKIE_BYTES, HEADER_BYTES, LOGIN_BYTES, TAG_BYTES},
    header::{Flags, Kind, Role},
};

/// The cookie that a HELLO, a RESUME or a RECOVER carries: their payloads begin alike. `None` also for a malformed one.
#[must_use]
pub fn cookie_of(frame: &[u8]) -> Option<&[u8; COOKIE_BYTES]> {
    let payload = frame.get(HEADER_BYTES..)?;
    take_cookie(&mut Reader::new(payload)).ok().flatten()
}

/// Cookie bytes and cookie.
fn take_cookie<'f>(reader: &mut Reader<'f>) -> Result<Option<&'f [u8; COOKIE_BYTES]>, Reject> {
    match reader.uint(1)? as usize {
        0 => Ok(None),
        COOKIE_BYTES => Ok(Some(reader.take(COOKIE_BYTES)?.try_into().expect("taken as 16"))),
        _ => Err(Reject::Field),
    }
}

/// The header of a frame of exactly 512 bytes and of this kind, as a server reads it.
fn login_header(frame: &[u8], kind: Kind) -> Result<Header, Reject> {
    let header = Header::parse(frame, Role::Server)?;
    if header.kind != kind {
        return Err(Reject::Kind);
    }
    if frame.len() == LOGIN_BYTES { Ok(header) } else { Err(Reject::Field) }
}

/// Header and cookie of such a frame, as a client begins it.
fn begin_login(kind: Kind, op: u16, login_id: u64, cookie: Option<&[u8; COOKIE_BYTES]>) -> Vec<u8> {
    let header = Header {
        kind,
        flags: Flags(0),
        key_id: 0,
        generation: 0,
        op,
        counter: login_id,
        timestamp: 0,
        payload_bytes: LOGIN_BYTES - HEADER_BYTES - TAG_BYTES,
    };
    let mut bytes = Vec::with_capacity(LOGIN_BYTES);
    bytes.extend_from_slice(&header.to_bytes());
    let cookie = cookie.map_or(&[][..], |cookie| &cookie[..]);
    bytes.push(cookie.len() as u8);
    bytes.extend_from_slice(cookie);
    bytes
}

/// Takes fields off the front of a payload; what is left over cannot be forgotten, `end` asks for it.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], crate::Reject> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(crate::Reject::Field)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next `bytes` bytes (at most 8) as an unsigned integer.
    pub(crate) fn uint(&mut self, bytes: usize) -> Result<u64, crate::Reject> {
        Ok(self.take(bytes)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// The next bytes as an array.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], crate::Reject> {
        Ok(self.take(N)?.try_into().expect("taken as N"))
    }

    pub(crate) const fn left(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn end(self) -> Result<(), crate::Reject> {
        if self.0.is_empty() { Ok(()) } else { Err(crate::Reject::Field) }
    }
}
