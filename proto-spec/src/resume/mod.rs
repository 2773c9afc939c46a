//! Resume: a new session from a ticket, at any node that holds the ticket key (SPEC §12).

pub(crate) mod answer;
pub(crate) mod attempt;
mod initiator;
mod kept;
mod responder;

pub use initiator::{Initiator, Offer};
pub use kept::{KEPT_BYTES_MAX, Kept};
pub use responder::{Opened, Responder};

use crate::{
    constants::TAG_BYTES,
    schedule::{hmac, label},
    secret::Secret,
    suite::Tag,
};

/// CB: the channel binding behind its length, so that what follows cannot move into it (§12.3).
///
/// # Panics
/// If it is longer than 255 bytes: a binding is empty or 32 bytes (§10).
pub(crate) fn bound_channel(channel_binding: &[u8]) -> ([u8; 1], &[u8]) {
    ([u8::try_from(channel_binding.len()).expect("a channel binding is short")], channel_binding)
}

/// The proof that the sender of `bound` holds RS_g (§12.3).
fn binder(resume_secret: &Secret, channel_binding: &[u8], bound: &[u8]) -> Tag {
    let key = label(resume_secret, "binder", &[]);
    let (length, channel) = bound_channel(channel_binding);
    hmac(key.expose(), &[&length, channel, bound])[..TAG_BYTES].try_into().expect("16 of 32 bytes")
}
