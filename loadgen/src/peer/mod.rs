//! What is said to servers of other protocols, by the same loop as to an MVT server, so that their costs compare.
//!
//! - [`exchange`]: what is asked, and where an answer ends: [`redis`], [`memcached`], [`http`], [`echo`].
//! - [`lines`]: answers of lines and counted bytes, which two of them share.
//! - [`floor`]: a server that only echoes; [`streams`]: one on QUIC, with a stream for each request.

pub mod echo;
pub mod http;
pub mod memcached;
pub mod redis;

pub mod lines;

pub mod exchange;

pub mod floor;
pub mod streams;
