//! `cargo x compare`: server CPU time per request of ours and of its peers, interleaved, by one client program.
//!
//! - [`arguments`]: the command line.
//! - [`run`]: the start-up list: build, install, start, measure, report.
//! - [`rounds`]: the order of the cells; [`cell`]: one of them.
//! - [`ratio`]: medians of ratios; [`report`]: text and JSON (`mvt.compare/1`).
//! - [`peer`]: the table of peers: [`redis`], [`memcached`], [`haproxy`], [`echo`], [`quinn`].
//! - [`jwt`]: the token of HAProxy.
//! - [`install`], [`artifacts`]: Debian's programs, and those of this workspace.

pub mod arguments;

pub mod run;

pub mod report;

pub mod rounds;

pub mod cell;
pub mod ratio;

pub mod echo;
pub mod haproxy;
pub mod memcached;
pub mod quinn;
pub mod redis;

pub mod peer;

pub mod jwt;

pub mod artifacts;
pub mod install;
