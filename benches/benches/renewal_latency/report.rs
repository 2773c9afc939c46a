//! The table.

use mvt_benches::quantiles::{self, merged};

use crate::{options::Options, run::Outcome, step::STEPS};

const QUANTILES: [(f64, &str); 4] = [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9"), (1.0, "max")];

pub fn head(options: &Options, request_ns: f64, rate_per_s: f64) {
    println!(
        "{:?}, {} sessions, {} replicas, {}; {request_ns:.0} ns a request in turns of 256, so {:.0} % of that is {:.0} requests/s",
        options.suite,
        options.sessions,
        options.replicas,
        if options.has_sockets { "with sockets" } else { "the shard alone" },
        options.load * 100.0,
        rate_per_s
    );
}

/// Each arm, and how its quantiles compare with those of the first.
pub fn table(outcomes: &[Outcome], measured_ms: u64) {
    let control = &outcomes[0];
    for outcome in outcomes {
        let all = merged(outcome.rounds.iter());
        println!(
            "\n{}: {} requests in {} rounds, busy {:.1} %, {:.0} renewals/s, {:.0} with a Diffie-Hellman, {:.0} of them by the pool",
            outcome.name,
            all.len(),
            outcome.rounds.len(),
            outcome.busy * 100.0,
            outcome.renewals as f64 * 1e3 / measured_ms as f64,
            outcome.shares as f64 * 1e3 / measured_ms as f64,
            outcome.pooled as f64 * 1e3 / measured_ms as f64,
        );
        let costs = STEPS.iter().filter_map(|(step, name)| {
            let (median_us, count) = outcome.costs.median_us(*step)?;
            Some(format!("{median_us:.1} us with {name} ({count})"))
        });
        println!("  a turn of one request: {}", costs.collect::<Vec<_>>().join(", "));
        quantiles::print(outcome.as_rounds(), control.as_rounds(), &QUANTILES);
    }
}
