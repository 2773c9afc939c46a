//! The steps of a renewal, and what a turn took that had one of them.

use crate::world::World;

/// What there was beside requests in a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    None,
    Offer,
    Share,
    /// A key agreement comes from the pool.
    Agreed,
    /// The first request of a generation: commit and ticket.
    Commit,
}

pub const STEPS: [(Step, &str); 5] = [
    (Step::None, "no step"),
    (Step::Offer, "an OFFER"),
    (Step::Share, "a SHARE"),
    (Step::Agreed, "an agreement taken in"),
    (Step::Commit, "a commit, a TICKET"),
];

/// Counters of the steps.
#[derive(Debug, Clone, Copy, Default)]
struct Seen([u64; 4]);

/// What turns of one request took, by their step, ns.
#[derive(Debug, Default)]
pub struct Costs {
    seen: Seen,
    took_ns: [Vec<u64>; 5],
}

impl Costs {
    /// Notes a turn of `count` requests; one that only takes in an agreement has none.
    pub fn note(&mut self, world: &World, count: usize, took_ns: u64) {
        let counters = &world.rig.counters;
        let steps = [&counters.offers, &counters.shares, &counters.agreements_pooled, &counters.renewals];
        let now = Seen(steps.map(|counter| counter.get()));
        let new = [0, 1, 2, 3].map(|at| now.0[at] - self.seen.0[at]);
        self.seen = now;
        let step = match new {
            [0, 0, 0, 0] => 0,
            [1, 0, 0, 0] => 1,
            [0, 1, 0, 0] => 2,
            [0, 0, 1, 0] => 3,
            [0, 0, 0, 1] => 4,
            _ => return,
        };
        if count == 1 || (count == 0 && step != 0) {
            self.took_ns[step].push(took_ns);
        }
    }

    /// The median for `step`, us, and how many turns that is of.
    pub fn median_us(&self, step: Step) -> Option<(f64, usize)> {
        let at = STEPS.iter().position(|(row, _)| *row == step)?;
        let mut sorted = self.took_ns[at].clone();
        sorted.sort_unstable();
        Some((*sorted.get(sorted.len() / 2)? as f64 / 1e3, sorted.len()))
    }

    pub fn forget(&mut self) {
        self.took_ns.iter_mut().for_each(Vec::clear);
    }
}
