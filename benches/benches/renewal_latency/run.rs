//! Arms by turns, round after round.

use hdrhistogram::Histogram;
use mvt_benches::{
    quantiles::Rounds,
    queue::{Queue, Server as _},
};

use crate::{
    arm::{Arm, Life},
    event::Event,
    options::Options,
    replicas::Replicas,
    report,
    step::Costs,
    world::World,
};

const NS_PER_MS: u64 = 1_000_000;
/// Requests of a turn by which is said what the shard can do.
const FULL_TURN: usize = 256;

/// What an arm came to.
pub struct Outcome {
    pub name: &'static str,
    /// Of each round, ns.
    pub rounds: Vec<Histogram<u64>>,
    pub busy: f64,
    pub renewals: u64,
    pub shares: u64,
    /// Key agreements that came from the pool.
    pub pooled: u64,
    /// Of turns with one request.
    pub costs: Costs,
}

impl Outcome {
    pub fn as_rounds(&self) -> Rounds<'_> {
        Rounds { name: self.name, rounds: &self.rounds }
    }
}

const STEADY: Arm = Arm { name: "steady", life: Life::Steady, event: Event::None, has_pool: true, idle: 0 };

/// The control, the control again, and what is compared with it.
fn arms(options: &Options) -> [Arm; 5] {
    let renewing = |name, every_ms| Arm { name, life: Life::Renewing(every_ms), ..STEADY };
    let again = Arm { name: "steady, again", ..STEADY };
    let often = renewing("renewing often", options.every_ms);
    let alone = Arm { name: "renewing often, without a pool", has_pool: false, ..often };
    [STEADY, again, renewing("each renews in 60 s", 60_000), often, alone]
}

fn replicas(options: &Options, arm: &Arm) -> Replicas {
    let world = |_| World::new(arm, options.sessions, options.suite, options.has_sockets);
    Replicas::new((0..options.replicas).map(world).collect(), options.sessions, 5)
}

/// What a request takes in a full turn of sessions at random, ns: the median of many turns.
fn request_ns(options: &Options) -> f64 {
    let mut replicas = replicas(options, &STEADY);
    let mut turns: Vec<u64> = (0..401)
        .map(|_| {
            (0..FULL_TURN).for_each(|_| replicas.arrive(0));
            let took = replicas.turn(0, FULL_TURN);
            replicas.deliver(0);
            took
        })
        .collect();
    turns.sort_unstable();
    turns[turns.len() / 2] as f64 / FULL_TURN as f64
}

pub fn run(options: &Options) {
    let request_ns = request_ns(options);
    let rate_per_s = options.load * 1e9 / request_ns;
    report::head(options, request_ns, rate_per_s);
    let arms = arms(options);
    let mut queues: Vec<_> =
        arms.iter().map(|arm| Queue::new(replicas(options, arm), rate_per_s, usize::MAX, 7)).collect();
    let round_ns = options.round_ms * NS_PER_MS;
    let warmup_ns = options.warmup_ms * NS_PER_MS;
    queues.iter_mut().for_each(|queue| queue.run(warmup_ns, |_| ()));
    queues.iter_mut().for_each(|queue| queue.server.costs.forget());
    let before: Vec<_> = queues.iter().map(counts).collect();
    let busy: Vec<_> = queues.iter().map(|queue| (queue.busy_ns(), queue.now_ns())).collect();
    let mut rounds = vec![Vec::new(); arms.len()];
    for number in 1..=options.measured_ms / options.round_ms {
        for (queue, rounds) in queues.iter_mut().zip(&mut rounds) {
            let mut seen = Histogram::<u64>::new(3).expect("three digits");
            queue.run(warmup_ns + number * round_ns, |latency_ns| seen.record(latency_ns).expect("it grows"));
            rounds.push(seen);
        }
    }
    let outcomes: Vec<_> = (0..arms.len())
        .map(|at| {
            let after = counts(&queues[at]);
            let (busy_ns, then_ns) = busy[at];
            let elapsed_ns = queues[at].now_ns() - then_ns;
            Outcome {
                name: arms[at].name,
                rounds: std::mem::take(&mut rounds[at]),
                busy: (queues[at].busy_ns() - busy_ns) as f64 / elapsed_ns as f64,
                renewals: after.0 - before[at].0,
                shares: after.1 - before[at].1,
                pooled: after.2 - before[at].2,
                costs: std::mem::take(&mut queues[at].server.costs),
            }
        })
        .collect();
    report::table(&outcomes, options.measured_ms);
}

/// Renewals, those with a Diffie-Hellman, and those that the pool computed.
fn counts(queue: &Queue<Replicas>) -> (u64, u64, u64) {
    let world = &queue.server.worlds[0];
    (world.counted("renewals"), world.counted("shares"), world.counted("agreements_pooled"))
}
