//! Vectors: one property each, inputs and what the reference makes of them.

mod areas;
pub mod run;
pub mod store;
pub mod vector;
