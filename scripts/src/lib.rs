//! Tools of the workspace, behind `cargo x`.

pub mod ci;
pub mod compare;
pub mod demo;
pub mod emulate;
pub mod harden;
pub mod lifetime;
pub mod publish;
pub mod test;
pub mod tour;

pub mod accuracy;

pub mod stand;
pub mod transport;

pub mod process;
pub mod stop;

pub mod workspace;

pub mod vectors;

pub mod reference;

pub mod hex;
