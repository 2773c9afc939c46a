//! `cargo x publish`: the canonical workloads on our server and its peers, as a folder of results with one page.
//!
//! - [`run`]: the start-up list: build, every run, the comparison of costs, the accuracy table, the page.
//! - [`runs`]: the runs of the generator, each into its folder; one that fails takes nothing else with it.
//! - [`workloads`]: the table of runs. [`finding`]: what a run left.
//! - [`publishable`]: what must hold of every file.

pub mod run;

pub mod finding;
pub mod publishable;
pub mod runs;
pub mod workloads;
