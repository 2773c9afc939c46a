//! The table.

use hdrhistogram::Histogram;
use mvt_benches::bootstrap;

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

fn merged<'h>(rounds: impl Iterator<Item = &'h Histogram<u64>>) -> Histogram<u64> {
    rounds.fold(Histogram::new(3).expect("three digits"), |mut all, round| {
        all.add(round).expect("it grows");
        all
    })
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
        for (quantile, name) in QUANTILES {
            let ratio = |drawn: &[usize]| {
                let of = |arm: &Outcome| {
                    merged(drawn.iter().map(|at| &arm.rounds[*at])).value_at_quantile(quantile) as f64
                };
                of(outcome) / of(control)
            };
            let every: Vec<usize> = (0..outcome.rounds.len()).collect();
            let (low, high) = bootstrap::interval(every.len(), 11, ratio);
            println!(
                "  {name:>5} {:9.2} us   {:6.3}x of {} ({low:.3} to {high:.3})",
                all.value_at_quantile(quantile) as f64 / 1e3,
                ratio(&every),
                control.name
            );
        }
    }
}
