//! Replicas of a world in lock-step, as one server of a queue: a turn takes the median of what it took each of them.
//!
//! A host takes its virtual cores away for longer than a turn lasts, and a thread's clock counts that. It does not do so twice
//! in the same turn of three replicas, unless it does it all the time.

use mvt_benches::{queue::Server, thread_time};
use mvt_server::limits::SWEEP_INTERVAL_MS;
use rand_xoshiro::{
    Xoshiro256PlusPlus,
    rand_core::{Rng as _, SeedableRng as _},
};

use crate::{pool::Pool, rig::ORIGIN_MS, step::Costs, world::World};

const NS_PER_MS: u64 = 1_000_000;

pub struct Replicas {
    pub worlds: Vec<World>,
    sessions: u64,
    /// Whose request comes next.
    choice: Xoshiro256PlusPlus,
    /// Of a measurement of nothing, ns.
    reading_ns: u64,
    ticks_ns: u64,
    is_behind: bool,
    served: usize,
    pool: Pool,
    /// Of what a turn took the replicas, sorted: the middle, unless told otherwise.
    pub rank: usize,
    pub costs: Costs,
}

fn time_ms(now_ns: u64) -> u64 {
    ORIGIN_MS + now_ns / NS_PER_MS
}

impl Replicas {
    pub fn new(worlds: Vec<World>, sessions: usize, seed: u64) -> Self {
        Self {
            rank: worlds.len() / 2,
            worlds,
            sessions: sessions as u64,
            choice: Xoshiro256PlusPlus::seed_from_u64(seed),
            reading_ns: thread_time::reading_ns(),
            ticks_ns: SWEEP_INTERVAL_MS * NS_PER_MS,
            is_behind: false,
            served: 0,
            pool: Pool::default(),
            costs: Costs::default(),
        }
    }

    /// What `act` took, by the rank that counts.
    fn ranked(&mut self, mut act: impl FnMut(&mut World) -> u64) -> u64 {
        let mut took: Vec<u64> = self.worlds.iter_mut().map(&mut act).collect();
        took.sort_unstable();
        took[self.rank].saturating_sub(self.reading_ns)
    }
}

impl Server for Replicas {
    fn arrive(&mut self, now_ns: u64) {
        let number = (self.choice.next_u64() % self.sessions) as usize;
        self.worlds.iter_mut().for_each(|world| world.arrive(number, time_ms(now_ns)));
    }

    fn turn(&mut self, now_ns: u64, count: usize) -> u64 {
        self.served = count;
        let swept_ns = if now_ns >= self.ticks_ns {
            self.ticks_ns = now_ns + SWEEP_INTERVAL_MS * NS_PER_MS;
            self.is_behind = true;
            self.ranked(|world| world.sweep(time_ms(now_ns)))
        } else {
            0
        };
        let agreed = self.pool.end(now_ns);
        let wakes = !self.pool.attends(now_ns);
        let took_ns = self.ranked(|world| world.turn((agreed, wakes), time_ms(now_ns)));
        self.costs.note(&self.worlds[0], count, took_ns);
        swept_ns + took_ns
    }

    fn deliver(&mut self, now_ns: u64) {
        for world in &mut self.worlds {
            let answered = world.deliver(time_ms(now_ns));
            assert_eq!(answered, self.served, "every request of a turn is answered in it");
        }
        let asked = self.worlds[0].asked_count();
        if asked > 0 {
            let took_ns = self.ranked(World::compute);
            self.pool.begin(now_ns, asked, took_ns);
        }
    }

    fn upkeep(&mut self, now_ns: u64) -> u64 {
        if !self.is_behind {
            return 0;
        }
        let mut is_behind = false;
        let took_ns = self.ranked(|world| {
            let (took_ns, is_more) = world.reclaim(time_ms(now_ns));
            is_behind |= is_more;
            took_ns
        });
        self.is_behind = is_behind;
        took_ns
    }

    fn sleeps_until_ns(&self) -> u64 {
        let next_ns = self.ticks_ns.min(self.pool.next_ns());
        if self.is_behind || self.worlds[0].has_input() { 0 } else { next_ns }
    }
}
