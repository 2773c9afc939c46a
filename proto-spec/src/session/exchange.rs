//! The server's side of one request that was verified: seals its one answer (SPEC §7.2, §7.3).

use alloc::vec::Vec;

use crate::{
    Header, Suite,
    constants::{PAYLOAD_BYTES_MAX, TAG_BYTES},
    header::Kind,
    reject::ErrReason,
    suite::{RequestKey, Tag},
};

/// A verified request that waits for its answer. Sealing consumes it, so it is answered at most once (§7.2.5).
///
/// `K` is what seals the answer: everything itself, or the request's place in a batch.
#[derive(Debug)]
#[must_use = "a verified request is answered"]
pub struct Exchange<K = Answering> {
    pub(super) key: K,
}

/// What seals the answer to a request that was judged alone.
#[derive(Debug)]
pub struct Answering {
    pub(super) request_key: RequestKey,
    pub(super) request_tag: Tag,
    pub(super) addressed: Addressed,
}

/// What an answer repeats of its request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addressed {
    pub(super) suite: Suite,
    pub(super) key_id: u64,
    pub(super) generation: u16,
    pub(super) counter: u64,
}

impl Exchange {
    /// Appends the RESP with this status and payload to `out`; `now_ms` is server time.
    ///
    /// # Panics
    /// If `payload` is longer than 16384 bytes: the service's bound is checked before.
    pub fn respond(self, status: u16, payload: &[u8], now_ms: u64, out: &mut Vec<u8>) {
        assert!(payload.len() <= PAYLOAD_BYTES_MAX, "an answer's payload is bounded before it is sealed");
        self.seal(Kind::Resp, status, payload, now_ms, out);
    }

    /// Appends the ERR with this reason to `out` (§7.3).
    pub fn refuse(self, reason: ErrReason, now_ms: u64, out: &mut Vec<u8>) {
        self.seal(Kind::Err, reason as u16, &[], now_ms, out);
    }

    fn seal(self, kind: Kind, status: u16, payload: &[u8], now_ms: u64, out: &mut Vec<u8>) {
        let Answering { request_key, request_tag, addressed } = self.key;
        let start = out.len();
        addressed.write(kind, status, payload, now_ms, out);
        request_key.seal(&mut out[start..], &request_tag);
    }
}

impl Addressed {
    /// Appends the answer with its payload in the clear and a tag of zeros, to be sealed.
    #[inline]
    pub(super) fn write(self, kind: Kind, status: u16, payload: &[u8], now_ms: u64, out: &mut Vec<u8>) {
        let header = Header {
            kind,
            flags: self.suite.flags(),
            key_id: self.key_id,
            generation: self.generation,
            op: status,
            counter: self.counter,
            timestamp: now_ms,
            payload_bytes: payload.len(),
        };
        out.reserve(header.frame_bytes());
        out.extend_from_slice(&header.to_bytes());
        out.extend_from_slice(payload);
        out.extend_from_slice(&[0; TAG_BYTES]);
    }
}
