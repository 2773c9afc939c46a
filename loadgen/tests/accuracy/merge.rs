//! Workers count apart; together they must give what one worker would have counted.

use mvt_loadgen::{
    arrivals::{OpenLoop, Process},
    histogram::Latencies,
    tally::Tally,
};

use crate::virtual_run::{SECOND, Virtual, open};

#[test]
fn merged_histograms_are_the_histogram_of_the_merged_samples() {
    let run = |seed| {
        let poisson = OpenLoop { rate_per_s: 2e4, process: Process::Poisson, ramp_ns: 0, seed };
        Virtual {
            schedule: open(poisson, 100),
            connections: 2,
            warmup_ns: SECOND,
            duration_ns: 5 * SECOND,
            server_pause: None,
            generator_pause: None,
        }
        .run(|| 30_000)
        .tally
    };
    let tallies: Vec<Tally> = (0..4).map(run).collect();
    let mut merged = Tally::default();
    let mut samples = Latencies::default();
    for tally in &tallies {
        merged.merge(tally);
        // The recorded value stands for its whole bucket, so recording it again gives the same bucket.
        tally.latencies.recorded().for_each(|(ns, count)| (0..count).for_each(|_| samples.record(ns)));
    }
    let counts = |latencies: &Latencies| latencies.recorded().collect::<Vec<_>>();
    assert_eq!(counts(&merged.latencies), counts(&samples));
    assert_eq!(merged.latencies.count(), tallies.iter().map(|tally| tally.verified).sum::<u64>());

    let mut of_slots = Latencies::default();
    merged.timeline.slots().iter().for_each(|slot| of_slots.merge(&slot.latencies));
    assert_eq!(of_slots, merged.latencies, "the slots hold every sample once");
    let average = tallies.iter().map(|it| it.latencies.summary().p99.expect("samples")).sum::<u64>() / 4;
    println!("p99 merged {:?}, averaged {average}", merged.latencies.summary().p99);
}
