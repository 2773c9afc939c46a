//! A new session of either side from its grant and its first keys: one way for login, resume and recovery
//! (SPEC §10.2, §12.4, §13.3).

use alloc::vec::Vec;

use subtle::ConstantTimeEq;

use crate::{
    Header, Reject,
    constants::{HEADER_BYTES, LOGIN_ANSWER_BYTES_MAX, TAG_BYTES},
    frame::grant::Grant,
    schedule::{GenerationKeys, hmac},
    session::{ClientSession, Granted, ServerSession},
    suite::{Tag, tag_of},
};

/// A login, a resume or a recovery that the server granted: its answer and its half of the session.
#[derive(Debug)]
pub struct Admitted {
    /// The HELLO_R, RESUME_R or RECOVER_R, not longer than what it answers (§14.1).
    pub answer: Vec<u8>,
    /// To be kept by the shard that owns the key id.
    pub session: ServerSession,
}

fn confirmation(keys: &GenerationKeys, signed: &[u8]) -> Tag {
    hmac(keys.confirm.expose(), &[signed])[..TAG_BYTES].try_into().expect("16 of 32 bytes")
}

/// Finishes `answer`, header and payload, with its tag, and makes the server's half of the session.
pub(crate) fn admitted(mut answer: Vec<u8>, grant: &Grant, keys: GenerationKeys) -> Admitted {
    let tag = confirmation(&keys, &answer);
    answer.extend_from_slice(&tag);
    debug_assert!(answer.len() <= LOGIN_ANSWER_BYTES_MAX);
    let session = ServerSession::new(grant.key_id, grant.suite, grant.limits, keys, grant.server_time_ms);
    Admitted { answer, session }
}

/// Checks the tag of `frame`, a whole answer with this header, and makes the client's half of the session (§10.2.2).
///
/// # Errors
/// `BadTag`: the outer header is not authentic, or the two sides have different keys.
pub(crate) fn granted(
    frame: &[u8],
    header: &Header,
    grant: Grant,
    keys: GenerationKeys,
    now_ms: u64,
) -> Result<ClientSession, Reject> {
    let signed = &frame[..HEADER_BYTES + header.payload_bytes];
    let confirms: bool = confirmation(&keys, signed).ct_eq(&tag_of(frame)).into();
    if !confirms {
        return Err(Reject::BadTag);
    }
    let granted = Granted {
        key_id: grant.key_id,
        suite: grant.suite,
        limits: grant.limits,
        server_time_ms: grant.server_time_ms,
        keys,
        lost_key: grant.lost_key,
    };
    Ok(ClientSession::new(granted, now_ms))
}
