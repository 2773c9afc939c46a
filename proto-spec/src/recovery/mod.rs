//! Recovery: a new identity and a session for a client that lost its static key (SPEC §13).

mod initiator;
mod kit;
mod responder;
mod sealing;

pub use initiator::{Initiator, Offer};
pub use kit::{KitError, RecoveryKit};
pub use responder::Responder;
pub use sealing::RecoveryKey;
