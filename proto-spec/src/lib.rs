//! The MVT protocol core: frames, suites, key schedule, replay window, login, sessions.
//!
//! Sans-IO: bytes, `now` (milliseconds) and randomness come in as arguments; bytes, verdicts and
//! deadlines go out. No clock, no socket, no OS randomness, no thread, no `unsafe`. The normative text
//! is `SPEC.md` beside this crate; `§` in a comment names its section.
//!
//! Modules, from the outside in:
//! - [`session`]: an established session of either side; check → open → commit → seal.
//! - [`login`]: Noise IK, from nothing to a session. [`resume`]: from a ticket to a session. [`recovery`]: from a
//!   recovery kit to a new identity and a session.
//! - [`ticket`]: what lets any node resume, and the keys that seal it.
//! - [`frame`]: the payloads of the kinds that have a layout of their own.
//! - [`keyfile`]: keys as text.
//! - [`lost`]: the authenticated "I do not hold your key".
//! - [`steering`]: which shard a connection is handed to.
//! - [`suite`]: HS256 and GCM256, sealing and opening under one request key.
//! - [`slot`], [`schedule`]: which key is right at which time, and where it comes from.
//! - [`agreement`]: X25519 with the rules of the protocol. [`client_id`]: the fixed-size name of a client.
//! - [`replay`]: the window of counters.
//! - [`framer`], [`header`]: bytes of a stream to frames.
//! - [`reject`]: why something was refused. [`constants`]: every number the spec fixes.
#![no_std]

extern crate alloc;

pub mod session;

pub mod login;
pub mod recovery;
pub mod resume;

pub mod ticket;

pub mod frame;
pub mod keyfile;
pub mod lost;
pub mod steering;

pub mod suite;

pub mod slot;

pub mod schedule;

pub mod agreement;

pub mod client_id;

pub mod replay;

pub mod framer;

pub mod header;

pub mod limits;

pub mod reject;

pub mod secret;

pub mod constants;

pub use client_id::ClientId;
pub use header::{Flags, Header, Kind, Role};
pub use limits::Limits;
pub use reject::Reject;
pub use suite::Suite;
