//! A run in virtual time: the generator's own pacing and tally, a server of one queue, no clock.

use std::collections::VecDeque;

use mvt_loadgen::{arrivals::OpenLoop, pacing::Pacing, phase::Phases, schedule::Schedule, tally::Tally};

pub(crate) const SECOND: u64 = 1_000_000_000;

/// What is simulated.
pub(crate) struct Virtual {
    pub(crate) schedule: Schedule,
    pub(crate) connections: usize,
    /// The measured interval follows a warm-up of the same kind.
    pub(crate) warmup_ns: u64,
    pub(crate) duration_ns: u64,
    /// The server does not work from the first instant for the second's time.
    pub(crate) server_pause: Option<(u64, u64)>,
    /// The generator does not work.
    pub(crate) generator_pause: Option<(u64, u64)>,
}

/// What came of it.
pub(crate) struct Seen {
    pub(crate) tally: Tally,
    /// Time average of requests between their intended instant and their answer, in the measured interval.
    pub(crate) in_system: f64,
}

struct Waiting {
    connection: usize,
    from_ns: u64,
    measured: bool,
    done_ns: u64,
}

pub(crate) fn open(open: OpenLoop, in_flight: usize) -> Schedule {
    Schedule::Open { arrivals: open, in_flight }
}

fn after((from_ns, for_ns): (u64, u64), at_ns: u64) -> u64 {
    if (from_ns..from_ns + for_ns).contains(&at_ns) { from_ns + for_ns } else { at_ns }
}

impl Virtual {
    pub(crate) fn phases(&self) -> Phases {
        let measure_until_ns = self.warmup_ns + self.duration_ns;
        Phases {
            begin_ns: 0,
            measure_from_ns: self.warmup_ns,
            measure_until_ns,
            drain_until_ns: measure_until_ns + 3_600 * SECOND,
        }
    }

    /// Runs against a first-come-first-served server whose service times `service_ns` gives.
    pub(crate) fn run(&self, mut service_ns: impl FnMut() -> u64) -> Seen {
        let phases = self.phases();
        let mut tally = Tally::default();
        tally.begin(&phases);
        let mut pacings: Vec<Pacing> = (0..self.connections)
            .map(|index| Pacing::new(&self.schedule, index, self.connections, &phases))
            .collect();
        let mut waiting_on = vec![0usize; self.connections];
        let mut queue: VecDeque<Waiting> = VecDeque::new();
        let (mut now_ns, mut free_ns, mut area) = (0, 0, 0.0);
        loop {
            // What was read since, as a turn does: first a note of who could not send, then the answers.
            for (pacing, waiting) in pacings.iter_mut().zip(&waiting_on) {
                if pacing.is_full(*waiting) {
                    pacing.hold(now_ns);
                }
            }
            while let Some(done) = queue.pop_front_if(|done| done.done_ns <= now_ns) {
                waiting_on[done.connection] -= 1;
                if phases.measures(done.done_ns) {
                    tally.answer(1, done.done_ns);
                }
                if done.measured {
                    tally.verify(1, done.from_ns, done.done_ns);
                }
                let within = |ns: u64| ns.clamp(phases.measure_from_ns, phases.measure_until_ns);
                area += (within(done.done_ns) - within(done.from_ns)) as f64;
            }
            for connection in 0..self.connections {
                let sends = phases.at(now_ns).sends();
                while pacings[connection].is_due(now_ns, waiting_on[connection], sends) {
                    let due = pacings[connection].take();
                    let from_ns = due.intended_ns.unwrap_or(now_ns);
                    let measured = phases.measures(from_ns);
                    if measured {
                        tally.send(due, now_ns);
                    }
                    let begun_ns =
                        self.server_pause.map_or(now_ns, |pause| after(pause, free_ns.max(now_ns)));
                    free_ns = begun_ns.max(free_ns) + service_ns();
                    waiting_on[connection] += 1;
                    queue.push_back(Waiting { connection, from_ns, measured, done_ns: free_ns });
                }
            }
            let ready =
                pacings.iter().zip(&waiting_on).filter(|(pacing, waiting)| !pacing.is_full(**waiting));
            let next_due = ready.filter_map(|(pacing, _)| pacing.next_ns()).min();
            let Some(next_ns) = next_due.into_iter().chain(queue.front().map(|first| first.done_ns)).min()
            else {
                break;
            };
            now_ns = self.generator_pause.map_or(next_ns, |pause| after(pause, next_ns)).max(now_ns);
        }
        tally.unsent = pacings.iter_mut().map(|pacing| pacing.give_up(&phases)).sum();
        Seen { tally, in_system: area / self.duration_ns as f64 }
    }
}
