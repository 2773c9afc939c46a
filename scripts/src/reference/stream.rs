//! Frames cut out of a byte stream (§3.2.5, §3.2.6).

use super::{
    frame::{HEADER_BYTES, Parsed, Role, TAG_BYTES, parse},
    reject::Reject,
};

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// At a frame's end.
    Clean,
    /// Inside a frame, which has no effect.
    Truncated,
    /// At a frame that was refused; nothing after it is read.
    Refused(Reject),
}

/// The frames of the joined chunks, up to the end or a refusal.
pub fn cut(role: Role, chunks: &[Vec<u8>]) -> (Vec<Vec<u8>>, End) {
    let stream = chunks.concat();
    let mut rest = stream.as_slice();
    let mut frames = Vec::new();
    while !rest.is_empty() {
        match parse(role, rest) {
            Err(reason) => return (frames, End::Refused(reason)),
            Ok(Parsed::Need(_)) => return (frames, End::Truncated),
            Ok(Parsed::Frame(_, payload_bytes)) => {
                let (frame, after) = rest.split_at(HEADER_BYTES + payload_bytes + TAG_BYTES);
                frames.push(frame.to_vec());
                rest = after;
            }
        }
    }
    (frames, End::Clean)
}
