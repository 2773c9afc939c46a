//! The server's word on whether a recovery is recorded (SPEC §13.4), as its frames say it.

use std::time::Duration;

use mvt_proto::{
    Header,
    reject::ErrReason,
    session::{Answer, Pending},
};

use crate::{Unknown, bond::Bond, clock};

/// Frames that say nothing of the recovery, at most.
pub(crate) const STRAY_COUNT_MAX: u32 = 64;
/// How long the ticket that follows a recorded recovery is waited for, before a login asks.
pub(crate) const TICKET_PATIENCE: Duration = Duration::from_millis(500);

/// What a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// It is recorded.
    Recorded,
    /// The server is at it from now on.
    UnderWay,
    /// The session was erased: the client is barred, or the server could not record it.
    Refused,
    /// Nothing.
    Stray,
}

/// What `frame` says to a client that proved its new key by the request `proof`. The ticket says that the recovery is recorded: it
/// is not sent before (SPEC §13.4.4).
///
/// # Errors
/// The server broke the session's renewal.
pub(crate) fn word(
    bond: &mut Bond,
    proof: &Pending,
    header: &Header,
    frame: &mut [u8],
) -> Result<Word, Unknown> {
    if bond.control(header, frame, &mut Vec::new())? && bond.ticket().is_some() {
        return Ok(Word::Recorded);
    }
    Ok(match bond.session.open_answer(proof, header, frame, clock::now_ms()) {
        Ok(Answer::Refused(ErrReason::Pending | ErrReason::Stale)) => Word::UnderWay,
        Ok(Answer::Lost) => Word::Refused,
        // Executed: then it was recorded before.
        Ok(Answer::Response { .. }) => Word::Recorded,
        _ => Word::Stray,
    })
}
