//! The independent reference of `SPEC.md`: slow, obvious, and without a line of the protocol's own code.
//!
//! It stands on `ring`, a library the protocol does not use; X25519 with given private keys, which ring can
//! not do, is the one exception. Nothing here is constant time or wiped: it only makes vectors.

pub mod clock;
pub mod control;
pub mod frame;
pub mod grant;
pub mod hkdf;
pub mod hpke;
pub mod label;
pub mod login;
pub mod lost;
pub mod noise;
pub mod point;
pub mod recover;
pub mod reject;
pub mod renewal;
pub mod replay;
pub mod reply;
pub mod resume;
pub mod retry;
pub mod schedule;
pub mod session;
pub mod slot;
pub mod stream;
pub mod suite;
pub mod ticket;
pub mod verdicts;
pub mod x25519;
