//! A load generator for MVT servers that verifies the tag of every answer and reports honest latency.
//!
//! Modules, from the outside in:
//! - [`cli`]: the command line, turned into a [`run::Plan`].
//! - [`run`]: one bounded run: workers, phases, server CPU; gives a [`run::Outcome`].
//! - [`report`]: the outcome as text and as JSON (`mvt.report/1`).
//! - [`environment`]: the machine a number was measured on.
//! - [`progress`]: the line on the terminal.
//! - [`worker`]: one thread and its poll loop.
//! - [`connection`]: one connection: socket, login, sessions.
//! - [`schedule`], [`workload`], [`target`]: when to send, what, and to whom.
//! - [`phase`]: warm-up, measured interval, drain.
//! - [`tally`], [`histogram`]: what was counted and how long it took.
//! - [`server_cpu`], [`clock`]: CPU time of the server, and time.
//! - [`trouble`]: what can go wrong.

pub mod cli;

pub mod run;

pub mod report;

pub mod environment;

pub mod progress;

pub mod peer;
pub mod worker;

pub mod connection;

pub mod schedule;
pub mod target;
pub mod workload;

pub mod phase;

pub mod tally;

pub mod histogram;

pub mod clock;
pub mod server_cpu;

pub mod trouble;
