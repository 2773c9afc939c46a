//! Whether Poisson arrivals are: mean, variance, and the distribution of the gaps.

use mvt_loadgen::arrivals::{Arrivals, OpenLoop, Process};

use crate::assert_close;

const RATE_PER_S: f64 = 1e6;

/// The first `count` instants of all connections together.
fn instants(process: Process, connections: usize, count: usize) -> Vec<u64> {
    let open = OpenLoop { rate_per_s: RATE_PER_S, process, ramp_ns: 0, seed: 42 };
    let until_ns = (count as f64 / RATE_PER_S * 1e9) as u64;
    let mut all = Vec::new();
    for index in 0..connections {
        let mut arrivals = Arrivals::new(&open, index, connections, 0);
        while arrivals.next_ns() < until_ns {
            all.push(arrivals.take());
        }
    }
    all.sort_unstable();
    all
}

/// The distance of Kolmogorov and Smirnov between the gaps and the exponential distribution of this rate.
fn distance_from_exponential(instants: &[u64]) -> f64 {
    let mut gaps: Vec<f64> = instants.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
    gaps.sort_unstable_by(f64::total_cmp);
    let count = gaps.len() as f64;
    // Instants are whole ns: a gap of g stands for g ± 1.
    let steps = gaps.iter().enumerate().map(|(index, gap)| {
        let theory = 1.0 - (-gap * RATE_PER_S / 1e9).exp();
        (theory - index as f64 / count).abs().max((theory - (index + 1) as f64 / count).abs())
    });
    steps.fold(0.0, f64::max)
}

#[test]
fn poisson_arrivals_have_the_mean_and_the_variance_of_poisson_counts() {
    for connections in [1, 8] {
        let all = instants(Process::Poisson, connections, 400_000);
        let window_ns = 100_000;
        let mut counts = vec![0.0f64; 4_000];
        all.iter().for_each(|ns| counts[(ns / window_ns) as usize] += 1.0);
        let mean = counts.iter().sum::<f64>() / counts.len() as f64;
        let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / counts.len() as f64;
        assert_close(&format!("Poisson, {connections} connections, mean"), mean, 100.0, 1.0);
        // The standard error of a variance of 4,000 counts is 2.2 %.
        assert_close(&format!("Poisson, {connections} connections, variance"), variance, 100.0, 6.0);
    }
}

#[test]
fn gaps_of_poisson_arrivals_are_exponential_and_those_of_constant_ones_are_not() {
    for connections in [1, 8] {
        let all = instants(Process::Poisson, connections, 100_000);
        // The critical value of the test at 1 %, and one step of a clock of whole ns.
        let critical = 1.63 / (all.len() as f64).sqrt() + RATE_PER_S / 1e9;
        let distance = distance_from_exponential(&all);
        println!(
            "Poisson, {connections} connections, KS distance {distance:.5}, critical at 1 % {critical:.5}"
        );
        assert!(distance < critical, "{distance}");
    }
    let constant = distance_from_exponential(&instants(Process::Constant, 1, 100_000));
    assert!(constant > 0.3, "the canary: {constant}");
}
