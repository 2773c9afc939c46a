//! Cuts a stream of bytes into frames (SPEC §3.2.1, §3.2.6).

use crate::{
    Reject,
    constants::{LENGTH_FIELD_BYTES, LENGTH_MAX, LENGTH_MIN},
    header::{self, Role},
};

/// What stands at the front of the bytes received so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// One whole frame of this many bytes.
    Frame(usize),
    /// Not yet whole: this many bytes in all are needed before anything more can be said.
    Need(usize),
}

/// Judges the front of `bytes`: the length field first, then version, kind and flags as they arrive.
///
/// # Errors
/// The refusal of §3.2.1 to §3.2.4; the connection is to be closed (§3.2.5).
pub fn cut(bytes: &[u8], role: Role) -> Result<Cut, Reject> {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_FIELD_BYTES>() else {
        return Ok(Cut::Need(LENGTH_FIELD_BYTES));
    };
    let length = usize::from(u16::from_be_bytes(*length));
    if !(LENGTH_MIN..=LENGTH_MAX).contains(&length) {
        return Err(Reject::Length);
    }
    if let [version_kind, flags, ..] = *rest {
        header::judge_start(version_kind, flags, role)?;
    }
    let whole = LENGTH_FIELD_BYTES + length;
    Ok(if bytes.len() >= whole { Cut::Frame(whole) } else { Cut::Need(whole) })
}
