//! A server and its open loop in virtual time: what it takes is measured, when it happens is computed.
//!
//! The server takes what waits as one turn. Time goes on by what the server says the turn took; the latency of a request is the end of
//! its turn less its arrival. So what the machine does beside the server adds to no latency, and what delays one turn delays
//! all that arrive meanwhile, as on a real clock.

use mvt_loadgen::arrivals::{Arrivals, OpenLoop, Process};

/// What is measured.
pub trait Server {
    /// A request of the open loop arrives.
    fn arrive(&mut self, now_ns: u64);

    /// Serves the first `count` of what arrived; gives how long that took, ns.
    fn turn(&mut self, now_ns: u64, count: usize) -> u64;

    /// The turn has ended: its answers reach their clients.
    fn deliver(&mut self, now_ns: u64);

    /// What it does for itself before the next turn; gives how long that took, ns.
    fn upkeep(&mut self, now_ns: u64) -> u64 {
        let _ = now_ns;
        0
    }

    /// Until when it sleeps if nothing arrives, ns; a time that is not to come yet.
    fn sleeps_until_ns(&self) -> u64 {
        u64::MAX
    }
}

/// A server with what waits for it.
#[derive(Debug)]
pub struct Queue<S> {
    /// The server.
    pub server: S,
    arrivals: Arrivals,
    now_ns: u64,
    /// When the requests that wait arrived, the first first.
    waiting: Vec<u64>,
    turn_requests_max: usize,
    busy_ns: u64,
}

impl<S: Server> Queue<S> {
    /// Requests at `rate_per_s`, Poisson; at most so many are served in one turn.
    #[must_use]
    pub fn new(server: S, rate_per_s: f64, turn_requests_max: usize, seed: u64) -> Self {
        let open = OpenLoop { rate_per_s, process: Process::Poisson, ramp_ns: 0, seed };
        let arrivals = Arrivals::new(&open, 0, 1, 0);
        Self { server, arrivals, now_ns: 0, waiting: Vec::new(), turn_requests_max, busy_ns: 0 }
    }

    /// How long the server was at work since the start, ns.
    #[must_use]
    pub const fn busy_ns(&self) -> u64 {
        self.busy_ns
    }

    /// Virtual time, ns.
    #[must_use]
    pub const fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// Goes on until `until_ns`; each latency is told, ns.
    pub fn run(&mut self, until_ns: u64, mut told: impl FnMut(u64)) {
        loop {
            if self.waiting.is_empty() {
                let next = self.arrivals.next_ns().min(self.server.sleeps_until_ns());
                self.now_ns = self.now_ns.max(next);
            }
            if self.now_ns >= until_ns {
                return;
            }
            self.take_arrivals();
            let count = self.waiting.len().min(self.turn_requests_max);
            let turn_ns = self.server.turn(self.now_ns, count);
            self.now_ns += turn_ns;
            self.waiting.drain(..count).for_each(|arrived| told(self.now_ns - arrived));
            // Who sent meanwhile did not know the answers of this turn.
            self.take_arrivals();
            self.server.deliver(self.now_ns);
            let upkeep_ns = self.server.upkeep(self.now_ns);
            self.now_ns += upkeep_ns;
            self.busy_ns += turn_ns + upkeep_ns;
        }
    }

    fn take_arrivals(&mut self) {
        while self.arrivals.next_ns() <= self.now_ns {
            let arrived = self.arrivals.take();
            self.waiting.push(arrived);
            self.server.arrive(arrived);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes equally long for each request.
    struct Constant {
        request_ns: u64,
        upkeep_ns: u64,
    }

    impl Server for Constant {
        fn arrive(&mut self, _: u64) {}

        fn turn(&mut self, _: u64, count: usize) -> u64 {
            self.request_ns * count as u64
        }

        fn deliver(&mut self, _: u64) {}

        fn upkeep(&mut self, _: u64) -> u64 {
            self.upkeep_ns
        }
    }

    const REQUEST_NS: u64 = 1_000;

    /// The latencies of a queue at this load that serves one at a time, sorted.
    fn latencies(load: f64) -> Vec<u64> {
        let server = Constant { request_ns: REQUEST_NS, upkeep_ns: 0 };
        let mut queue = Queue::new(server, load * 1e9 / REQUEST_NS as f64, 1, 3);
        let mut latencies = Vec::new();
        queue.run(2_000_000_000, |latency| latencies.push(latency));
        let busy = queue.busy_ns() as f64 / queue.now_ns() as f64;
        assert!((busy - load).abs() < 0.01, "busy {busy} at load {load}");
        latencies.sort_unstable();
        latencies
    }

    /// Crommelin: the probability that a request of an M/D/1 queue waits no longer than `wait` times of service.
    fn waits_at_most(wait: f64, load: f64) -> f64 {
        let term = |k: i32| {
            let x = load * (f64::from(k) - wait);
            let power: f64 = (1..=k).map(|factor| x / f64::from(factor)).product();
            power * (-x).exp()
        };
        (1.0 - load) * (0..=wait as i32).map(term).sum::<f64>()
    }

    #[test]
    fn a_constant_time_of_service_gives_the_queue_of_theory() {
        for load in [0.3, 0.5, 0.8] {
            let latencies = latencies(load);
            let waited = |latency: &u64| (*latency - REQUEST_NS) as f64 / REQUEST_NS as f64;
            let mean = latencies.iter().map(waited).sum::<f64>() / latencies.len() as f64;
            let theory = load / (2.0 * (1.0 - load));
            assert!((mean / theory - 1.0).abs() < 0.03, "load {load}: waits {mean}, by theory {theory}");
            for quantile in [0.5, 0.9, 0.99, 0.999] {
                let wait = waited(&latencies[(quantile * latencies.len() as f64) as usize]);
                let theory = waits_at_most(wait, load);
                // Where nobody waits is more than half of them at a load of 0.3.
                let is_right = (theory - quantile).abs() < 0.15 * (1.0 - quantile) || wait == 0.0;
                assert!(is_right, "load {load}: {quantile} wait up to {wait}, by theory {theory} do");
            }
        }
    }

    #[test]
    fn a_turn_delays_what_arrives_during_it_and_upkeep_what_comes_after() {
        let run = |upkeep_ns| {
            let mut queue = Queue::new(Constant { request_ns: 10, upkeep_ns }, 1e6, usize::MAX, 3);
            let (mut least, mut most) = (u64::MAX, 0);
            queue.run(50_000_000, |latency| {
                (least, most) = (least.min(latency), most.max(latency));
            });
            (least, most)
        };
        let (alone, burdened) = (run(0), run(10_000));
        assert_eq!(alone.0, 10);
        assert!(alone.1 < 200 && (10_000..12_000).contains(&burdened.1), "{alone:?} {burdened:?}");
    }
}
