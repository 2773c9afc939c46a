//! RETRY: log in again with a cookie, or later (SPEC §14).

use alloc::vec::Vec;

use subtle::ConstantTimeEq;

use crate::{
    Header, Reject,
    constants::{COOKIE_BYTES, FRAME_BYTES_MIN, HEADER_BYTES, TAG_BYTES},
    frame::Reader,
    header::{Flags, Kind, Role},
    login::Mac1,
    suite::{Tag, payload_of, tag_of},
};

/// What a server asks of a client before it works on its login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Send the HELLO again with this cookie.
    Cookie([u8; COOKIE_BYTES]),
    /// Send it again after this many ms.
    Busy(u32),
}

const STATUS_COOKIE: u16 = 1;
const STATUS_BUSY: u16 = 2;

impl Retry {
    /// The RETRY frame for `hello`, one whole HELLO whose mac1 held.
    #[must_use]
    pub fn to_frame(self, hello: &[u8], mac1: &Mac1) -> Vec<u8> {
        let (status, payload) = match self {
            Self::Cookie(cookie) => (STATUS_COOKIE, cookie.to_vec()),
            Self::Busy(wait_ms) => (STATUS_BUSY, wait_ms.to_be_bytes().to_vec()),
        };
        let header = Header {
            kind: Kind::Retry,
            flags: Flags(0),
            key_id: 0,
            generation: 0,
            op: status,
            counter: Reader::new(&hello[16..22]).uint(6).expect("a HELLO has a counter"),
            timestamp: 0,
            payload_bytes: payload.len(),
        };
        let mut frame = Vec::with_capacity(FRAME_BYTES_MIN + payload.len());
        frame.extend_from_slice(&header.to_bytes());
        frame.extend_from_slice(&payload);
        let tag = mac1.retry_tag(&frame, &tag_of(hello));
        frame.extend_from_slice(&tag);
        frame
    }

    /// Reads `frame` as the answer to the HELLO with this login id and tag.
    ///
    /// # Errors
    /// `BadTag` when it was not made for that HELLO, otherwise `Kind` or `Field`.
    pub fn parse(frame: &[u8], login_id: u64, hello_tag: &Tag, mac1: &Mac1) -> Result<Self, Reject> {
        let header = Header::parse(frame, Role::Client)?;
        if header.kind != Kind::Retry {
            return Err(Reject::Kind);
        }
        let signed = &frame[..HEADER_BYTES + header.payload_bytes];
        let tag_holds: bool = mac1.retry_tag(signed, hello_tag).ct_eq(&tag_of(frame)).into();
        if !tag_holds || header.counter != login_id {
            return Err(Reject::BadTag);
        }
        let mut reader = Reader::new(payload_of(frame));
        let retry = match header.op {
            STATUS_COOKIE => Self::Cookie(reader.take(COOKIE_BYTES)?.try_into().expect("taken as 16")),
            STATUS_BUSY => Self::Busy(reader.uint(4)? as u32),
            _ => return Err(Reject::Field),
        };
        reader.end()?;
        Ok(retry)
    }
}

const _: () = assert!(TAG_BYTES == COOKIE_BYTES);
