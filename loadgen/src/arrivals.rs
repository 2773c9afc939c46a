//! The intended instants of one connection's requests: an unbounded sequence made on demand, so that a backlog of any
//! length costs no memory.

use rand_xoshiro::{
    Xoshiro256PlusPlus,
    rand_core::{Rng as _, SeedableRng as _},
};

/// How arrivals are spread at a given rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// Equal gaps over all connections together.
    Constant,
    /// Independent, exponential gaps: users who do not know of each other.
    Poisson,
}

impl Process {
    /// Both, with their names.
    pub const ALL: [(Self, &'static str); 2] = [(Self::Constant, "constant"), (Self::Poisson, "poisson")];

    /// The name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(process, _)| *process == self).map_or("", |(_, name)| name)
    }
}

/// An open loop: when requests are sent does not depend on when they are answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OpenLoop {
    /// Requests per second over all connections, above 0.
    pub rate_per_s: f64,
    /// How they are spread.
    pub process: Process,
    /// The rate grows from 0 in a straight line for this long, ns.
    pub ramp_ns: u64,
    /// Repeats the instants.
    pub seed: u64,
}

/// The arrivals of one connection.
///
/// A process of rate 1 in its own time (`mark`) is mapped to the clock through the integral of the rate, so that a ramp
/// is exact for both processes.
#[derive(Debug, Clone)]
pub struct Arrivals {
    origin_ns: u64,
    per_ns: f64,
    ramp_ns: f64,
    mark: f64,
    gaps: Option<Xoshiro256PlusPlus>,
    next_ns: u64,
}

impl Arrivals {
    /// The arrivals of connection `index` of `count`, beginning at `origin_ns`.
    #[must_use]
    pub fn new(open: &OpenLoop, index: usize, count: usize, origin_ns: u64) -> Self {
        let gaps = (open.process == Process::Poisson).then(|| generator(open.seed, index));
        // Constant arrivals of the connections interleave into equal gaps.
        let mark = if gaps.is_some() { 0.0 } else { (index + 1) as f64 / count as f64 - 1.0 };
        let per_ns = open.rate_per_s / 1e9 / count as f64;
        let mut arrivals =
            Self { origin_ns, per_ns, ramp_ns: open.ramp_ns as f64, mark, gaps, next_ns: origin_ns };
        arrivals.advance();
        arrivals
    }

    /// The next intended instant, ns.
    #[must_use]
    #[inline]
    pub const fn next_ns(&self) -> u64 {
        self.next_ns
    }

    /// Takes the next instant.
    #[inline]
    pub fn take(&mut self) -> u64 {
        let taken = self.next_ns;
        self.advance();
        taken
    }

    /// Gives up the instants from the next one until `until_ns`, which is later: how many they are at this rate, without drawing
    /// them. Of a Poisson process that is what is expected.
    pub fn leap(&mut self, until_ns: u64) -> u64 {
        let since_ns = until_ns.saturating_sub(self.origin_ns) as f64;
        let count = (self.mark_at(since_ns) - self.mark).ceil().max(1.0);
        self.mark += count - 1.0;
        self.advance();
        count as u64
    }

    /// The integral of the rate at a time since the origin.
    fn mark_at(&self, since_ns: f64) -> f64 {
        if since_ns < self.ramp_ns {
            self.per_ns * since_ns * since_ns / (2.0 * self.ramp_ns)
        } else {
            self.per_ns * (since_ns - self.ramp_ns / 2.0)
        }
    }

    fn advance(&mut self) {
        self.mark += self.gaps.as_mut().map_or(1.0, exponential);
        self.next_ns = self.origin_ns.saturating_add(self.instant_of(self.mark) as u64);
    }

    /// The time at which the integral of the rate reaches `mark`, ns since the origin.
    fn instant_of(&self, mark: f64) -> f64 {
        let in_ramp = self.per_ns * self.ramp_ns / 2.0;
        if mark < in_ramp {
            (2.0 * self.ramp_ns * mark / self.per_ns).sqrt()
        } else {
            self.ramp_ns + (mark - in_ramp) / self.per_ns
        }
    }
}

/// A generator of its own for each connection: the `index`-th draw of the seed's generator seeds it.
pub(crate) fn generator(seed: u64, index: usize) -> Xoshiro256PlusPlus {
    let mut seeds = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut own = seeds.next_u64();
    for _ in 0..index {
        own = seeds.next_u64();
    }
    Xoshiro256PlusPlus::seed_from_u64(own)
}

/// An exponential gap with mean 1.
fn exponential(generator: &mut Xoshiro256PlusPlus) -> f64 {
    // 53 bits in (0, 1]: the logarithm is finite.
    let uniform = ((generator.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64;
    -uniform.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(process: Process, rate_per_s: f64, ramp_ns: u64) -> OpenLoop {
        OpenLoop { rate_per_s, process, ramp_ns, seed: 7 }
    }

    fn instants(open: &OpenLoop, connections: usize, until_ns: u64) -> Vec<u64> {
        let mut all = Vec::new();
        for index in 0..connections {
            let mut arrivals = Arrivals::new(open, index, connections, 0);
            while arrivals.next_ns() < until_ns {
                all.push(arrivals.take());
            }
        }
        all.sort_unstable();
        all
    }

    #[test]
    fn constant_arrivals_of_all_connections_have_equal_gaps() {
        for connections in [1, 3, 8] {
            let all = instants(&open(Process::Constant, 1_000_000.0, 0), connections, 10_000_000);
            assert!(all.len().abs_diff(10_000) <= 1, "{}", all.len());
            assert!(all.windows(2).all(|pair| (pair[1] - pair[0]).abs_diff(1_000) <= 2));
        }
    }

    #[test]
    fn a_ramp_sends_half_as_many() {
        for process in [Process::Constant, Process::Poisson] {
            let all = instants(&open(process, 1e6, 1_000_000_000), 4, 1_000_000_000);
            assert!(all.len().abs_diff(500_000) < 3_000, "{process:?}: {}", all.len());
            let first_half = all.iter().filter(|ns| **ns < 500_000_000).count();
            assert!(first_half.abs_diff(125_000) < 1_500, "{process:?}: {first_half}");
        }
    }

    #[test]
    fn a_seed_repeats_its_arrivals_and_connections_differ() {
        let poisson = open(Process::Poisson, 1e5, 0);
        assert_eq!(instants(&poisson, 2, 1_000_000_000), instants(&poisson, 2, 1_000_000_000));
        let other = OpenLoop { seed: 8, ..poisson };
        assert_ne!(instants(&poisson, 1, 1_000_000_000), instants(&other, 1, 1_000_000_000));
        assert_ne!(Arrivals::new(&poisson, 0, 2, 0).next_ns(), Arrivals::new(&poisson, 1, 2, 0).next_ns());
    }
}
