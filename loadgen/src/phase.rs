//! The phases of a run and when they begin.

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Connections log in; nothing is sent.
    Starting,
    /// Requests are sent and verified, but not counted.
    WarmUp,
    /// Requests sent now are counted.
    Measure,
    /// Nothing new is due; answers to counted requests still count.
    Drain,
}

impl Phase {
    /// Whether requests are sent.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::WarmUp | Self::Measure)
    }
}

/// The instants of one run, ns of its [`crate::clock::Clock`].
///
/// Invariant: `begin_ns ≤ measure_from_ns ≤ measure_until_ns ≤ drain_until_ns`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phases {
    /// Requests may be sent.
    pub begin_ns: u64,
    /// The warm-up ends.
    pub measure_from_ns: u64,
    /// The measured interval ends.
    pub measure_until_ns: u64,
    /// What has not come by now is unanswered.
    pub drain_until_ns: u64,
}

impl Phases {
    /// The phase at `now_ns`.
    #[must_use]
    pub const fn at(&self, now_ns: u64) -> Phase {
        if now_ns < self.measure_from_ns {
            Phase::WarmUp
        } else if now_ns < self.measure_until_ns {
            Phase::Measure
        } else {
            Phase::Drain
        }
    }

    /// Whether what happens at `at_ns` belongs to the measured interval.
    #[must_use]
    pub const fn measures(&self, at_ns: u64) -> bool {
        self.measure_from_ns <= at_ns && at_ns < self.measure_until_ns
    }

    /// Ends the measured interval at `now_ns`, the drain as long after it as before.
    pub fn cut(&mut self, now_ns: u64) {
        let drain_ns = self.drain_until_ns - self.measure_until_ns;
        self.measure_until_ns = self.measure_until_ns.min(now_ns);
        self.measure_from_ns = self.measure_from_ns.min(self.measure_until_ns);
        self.drain_until_ns = self.measure_until_ns + drain_ns;
    }

    /// The next instant at which something changes.
    #[must_use]
    pub const fn next_boundary_ns(&self, now_ns: u64) -> u64 {
        match self.at(now_ns) {
            Phase::Starting | Phase::WarmUp => self.measure_from_ns,
            Phase::Measure => self.measure_until_ns,
            Phase::Drain => self.drain_until_ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_begins_at_its_instant() {
        let phases = Phases { begin_ns: 0, measure_from_ns: 10, measure_until_ns: 20, drain_until_ns: 30 };
        for (now, phase, next) in [
            (0, Phase::WarmUp, 10),
            (9, Phase::WarmUp, 10),
            (10, Phase::Measure, 20),
            (19, Phase::Measure, 20),
            (20, Phase::Drain, 30),
            (31, Phase::Drain, 30),
        ] {
            assert_eq!((phases.at(now), phases.next_boundary_ns(now)), (phase, next), "at {now}");
        }
    }

    #[test]
    fn a_cut_ends_the_interval_and_keeps_the_drain() {
        let whole = Phases { begin_ns: 0, measure_from_ns: 10, measure_until_ns: 20, drain_until_ns: 30 };
        for (now_ns, expected) in [(15, (10, 15, 25)), (5, (5, 5, 15)), (25, (10, 20, 30))] {
            let mut phases = whole;
            phases.cut(now_ns);
            assert_eq!((phases.measure_from_ns, phases.measure_until_ns, phases.drain_until_ns), expected);
        }
    }
}
