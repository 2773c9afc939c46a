//! The steps of a renewal, and what a turn took that had one of them.

use crate::world::World;

/// What there was beside requests in a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    None,
    Offer,
    Share,
    /// The first request of a generation: commit and ticket.
    Commit,
}

pub const STEPS: [(Step, &str); 4] = [
    (Step::None, "no step"),
    (Step::Offer, "an OFFER"),
    (Step::Share, "a SHARE"),
    (Step::Commit, "a commit, a TICKET"),
];

/// Counters of the steps.
#[derive(Debug, Clone, Copy, Default)]
struct Seen([u64; 3]);

/// What turns of one request took, by their step, ns.
#[derive(Debug, Default)]
pub struct Costs {
    seen: Seen,
    took_ns: [Vec<u64>; 4],
}

impl Costs {
    /// Notes a turn of `count` requests.
    pub fn note(&mut self, world: &World, count: usize, took_ns: u64) {
        let counters = &world.rig.counters;
        let now = Seen([counters.offers.get(), counters.shares.get(), counters.renewals.get()]);
        let new = [0, 1, 2].map(|at| now.0[at] - self.seen.0[at]);
        self.seen = now;
        let step = match new {
            [0, 0, 0] => 0,
            [1, 0, 0] => 1,
            [0, 1, 0] => 2,
            [0, 0, 1] => 3,
            _ => return,
        };
        if count == 1 {
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
