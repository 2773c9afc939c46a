//! Commands to the store: over the admin socket to the running server, or on its file when none runs.
//!
//! One line of JSON asks, one line answers. The control thread owns the store and executes one request after the other; the
//! shards never wait for it.

pub mod caller;
pub mod claims;
pub mod control;
pub mod execute;
pub mod listener;
mod peer;
mod recorded;
pub mod request;
mod retired;
