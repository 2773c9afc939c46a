//! What the operating system gives the server. All OS-facing `unsafe` of the project lives here.

pub mod affinity;
pub mod clock;
pub mod host;
pub mod keystore;
pub mod port_steering;
pub mod probe;
pub mod slice;
pub mod socket;
pub mod steering;
pub mod uring;

pub mod lines;
pub mod slab;

pub mod memory;
mod pages;

#[cfg(target_arch = "x86_64")]
pub mod poison;
