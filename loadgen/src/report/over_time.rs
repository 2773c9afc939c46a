//! The run over time: one row for each slot of its timeline.

use serde::{Deserialize, Serialize};

use crate::timeline::{Slot, Timeline};

/// All slots.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OverTime {
    /// Length of a slot.
    pub slot_s: f64,
    /// In order.
    pub slots: Vec<SlotReport>,
}

/// One slot. Latencies are of the requests that were, or were meant to be, sent in it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SlotReport {
    /// Its beginning in the measured interval.
    pub at_s: f64,
    /// Requests sent.
    pub sent: u64,
    /// Answers that verified in it.
    pub answered: u64,
    /// Requests refused.
    pub rejected: u64,
    /// Percentiles of the slot, ns; never averaged over slots.
    pub p50: Option<u64>,
    /// As above.
    pub p99: Option<u64>,
    /// The longest, ns.
    pub max: Option<u64>,
    /// The largest schedule slip, ns.
    pub slip_max: u64,
}

impl OverTime {
    pub(super) fn new(timeline: &Timeline) -> Self {
        let slot_s = timeline.slot_ns() as f64 / 1e9;
        let row = |(index, slot): (usize, &Slot)| {
            let summary = slot.latencies.summary();
            SlotReport {
                at_s: index as f64 * slot_s,
                sent: slot.sent,
                answered: slot.answered,
                rejected: slot.refused,
                p50: summary.p50,
                p99: summary.p99,
                max: summary.max,
                slip_max: slot.slip_max_ns,
            }
        };
        Self { slot_s, slots: timeline.slots().iter().enumerate().map(row).collect() }
    }
}
