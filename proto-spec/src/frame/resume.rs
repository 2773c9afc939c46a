//! RESUME: a ticket, a nonce, perhaps a point, and a binder (SPEC §12.3).

use alloc::vec::Vec;

use crate::{
    Reject,
    constants::{COOKIE_BYTES, HEADER_BYTES, KEY_BYTES, LOGIN_BYTES, TAG_BYTES, TICKET_BYTES},
    frame::{Reader, begin_login, login_header, take_cookie},
    header::Kind,
    suite::Tag,
};

/// What the new session's secret is made of beside RS_g.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Mode {
    /// A Diffie-Hellman of fresh points: forward secrecy beyond the ticket's.
    DiffieHellman = 1,
    /// Nothing; only where the ticket's policy allows it (§12.3.2).
    PskAlone = 2,
}

impl Mode {
    fn from_op(op: u16) -> Option<Self> {
        [Self::DiffieHellman, Self::PskAlone].into_iter().find(|mode| *mode as u16 == op)
    }
}

/// A RESUME that is well formed. Nothing is believed yet.
#[derive(Debug)]
pub struct Resume<'f> {
    /// Tells the client's logins apart.
    pub login_id: u64,
    /// The cookie of a RETRY, if the client has one (§14).
    pub cookie: Option<&'f [u8; COOKIE_BYTES]>,
    /// The client's part of the freshness.
    pub nonce: &'f [u8; KEY_BYTES],
    /// e_c; mode 1 only.
    pub point: Option<&'f [u8; KEY_BYTES]>,
    /// The ticket, sealed.
    pub ticket: &'f [u8; TICKET_BYTES],
    /// What the binder covers: the frame before it.
    pub bound: &'f [u8],
    /// Proof that the client holds RS_g.
    pub binder: &'f Tag,
    /// The whole frame, for the transcript.
    pub frame: &'f [u8],
}

impl<'f> Resume<'f> {
    /// Reads `frame`, one whole RESUME (§12.3.1).
    ///
    /// # Errors
    /// The header's refusals, `Kind`, or `Field` for a wrong length, mode, cookie, ticket length or padding.
    pub fn parse(frame: &'f [u8]) -> Result<Self, Reject> {
        let header = login_header(frame, Kind::Resume)?;
        let mode = Mode::from_op(header.op).ok_or(Reject::Field)?;
        let (bound, end) = frame.split_at(frame.len() - 2 * TAG_BYTES);
        let mut reader = Reader::new(&bound[HEADER_BYTES..]);
        let cookie = take_cookie(&mut reader)?;
        let nonce = reader.array()?;
        let point = match mode {
            Mode::DiffieHellman => Some(reader.array()?),
            Mode::PskAlone => None,
        };
        if reader.uint(2)? as usize != TICKET_BYTES {
            return Err(Reject::Field);
        }
        let ticket = reader.array()?;
        if reader.take(reader.left())?.iter().any(|byte| *byte != 0) {
            return Err(Reject::Field);
        }
        let binder = end[..TAG_BYTES].try_into().expect("split as 16");
        Ok(Self { login_id: header.counter, cookie, nonce, point, ticket, bound, binder, frame })
    }

    /// The mode its header names.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        if self.point.is_some() { Mode::DiffieHellman } else { Mode::PskAlone }
    }
}

/// The frame before the binder.
#[must_use]
pub(crate) fn bound(
    login_id: u64,
    cookie: Option<&[u8; COOKIE_BYTES]>,
    nonce: &[u8; KEY_BYTES],
    point: Option<&[u8; KEY_BYTES]>,
    ticket: &[u8; TICKET_BYTES],
) -> Vec<u8> {
    let mode = if point.is_some() { Mode::DiffieHellman } else { Mode::PskAlone };
    let mut bytes = begin_login(Kind::Resume, mode as u16, login_id, cookie);
    bytes.extend_from_slice(nonce);
    bytes.extend_from_slice(point.map_or(&[][..], |point| &point[..]));
    bytes.extend_from_slice(&(TICKET_BYTES as u16).to_be_bytes());
    bytes.extend_from_slice(ticket);
    bytes.resize(LOGIN_BYTES - 2 * TAG_BYTES, 0);
    bytes
}

// With a cookie and a point there is room for all parts.
const _: () = assert!(
    HEADER_BYTES + 1 + COOKIE_BYTES + 2 * KEY_BYTES + 2 + TICKET_BYTES + 2 * TAG_BYTES <= LOGIN_BYTES
);
