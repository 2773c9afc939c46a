//! A load generator for MVT servers that verifies the tag of every answer and reports honest latency.
//!
//! Modules, from the outside in:
//! - [`cli`]: the command line, turned into a [`run::Plan`].
//! - [`run`]: one bounded run: workers, phases, server CPU; gives a [`run::Outcome`].
//! - [`search`]: the highest rate that holds bounds, run by run.
//! - [`compare`]: run directories against each other.
//! - [`index`]: one page of many run directories.
//! - [`run_directory`]: the files a run leaves.
//! - [`report`]: the outcome as text, Markdown, HTML and JSON (`mvt.report/1`).
//! - [`assertion`], [`verdict`]: bounds on the figures of a report, and whether they are about the server at all.
//! - [`environment`]: the machine a number was measured on.
//! - [`progress`]: the line on the terminal.
//! - [`worker`]: one thread and its loop.
//! - [`connection`]: one connection: login, sessions, requests; [`peer`]: what is said to servers of other protocols.
//! - [`io`]: what moves the bytes: io_uring, or epoll; of TCP, or of QUIC.
//! - [`schedule`], [`workload`], [`target`]: when to send, what, and to whom.
//! - [`pacing`], [`arrivals`]: the schedule of one connection, and the instants of an open loop.
//! - [`phase`]: warm-up, measured interval, drain.
//! - [`tally`], [`timeline`], [`histogram`]: what was counted, when, and how long it took.
//! - [`server_cpu`], [`clock`]: CPU time of the server, and time.
//! - [`trouble`]: what can go wrong.

pub mod cli;

pub mod search;

pub mod run;

pub mod compare;
pub mod index;

pub mod run_directory;

pub mod report;

pub mod assertion;
pub mod verdict;

pub mod environment;

pub mod progress;

pub mod worker;

pub mod connection;

pub mod peer;

pub mod io;

pub mod schedule;
pub mod target;
pub mod workload;

pub mod arrivals;
pub mod pacing;

pub mod phase;

pub mod tally;
pub mod timeline;

pub mod histogram;

pub mod clock;
pub mod server_cpu;

pub mod trouble;
