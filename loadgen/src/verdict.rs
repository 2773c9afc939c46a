//! Whether a run measured the server, or its own generator.
//!
//! An open-loop run is void when one of these holds; everything it prints is then about the generator:
//! - the schedule slip has a p99 above the larger of 50 µs and a tenth of the median latency;
//! - the generator never sent more than 1 % of what was due, for reasons other than the server;
//! - a worker had something to do for 95 % of the interval or more, and the server is blamed for more than 1 % of the
//!   requests being late: with a worker that busy, the blame is not proven.
//!
//! A closed loop has no schedule, so there is nothing to slip: a busy generator is said in its notes.

use std::fmt;

use crate::report::units;

/// The slip that is always allowed at p99, ns.
pub const SLIP_NS_ALLOWED: u64 = 50_000;
/// The slip allowed at p99 as a part of the median latency.
pub const SLIP_PART_OF_LATENCY: u64 = 10;
/// The share of requests that may be missing or late.
pub const SHARE_ALLOWED: f64 = 0.01;
/// A worker busier than this has no time to be punctual.
pub const BUSY_SHARE_MAX: f64 = 0.95;

/// What the verdict rests on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts {
    /// The run had a schedule.
    pub open: bool,
    /// Schedule slip that 99 % do not exceed, ns.
    pub slip_p99_ns: Option<u64>,
    /// Median latency, ns.
    pub latency_p50_ns: Option<u64>,
    /// Requests sent.
    pub sent: u64,
    /// Requests due and never sent.
    pub unsent: u64,
    /// Requests that waited for the server before they were sent.
    pub held_back: u64,
    /// Some connection ended before the run.
    pub lost_connections: bool,
    /// Share of the interval in which the busiest worker had something to do.
    pub busy_share: f64,
}

/// Why a run is void.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Void {
    /// The generator was late.
    Slipped {
        /// p99 of the slip, ns.
        p99_ns: u64,
        /// What is allowed, ns.
        allowed_ns: u64,
    },
    /// The generator did not send what was due.
    Behind {
        /// Never sent.
        unsent: u64,
        /// Due.
        offered: u64,
    },
    /// The generator had no time left.
    Saturated {
        /// Of the interval.
        busy_share: f64,
        /// Requests late or missing.
        late: u64,
    },
}

impl Facts {
    /// Why the run is void; `None` when it is not.
    #[must_use]
    pub fn void(&self) -> Option<Void> {
        let offered = self.sent + self.unsent;
        if !self.open || offered == 0 {
            return None;
        }
        let allowed_ns = self.latency_p50_ns.map_or(0, |p50| p50 / SLIP_PART_OF_LATENCY).max(SLIP_NS_ALLOWED);
        if let Some(p99_ns) = self.slip_p99_ns.filter(|p99_ns| *p99_ns > allowed_ns) {
            return Some(Void::Slipped { p99_ns, allowed_ns });
        }
        let much = |count: u64| count as f64 > offered as f64 * SHARE_ALLOWED;
        let late = self.unsent + self.held_back;
        if self.busy_share >= BUSY_SHARE_MAX && much(late) {
            return Some(Void::Saturated { busy_share: self.busy_share, late });
        }
        let by_server = self.held_back > 0 || self.lost_connections;
        (much(self.unsent) && !by_server).then_some(Void::Behind { unsent: self.unsent, offered })
    }
}

impl fmt::Display for Void {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slipped { p99_ns, allowed_ns } => write!(
                f,
                "the generator sent late: schedule slip p99 {} is above {}; give it a core of its own (--pin), more \
                 --threads, or a lower --rate",
                units::microseconds(*p99_ns),
                units::microseconds(*allowed_ns)
            ),
            Self::Behind { unsent, offered } => write!(
                f,
                "the generator never sent {} of {} requests that were due, and the server did not hold it back",
                units::grouped(*unsent),
                units::grouped(*offered)
            ),
            Self::Saturated { busy_share, late } => write!(
                f,
                "the generator was busy {:.1} % of the time while {} requests were late or missing: it may be the \
                 bottleneck, not the server; more --threads or a lower --rate",
                busy_share * 100.0,
                units::grouped(*late)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Facts = Facts {
        open: true,
        slip_p99_ns: Some(4_000),
        latency_p50_ns: Some(80_000),
        sent: 100_000,
        unsent: 0,
        held_back: 0,
        lost_connections: false,
        busy_share: 0.5,
    };

    #[test]
    fn each_rule_voids_a_run_and_its_bound_does_not() {
        assert_eq!(GOOD.void(), None);
        let slip = |slip, p50| Facts { slip_p99_ns: Some(slip), latency_p50_ns: Some(p50), ..GOOD }.void();
        assert_eq!(slip(50_000, 80_000), None);
        assert_eq!(slip(50_001, 80_000), Some(Void::Slipped { p99_ns: 50_001, allowed_ns: 50_000 }));
        assert_eq!(slip(200_000, 2_000_000), None);
        assert!(slip(200_001, 2_000_000).is_some());
        let behind = Facts { sent: 99_000, unsent: 1_000, ..GOOD };
        assert_eq!(behind.void(), None);
        let behind = Facts { sent: 98_900, unsent: 1_100, ..GOOD };
        assert_eq!(behind.void(), Some(Void::Behind { unsent: 1_100, offered: 100_000 }));
        assert_eq!(Facts { held_back: 50_000, ..behind }.void(), None);
        let saturated = Facts { held_back: 2_000, busy_share: 0.95, ..GOOD };
        assert_eq!(saturated.void(), Some(Void::Saturated { busy_share: 0.95, late: 2_000 }));
        assert_eq!(Facts { busy_share: 0.94, ..saturated }.void(), None);
    }

    #[test]
    fn a_closed_loop_has_nothing_to_slip() {
        assert_eq!(Facts { open: false, busy_share: 1.0, held_back: 50_000, ..GOOD }.void(), None);
    }
}
