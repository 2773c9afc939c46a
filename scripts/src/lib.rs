//! Tools of the workspace, behind `cargo x`.

pub mod compare;
pub mod hex;
pub mod reference;
pub mod vectors;
