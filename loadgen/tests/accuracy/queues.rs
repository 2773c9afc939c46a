//! Queues whose latency is known: M/D/1, M/M/1, and Little's law for both.

use mvt_loadgen::arrivals::{OpenLoop, Process};
use rand_xoshiro::{
    Xoshiro256PlusPlus,
    rand_core::{Rng as _, SeedableRng as _},
};

use crate::{
    assert_close,
    virtual_run::{SECOND, Seen, Virtual, open},
};

const SERVICE_NS: f64 = 20_000.0;
const RATE_PER_S: f64 = 30_000.0;
/// Utilisation.
const RHO: f64 = RATE_PER_S * SERVICE_NS / 1e9;

fn poisson(connections: usize, seed: u64) -> Virtual {
    Virtual {
        schedule: open(
            OpenLoop { rate_per_s: RATE_PER_S, process: Process::Poisson, ramp_ns: 0, seed },
            1 << 20,
        ),
        connections,
        warmup_ns: SECOND,
        duration_ns: 40 * SECOND,
        server_pause: None,
        generator_pause: None,
    }
}

fn assert_little(what: &str, seen: &Seen) {
    let rate_per_ns = seen.tally.sent as f64 / (40 * SECOND) as f64;
    let mean_ns = seen.tally.latencies.summary().mean.expect("samples");
    assert_close(
        &format!("{what}, Little's law: L against rate x W"),
        rate_per_ns * mean_ns * 1e6,
        seen.in_system * 1e6,
        0.5,
    );
}

/// Wait in an M/D/1 queue: P(W <= t) = (1 - rho) sum over k of e^(-x) x^k / k!, x = lambda (k D - t) (Erlang).
fn md1_wait_at_most(t_ns: f64) -> f64 {
    let lambda = RATE_PER_S / 1e9;
    let terms = (t_ns / SERVICE_NS).floor() as u32;
    let term = |k: u32| {
        let x = lambda * (f64::from(k) * SERVICE_NS - t_ns);
        let power_over_factorial: f64 = (1..=k).map(|i| x / f64::from(i)).product();
        (-x).exp() * power_over_factorial
    };
    (1.0 - RHO) * (0..=terms).map(term).sum::<f64>()
}

/// The wait that a share `quantile` does not exceed, by bisection.
fn md1_wait(quantile: f64) -> f64 {
    let (mut low, mut high) = (0.0, 20.0 * SERVICE_NS);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if md1_wait_at_most(middle) < quantile { low = middle } else { high = middle }
    }
    low
}

#[test]
fn an_m_d_1_server_has_the_latency_of_the_theory() {
    let seen = poisson(3, 5).run(|| SERVICE_NS as u64);
    let latencies = &seen.tally.latencies;
    let mean = SERVICE_NS + RHO * SERVICE_NS / (2.0 * (1.0 - RHO));
    assert_close("M/D/1, mean", latencies.summary().mean.expect("samples"), mean, 2.0);
    for quantile in [0.5, 0.9, 0.99, 0.999] {
        let found = latencies.quantile(quantile, 0).expect("samples") as f64;
        assert_close(&format!("M/D/1, p{}", quantile * 100.0), found, SERVICE_NS + md1_wait(quantile), 2.0);
    }
    assert_little("M/D/1", &seen);
}

#[test]
fn an_m_m_1_server_has_the_latency_of_the_theory() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(99);
    let seen = poisson(4, 6).run(|| {
        let uniform = ((random.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64;
        (-uniform.ln() * SERVICE_NS) as u64
    });
    let latencies = &seen.tally.latencies;
    // The time in an M/M/1 system is exponential with rate mu - lambda.
    let mean = SERVICE_NS / (1.0 - RHO);
    assert_close("M/M/1, mean", latencies.summary().mean.expect("samples"), mean, 2.0);
    for quantile in [0.5, 0.9, 0.99, 0.999] {
        let found = latencies.quantile(quantile, 0).expect("samples") as f64;
        let percent = if quantile > 0.99 { 3.0 } else { 2.0 };
        assert_close(
            &format!("M/M/1, p{}", quantile * 100.0),
            found,
            -mean * (1.0f64 - quantile).ln(),
            percent,
        );
    }
    assert_little("M/M/1", &seen);
}
