//! What a worker used of its core in the measured interval.

use crate::{
    clock,
    phase::{Phase, Phases},
};

/// CPU time at both ends of the measured interval, and the time in it that went into rounds with something to do.
#[derive(Debug, Default)]
pub(super) struct Usage {
    from_ns: Option<u64>,
    until_ns: Option<u64>,
    busy_ns: u64,
    /// This round had something to do.
    pub(super) worked: bool,
}

impl Usage {
    /// Reads the CPU clock when `phase` begins or ends the interval; costs nothing otherwise.
    pub(super) fn note(&mut self, phase: Phase) {
        match phase {
            Phase::Starting | Phase::WarmUp => {}
            Phase::Measure => _ = self.from_ns.get_or_insert_with(clock::thread_cpu_ns),
            Phase::Drain => _ = self.until_ns.get_or_insert_with(clock::thread_cpu_ns),
        }
    }

    /// Counts a round of turns if it is of the measured interval.
    pub(super) fn end_round(&mut self, phases: &Phases, begun_ns: u64, ended_ns: u64) {
        if std::mem::take(&mut self.worked) && phases.measures(begun_ns) {
            self.busy_ns += ended_ns.min(phases.measure_until_ns).saturating_sub(begun_ns);
        }
    }

    /// 0 when the interval was never entered: every connection ended before it.
    pub(super) fn cpu_ns(&self) -> u64 {
        self.from_ns.zip(self.until_ns).map_or(0, |(from, until)| until.saturating_sub(from))
    }

    pub(super) const fn busy_ns(&self) -> u64 {
        self.busy_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_without_work_or_outside_the_interval_is_not_busy() {
        let phases = Phases { begin_ns: 0, measure_from_ns: 10, measure_until_ns: 20, drain_until_ns: 30 };
        let mut usage = Usage::default();
        for (worked, begun_ns, ended_ns) in [(true, 5, 6), (false, 11, 12), (true, 12, 14), (true, 19, 25)] {
            usage.worked = worked;
            usage.end_round(&phases, begun_ns, ended_ns);
        }
        assert_eq!(usage.busy_ns(), 2 + 1);
    }
}
