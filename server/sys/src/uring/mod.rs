//! An io_uring that serves the connections of its listeners, or those of a client, as a safe interface: memory that the kernel may touch is
//! owned here from the moment an operation is queued until its completion was reaped, whatever the caller does.
//!
//! - [`Ring`] queues operations and gives their [`Completion`]s; `setup` makes it and locks its opcodes, `reap` reads
//!   its completion queue.
//! - A [`LineId`] names an accepted connection: a direct descriptor with a generation; `lines` holds what is under way
//!   on each.
//! - `packets` receives and sends those of one UDP socket, many with one operation.
//! - `dial` takes over the connections of a client.
//! - `buffers` is the ring of buffers the kernel receives into; [`Filled`] is the right to read one.
//! - `accepts` is where the kernel writes the addresses of peers. `token` is what `user_data` says. `pages` is memory
//!   by the page.

mod completion;
mod dial;
mod reap;
mod ring;

mod setup;

mod packets;

mod accepts;
mod buffers;
mod lines;

mod pages;
mod token;

pub use buffers::Filled;
pub use completion::{Completion, ReceiveEnd};
pub use lines::LineId;
pub use packets::{Inbound, Outbound, probe_packets};
pub use ring::{Ring, Shortages, Wait};
pub use setup::{OPERATIONS, PACKET_OPERATIONS, RingOptions, WATCH_OPERATIONS, probe};
