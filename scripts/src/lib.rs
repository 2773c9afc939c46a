//! Tools of the workspace, behind `cargo x`.

pub mod hex;
pub mod reference;
pub mod vectors;
