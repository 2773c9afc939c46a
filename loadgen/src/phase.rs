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
    /// Nothing is sent; answers to counted requests still count.
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
/// Invariant: `measure_from_ns ≤ measure_until_ns ≤ drain_until_ns`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phases {
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
        let phases = Phases { measure_from_ns: 10, measure_until_ns: 20, drain_until_ns: 30 };
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
}
