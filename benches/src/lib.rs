//! What benchmarks measure with, apart from what they measure.

pub mod bootstrap;
pub mod quantiles;
pub mod queue;
pub mod thread_time;
