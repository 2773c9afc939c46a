//! Resume: a new session from a ticket, at any node that holds the ticket key (SPEC §12).

pub(crate) mod answer;
mod initiator;
mod kept;
mod responder;

pub use initiator::{Initiator, Offer};
pub use kept::{KEPT_BYTES_MAX, Kept};
pub use responder::Responder;

use crate::{
    constants::TAG_BYTES,
    schedule::{hmac, label},
    secret::Secret,
    suite::Tag,
};

/// The proof that the sender of `bound` holds RS_g (§12.3).
fn binder(resume_secret: &Secret, channel_binding: &[u8], bound: &[u8]) -> Tag {
    let key = label(resume_secret, "binder", &[]);
    hmac(key.expose(), &[channel_binding, bound])[..TAG_BYTES].try_into().expect("16 of 32 bytes")
}
