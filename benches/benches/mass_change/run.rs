//! Arms by turns, slice after slice.

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
    world::World,
};

const NS_PER_MS: u64 = 1_000_000;
/// Requests of a turn by which is said what the shard can do.
const FULL_TURN: usize = 256;
/// Slices of each arm for that.
const CALIBRATION_SLICES: usize = 40;

/// What an arm came to.
pub struct Outcome {
    pub name: &'static str,
    /// Of each round, ns.
    pub rounds: Vec<Histogram<u64>>,
    pub busy: f64,
    pub revoked: u64,
    pub asked: u64,
    pub renewals: u64,
    pub shares: u64,
}

impl Outcome {
    pub fn as_rounds(&self) -> Rounds<'_> {
        Rounds { name: self.name, rounds: &self.rounds }
    }
}

fn arms(options: &Options) -> [Arm; 3] {
    let control =
        Arm { name: "steady", life: Life::Steady, event: Event::None, has_pool: true, idle: options.idle };
    let again = Arm { name: "steady, again", ..control };
    [control, again, Arm { name: options.name, event: options.event, ..control }]
}

fn replicas(options: &Options, arm: &Arm) -> Replicas {
    let world = |_| World::new(arm, options.sessions, options.suite, options.has_sockets);
    let mut replicas = Replicas::new((0..options.replicas).map(world).collect(), options.sessions, 5);
    // Whatever hinders a turn only adds to it, and at this load a hindrance is an overload: the least is what the work takes.
    replicas.rank = 0;
    replicas
}

/// What a request takes in full turns of sessions at random, ns: the median of many turns of all arms, which go on by turns as they will when
/// they are compared. So the caches are as warm as they will be then.
fn request_ns(arms: &mut [Replicas], slice_ns: u64) -> f64 {
    let mut turns = Vec::new();
    for _ in 0..CALIBRATION_SLICES {
        for replicas in &mut *arms {
            let mut elapsed_ns = 0;
            while elapsed_ns < slice_ns {
                (0..FULL_TURN).for_each(|_| replicas.arrive(0));
                let took_ns = replicas.turn(0, FULL_TURN);
                replicas.deliver(0);
                elapsed_ns += took_ns;
                turns.push(took_ns);
            }
        }
    }
    turns.sort_unstable();
    turns[turns.len() / 2] as f64 / FULL_TURN as f64
}

pub fn run(options: &Options) {
    let arms = arms(options);
    let slice_ns = options.slice_us * 1_000;
    let mut servers: Vec<_> = arms.iter().map(|arm| replicas(options, arm)).collect();
    let request_ns = request_ns(&mut servers, slice_ns);
    let rate_per_s = options.load * 1e9 / request_ns;
    report::head(options, request_ns, rate_per_s);
    let mut queues: Vec<_> =
        servers.into_iter().map(|server| Queue::new(server, rate_per_s, usize::MAX, 7)).collect();
    let round_ns = options.round_ms * NS_PER_MS;
    let mut go_to = |until_ns: u64, rounds: &mut [Histogram<u64>]| {
        let mut now_ns = queues[0].now_ns() / slice_ns * slice_ns;
        let mut first = 0;
        while now_ns < until_ns {
            now_ns += slice_ns;
            // None is always the one behind another.
            first = (first + 1) % queues.len();
            for at in (0..queues.len()).map(|at| (at + first) % arms.len()) {
                let seen = &mut rounds[at];
                queues[at].run(now_ns, |latency_ns| seen.record(latency_ns).expect("it grows"));
            }
        }
        queues.iter().map(|queue| (queue.busy_ns(), queue.now_ns())).collect::<Vec<_>>()
    };
    let fresh = || vec![Histogram::<u64>::new(3).expect("three digits"); arms.len()];
    let warmup_ns = options.warmup_ms * NS_PER_MS;
    let before = go_to(warmup_ns, &mut fresh());
    let mut rounds = vec![Vec::new(); arms.len()];
    let mut after = Vec::new();
    for number in 1..=options.measured_ms / options.round_ms {
        let mut seen = fresh();
        after = go_to(warmup_ns + number * round_ns, &mut seen);
        rounds.iter_mut().zip(seen).for_each(|(rounds, seen)| rounds.push(seen));
    }
    let outcomes: Vec<_> = rounds
        .into_iter()
        .enumerate()
        .map(|(at, rounds)| {
            let world = &queues[at].server.worlds[0];
            Outcome {
                name: arms[at].name,
                rounds,
                busy: (after[at].0 - before[at].0) as f64 / (after[at].1 - before[at].1) as f64,
                revoked: world.counted("sessions_revoked"),
                asked: world.counted("rotations_asked"),
                renewals: world.counted("renewals"),
                shares: world.counted("shares"),
            }
        })
        .collect();
    report::table(&outcomes);
}
