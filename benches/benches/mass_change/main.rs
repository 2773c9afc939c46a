//! What a change of a great many sessions adds to the latency of requests under way, in the server's own time.
//!
//! `cargo bench -p mvt-benches --bench mass_change -- --revocation | --rotation [--load 0.8 --sockets]`: the worlds of `renewal_latency`,
//! while an operator revokes by the ten thousand (CASES X-05) or has every session renew (K-08). The arms go on by turns of
//! two milliseconds: how fast the machine is just now is then the same for all of them, and so it is where the load is set.

#[allow(dead_code)] // each bench uses its part
#[path = "../renewal_latency/arm.rs"]
mod arm;
#[path = "../renewal_latency/event.rs"]
mod event;
mod options;
#[path = "../renewal_latency/party.rs"]
mod party;
#[path = "../renewal_latency/pool.rs"]
mod pool;
#[path = "../renewal_latency/replicas.rs"]
mod replicas;
mod report;
#[path = "../../../server/tests/support/rig.rs"]
mod rig;
mod run;
#[allow(dead_code)] // as above
#[path = "../renewal_latency/step.rs"]
mod step;
#[path = "../renewal_latency/wire.rs"]
mod wire;
#[path = "../renewal_latency/world.rs"]
mod world;

fn main() {
    run::run(&options::Options::read(std::env::args()));
}
