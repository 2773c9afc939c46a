//! The measured interval cut into equal slots, each with its own counters and histogram: a bounded number of them,
//! however long the run is.

use std::ops::Range;

use crate::{histogram::Latencies, phase::Phases};

/// Slots of a run, at most.
pub const SLOT_COUNT_MAX: u64 = 120;
/// The shortest slot, ns.
const SLOT_NS_MIN: u64 = 100_000_000;

/// What happened in one slot. A request belongs to the slot in which it was, or was meant to be, sent.
#[derive(Debug, Clone, Default)]
pub struct Slot {
    /// Requests sent.
    pub sent: u64,
    /// Answers that verified in this slot, whenever their request was sent.
    pub answered: u64,
    /// Requests refused.
    pub refused: u64,
    /// The largest slip, ns.
    pub slip_max_ns: u64,
    /// Latencies of the verified.
    pub latencies: Latencies,
}

impl Slot {
    fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.refused += other.refused;
        self.slip_max_ns = self.slip_max_ns.max(other.slip_max_ns);
        if other.latencies.count() > 0 {
            self.latencies.merge(&other.latencies);
        }
    }
}

/// The slots of a run.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    from_ns: u64,
    slot_ns: u64,
    slots: Vec<Slot>,
    /// The slot found last and its instants: most of what follows is of the same, and a division is spared.
    found: (usize, Range<u64>),
}

impl Timeline {
    /// Empty slots for the measured interval of `phases`.
    #[must_use]
    pub fn new(phases: &Phases) -> Self {
        let interval_ns = phases.measure_until_ns - phases.measure_from_ns;
        let slot_ns = slot_ns_for(interval_ns);
        let slots = vec![Slot::default(); interval_ns.div_ceil(slot_ns) as usize];
        Self { from_ns: phases.measure_from_ns, slot_ns, slots, found: (0, 0..0) }
    }

    /// The length of a slot, ns; 0 before the phases are known.
    #[must_use]
    pub const fn slot_ns(&self) -> u64 {
        self.slot_ns
    }

    /// The slots, in order.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The slot of the instant `at_ns`; `None` outside the measured interval.
    #[inline]
    pub fn at(&mut self, at_ns: u64) -> Option<&mut Slot> {
        let index = if self.found.1.contains(&at_ns) { self.found.0 } else { self.find(at_ns)? };
        self.slots.get_mut(index)
    }

    /// The slot of a request that is of the measured interval: at its edges a write may fall just outside.
    #[inline]
    pub fn of_measured(&mut self, at_ns: u64) -> Option<&mut Slot> {
        let index = if self.found.1.contains(&at_ns) {
            self.found.0
        } else {
            let last = self.slots.len().checked_sub(1)?;
            self.find(at_ns).unwrap_or(if at_ns < self.from_ns { 0 } else { last })
        };
        self.slots.get_mut(index)
    }

    #[cold]
    fn find(&mut self, at_ns: u64) -> Option<usize> {
        let index = at_ns.checked_sub(self.from_ns)?.checked_div(self.slot_ns)?;
        let begin_ns = self.from_ns + index * self.slot_ns;
        let index = usize::try_from(index).ok().filter(|index| *index < self.slots.len())?;
        self.found = (index, begin_ns..begin_ns + self.slot_ns);
        Some(index)
    }

    /// Ends with the slot in which an interval of `interval_ns` ended: the run ended early.
    pub fn truncate(&mut self, interval_ns: u64) {
        if self.slots.is_empty() || self.slot_ns == 0 {
            return;
        }
        self.found = (0, 0..0);
        let kept = (interval_ns.div_ceil(self.slot_ns) as usize).clamp(1, self.slots.len());
        let after = self.slots.split_off(kept);
        // What was written as the interval ended belongs to its last slot.
        after.iter().for_each(|slot| self.slots[kept - 1].merge(slot));
    }

    /// Adds the slots of `other`, which are of the same run.
    pub fn merge(&mut self, other: &Self) {
        if self.slots.is_empty() {
            self.clone_from(other);
            return;
        }
        for (slot, part) in self.slots.iter_mut().zip(&other.slots) {
            slot.merge(part);
        }
    }
}

/// The shortest of 1, 2, 5 times a power of ten that needs at most [`SLOT_COUNT_MAX`] slots.
fn slot_ns_for(interval_ns: u64) -> u64 {
    let steps = (0u32..).flat_map(|power| [1, 2, 5].map(|step| SLOT_NS_MIN * step * 10u64.pow(power)));
    steps.into_iter().find(|slot_ns| interval_ns.div_ceil(*slot_ns) <= SLOT_COUNT_MAX).unwrap_or(SLOT_NS_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn phases(seconds: u64) -> Phases {
        let measure_until_ns = (5 + seconds) * SECOND;
        Phases {
            begin_ns: 0,
            measure_from_ns: 5 * SECOND,
            measure_until_ns,
            drain_until_ns: measure_until_ns + SECOND,
        }
    }

    #[test]
    fn slots_are_round_and_bounded() {
        for (seconds, slot_ns, count) in [
            (1, SECOND / 10, 10),
            (10, SECOND / 10, 100),
            (60, SECOND / 2, 120),
            (86_400, 1_000 * SECOND, 87),
        ] {
            let timeline = Timeline::new(&phases(seconds));
            assert_eq!((timeline.slot_ns(), timeline.slots().len()), (slot_ns, count));
        }
    }

    #[test]
    fn an_instant_has_its_slot_and_none_outside() {
        let mut timeline = Timeline::new(&phases(1));
        for (at_ns, index) in [(5 * SECOND, 0), (5 * SECOND + SECOND / 10, 1), (6 * SECOND - 1, 9)] {
            timeline.at(at_ns).expect("inside").sent += 1;
            assert!(timeline.slots()[index].sent == 1, "{at_ns}");
        }
        assert!(timeline.at(5 * SECOND - 1).is_none() && timeline.at(6 * SECOND).is_none());
        assert!(Timeline::default().at(0).is_none());
        timeline.of_measured(6 * SECOND + 5).expect("the last").sent += 1;
        assert_eq!(timeline.slots()[9].sent, 2);
        timeline.truncate(SECOND / 4);
        assert_eq!(timeline.slots().iter().map(|slot| slot.sent).collect::<Vec<_>>(), [1, 1, 2]);
    }

    #[test]
    fn a_merge_adds_slot_by_slot() {
        let mut one = Timeline::new(&phases(1));
        one.at(5 * SECOND).expect("inside").latencies.record(7);
        let mut sum = Timeline::default();
        sum.merge(&one);
        sum.merge(&one);
        assert_eq!(sum.slots()[0].latencies.count(), 2);
        assert_eq!(sum.slots()[1].latencies.count(), 0);
    }
}
