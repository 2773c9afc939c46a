//! `cargo x publish`: the canonical workloads on our server and its peers, as a folder of results with one page.
//!
//! - [`run`]: the start-up list: build, start, every run, the comparison of costs, the accuracy table, the page.
//! - [`workloads`]: the table of runs.

pub mod run;

pub mod workloads;
