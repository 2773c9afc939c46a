//! The MVT verification server as a library; `main.rs` is the start-up list. The modules, top-down:
//!
//! - [`run`] puts the parts together; [`cli`], [`config`], [`enrolment`], [`keys`] say what they are.
//! - [`driver`] moves bytes between sockets and a [`shard`].
//! - [`transport`] makes the packets of QUIC into bytes of connections, without I/O; TCP needs no such thing.
//! - [`shard`] is the engine: bytes and `now` in, bytes and deadlines out; no I/O.
//! - [`handshakes`] does the slow work of logins beside the shards; [`mailbox`] brings results back.
//! - [`service`] executes what was verified. [`counters`] counts everything, [`clock`] is server time.
//! - [`doctor`] says what this host allows. [`fatal`] is what ends the process, with its exit status.

pub mod run;

pub mod cli;
pub mod doctor;

pub mod driver;

pub mod transport;

pub mod handshakes;
pub mod shard;

pub mod mailbox;

pub mod service;

pub mod node;

pub mod enrolment;
pub mod keys;

pub mod config;

pub mod limits;

pub mod counters;

pub mod clock;

pub mod fatal;
