//! The table.

use mvt_benches::quantiles::{self, merged};

use crate::{options::Options, run::Outcome};

const QUANTILES: [(f64, &str); 4] = [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9")];

pub fn head(options: &Options, request_ns: f64, rate_per_s: f64) {
    println!(
        "{:?}, {} sessions that send, {} idle, {} replicas, {}; {request_ns:.0} ns a request in turns of 256, so {:.0} % of that is {rate_per_s:.0} \
         requests/s; {:?}",
        options.suite,
        options.sessions,
        options.idle,
        options.replicas,
        if options.has_sockets { "with sockets" } else { "the shard alone" },
        options.load * 100.0,
        options.event,
    );
}

/// Each arm, and how its quantiles compare with those of the first.
pub fn table(outcomes: &[Outcome]) {
    let control = &outcomes[0];
    for outcome in outcomes {
        let all = merged(outcome.rounds.iter());
        println!(
            "\n{}: {} requests in {} rounds, busy {:.1} %; {} sessions revoked, {} told to renew, {} renewals, {} with a Diffie-Hellman",
            outcome.name,
            all.len(),
            outcome.rounds.len(),
            outcome.busy * 100.0,
            outcome.revoked,
            outcome.asked,
            outcome.renewals,
            outcome.shares,
        );
        quantiles::print(outcome.as_rounds(), control.as_rounds(), &QUANTILES);
    }
}
