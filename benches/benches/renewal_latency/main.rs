//! What renewals add to the latency of requests, in the server's own time.
//!
//! `cargo bench -p mvt-benches --bench renewal_latency [-- --load 0.8 --sockets]`: the real shard and real clients as a queue in virtual
//! time (`mvt_benches::queue`), with the pool that computes key agreements beside it (`pool.rs`). Requests arrive by Poisson at a share of what the shard can do, from sessions at random; a turn takes the
//! CPU time it is measured to take. Arms take turns in short rounds with the same arrivals; the quantiles are those of
//! all rounds together, and the interval of a ratio is found by drawing the rounds again.

mod arm;
#[allow(dead_code)] // what an operator does is the matter of `mass_change`
mod event;
mod options;
mod party;
mod pool;
mod replicas;
mod report;
#[path = "../../../server/tests/support/rig.rs"]
mod rig;
mod run;
mod step;
mod wire;
mod world;

fn main() {
    run::run(&options::Options::read(std::env::args()));
}
