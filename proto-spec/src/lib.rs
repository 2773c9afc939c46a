//! The MVT protocol core: frames, suites, key schedule, replay window, login, sessions.
//!
//! Sans-IO: bytes, `now` (milliseconds) and randomness come in as arguments; bytes, verdicts and
//! deadlines go out. No clock, no socket, no OS randomness, no thread, no `unsafe`. The normative text
//! is `SPEC.md` beside this crate; `§` in a comment names its section.
//!
//! Modules, from the outside in:
//! - [`session`]: an established session of either side; check → open → commit → seal.
//! - [`login`]: Noise IK, from nothing to a session.
//! - [`frame`]: the payloads of the kinds that have a layout of their own.
//! - [`keyfile`]: keys as text.
//! - [`lost`]: the authenticated "I do not hold your key".
//! - [`steering`]: which shard a connection is handed to.
//! - [`suite`]: HS256 and GCM256, sealing and opening under one request key.
//! - [`slot`], [`schedule`]: which key is right at which time, and where it comes from.
//! - [`replay`]: the window of counters.
//! - [`framer`], [`header`]: bytes of a stream to frames.
//! - [`reject`]: why something was refused. [`constants`]: every number the spec fixes.
#![no_std]

extern crate alloc;

pub mod session;

pub mod login;

pub mod frame;
pub mod keyfile;
pub mod lost;
pub mod steering;

pub mod suite;

pub mod slot;

pub mod schedule;

pub mod replay;

pub mod framer;

pub mod header;

pub mod limits;

pub mod reject;

pub mod secret;

pub mod constants;

pub use header::{Flags, Header, Kind, Role};
pub use limits::Limits;
pub use reject::Reject;
pub use suite::Suite;
