//! `cargo x compare`: server CPU time per request of ours and of its peers, interleaved, by one client program.
//!
//! - [`arguments`]: the command line.
//! - [`run`]: the start-up list: build, install, start, measure, report.
//! - [`rounds`]: the order of the cells; [`cell`]: one of them.
//! - [`ratio`]: medians of ratios; [`report`]: text and JSON (`mvt.compare/1`).
//! - [`peer`]: the table of peers: [`redis`], [`memcached`], [`haproxy`], [`echo`]; [`ours`] is what they meet.
//! - [`jwt`]: the token of HAProxy.
//! - [`install`], [`artifacts`]: Debian's programs, and those of this workspace.
//! - [`process`]: a program that is stopped in every case; [`stop`]: the wish of the user to end.

pub mod arguments;

pub mod run;

pub mod report;

pub mod rounds;

pub mod cell;
pub mod ratio;

pub mod echo;
pub mod haproxy;
pub mod memcached;
pub mod ours;
pub mod redis;

pub mod peer;

pub mod jwt;

pub mod artifacts;
pub mod install;

pub mod process;
pub mod stop;
