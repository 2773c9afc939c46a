//! Load on servers of other protocols, by the same loop as on an MVT server, so that their costs compare.
//!
//! - [`arguments`]: the command line, turned into a [`load::Plan`].
//! - [`load`]: one bounded run of one thread; gives a [`load::Outcome`].
//! - [`report`]: the outcome as JSON (`mvt.peer/1`).
//! - [`connection`]: one connection: socket, requests in flight.
//! - [`exchange`]: what is asked, and where an answer ends: [`redis`], [`memcached`], [`http`], [`echo`].
//! - [`floor`]: a server that only echoes.

pub mod arguments;

pub mod report;

pub mod load;

pub mod connection;

pub mod echo;
pub mod http;
pub mod memcached;
pub mod redis;

pub mod exchange;

pub mod floor;
