//! The pacing of one connection: which requests are due, since when, and whether one that is late is late by this
//! generator or by the server. The accuracy tests run this same code in virtual time.

use crate::{arrivals::Arrivals, phase::Phases, schedule::Schedule};

/// Arrivals that are given up one by one; beyond them what the rate makes of the time counts, for nobody waits a minute for
/// the exact number of requests that no generator could have sent.
const DRAWN_MAX: u32 = 1 << 20;

/// What tells when a connection sends.
#[derive(Debug)]
pub enum Pacing {
    /// Nothing is sent before the phases are known.
    Idle,
    /// See [`Schedule::Closed`].
    Closed {
        /// Requests that wait.
        in_flight: usize,
    },
    /// See [`Schedule::Open`].
    Open(OpenPacing),
}

/// The open loop of one connection.
#[derive(Debug)]
pub struct OpenPacing {
    arrivals: Arrivals,
    in_flight: usize,
    /// Arrivals from here on are not sent.
    until_ns: u64,
    /// When the connection was last seen unable to send.
    held_at_ns: u64,
}

/// One request that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// When it was meant to be sent; `None` in a closed loop, where it is the write itself.
    pub intended_ns: Option<u64>,
    /// It was due while the connection could not send: late by the server's doing, not by this generator's.
    pub held_back: bool,
}

impl Pacing {
    /// The pacing of connection `index` of `count`.
    #[must_use]
    pub fn new(schedule: &Schedule, index: usize, count: usize, phases: &Phases) -> Self {
        match schedule {
            Schedule::Closed { in_flight } => Self::Closed { in_flight: *in_flight },
            Schedule::Open { arrivals, in_flight } => Self::Open(OpenPacing {
                arrivals: Arrivals::new(arrivals, index, count, phases.begin_ns),
                in_flight: *in_flight,
                until_ns: phases.measure_until_ns,
                held_at_ns: 0,
            }),
        }
    }

    /// Whether a request may be sent at `now_ns` on a connection on which `waiting` wait.
    #[must_use]
    #[inline]
    pub fn is_due(&self, now_ns: u64, waiting: usize, phase_sends: bool) -> bool {
        match self {
            Self::Idle => false,
            Self::Closed { in_flight } => phase_sends && waiting < *in_flight,
            Self::Open(open) => waiting < open.in_flight && open.next_ns() <= now_ns,
        }
    }

    /// Takes the next request; call it only when [`Self::is_due`].
    #[inline]
    pub fn take(&mut self) -> Due {
        match self {
            Self::Idle | Self::Closed { .. } => Due { intended_ns: None, held_back: false },
            Self::Open(open) => {
                let intended_ns = open.arrivals.take();
                Due { intended_ns: Some(intended_ns), held_back: intended_ns <= open.held_at_ns }
            }
        }
    }

    /// Requests that a closed loop may send more when `waiting` wait; `None` of an open loop, which has an instant for each.
    #[must_use]
    #[inline]
    pub const fn room(&self, waiting: usize) -> Option<usize> {
        match self {
            Self::Idle => Some(0),
            Self::Closed { in_flight } => Some(in_flight.saturating_sub(waiting)),
            Self::Open(_) => None,
        }
    }

    /// When the next request is due; `None` when only an answer makes one due.
    #[must_use]
    pub fn next_ns(&self) -> Option<u64> {
        match self {
            Self::Idle | Self::Closed { .. } => None,
            Self::Open(open) => Some(open.next_ns()).filter(|next| *next < u64::MAX),
        }
    }

    /// Notes that the connection cannot send now: window, socket or session.
    #[inline]
    pub const fn hold(&mut self, now_ns: u64) {
        if let Self::Open(open) = self {
            open.held_at_ns = now_ns;
        }
    }

    /// Whether requests have instants at which they are meant to be sent.
    #[must_use]
    #[inline]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }

    /// Whether `waiting` fill the window.
    #[must_use]
    pub const fn is_full(&self, waiting: usize) -> bool {
        matches!(self, Self::Open(open) if waiting >= open.in_flight)
    }

    /// Ends the measured interval early.
    pub fn cut(&mut self, until_ns: u64) {
        if let Self::Open(open) = self {
            open.until_ns = open.until_ns.min(until_ns);
        }
    }

    /// Takes every request of the interval that is still to be sent: how many of `phases`' measured interval.
    pub fn give_up(&mut self, phases: &Phases) -> u64 {
        let Self::Open(open) = self else { return 0 };
        let mut measured = 0;
        for _ in 0..DRAWN_MAX {
            if open.next_ns() == u64::MAX {
                return measured;
            }
            measured += u64::from(phases.measures(open.arrivals.take()));
        }
        let from_ns = phases.measure_from_ns.min(open.until_ns);
        if open.next_ns() < from_ns {
            open.arrivals.leap(from_ns);
        }
        if open.next_ns() < open.until_ns {
            measured += open.arrivals.leap(open.until_ns);
        }
        open.until_ns = 0;
        measured
    }
}

impl OpenPacing {
    #[inline]
    const fn next_ns(&self) -> u64 {
        let next_ns = self.arrivals.next_ns();
        if next_ns < self.until_ns { next_ns } else { u64::MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrivals::{OpenLoop, Process};

    const PHASES: Phases =
        Phases { begin_ns: 0, measure_from_ns: 2_000, measure_until_ns: 10_000, drain_until_ns: 20_000 };

    fn constant(in_flight: usize) -> Pacing {
        let arrivals = OpenLoop { rate_per_s: 1e6, process: Process::Constant, ramp_ns: 0, seed: 0 };
        Pacing::new(&Schedule::Open { arrivals, in_flight }, 0, 1, &PHASES)
    }

    #[test]
    fn a_closed_loop_fills_up_to_its_depth() {
        let closed = Pacing::new(&Schedule::Closed { in_flight: 4 }, 0, 1, &PHASES);
        assert_eq!([0, 3, 4, 5].map(|waiting| closed.is_due(0, waiting, true)), [true, true, false, false]);
        assert!(!closed.is_due(0, 0, false));
    }

    #[test]
    fn an_open_loop_sends_at_its_instants_within_its_window() {
        let mut pacing = constant(2);
        assert!(!pacing.is_due(999, 0, true) && pacing.is_due(1_000, 0, true));
        assert!(!pacing.is_due(1_000, 2, true));
        assert_eq!(pacing.take(), Due { intended_ns: Some(1_000), held_back: false });
        assert_eq!(pacing.next_ns(), Some(2_000));
    }

    #[test]
    fn a_request_due_while_nothing_could_be_sent_was_held_back() {
        let mut pacing = constant(2);
        pacing.hold(2_500);
        assert_eq!([(); 3].map(|()| pacing.take().held_back), [true, true, false]);
    }

    #[test]
    fn what_was_not_sent_in_the_interval_is_given_up_and_counted() {
        let mut pacing = constant(1);
        assert_eq!(pacing.give_up(&PHASES), 8);
        assert_eq!((pacing.next_ns(), pacing.give_up(&PHASES)), (None, 0));
    }

    #[test]
    fn a_backlog_of_any_length_is_given_up_at_once() {
        let hours = 3_600_000_000_000;
        let phases = Phases {
            begin_ns: 0,
            measure_from_ns: hours,
            measure_until_ns: 3 * hours,
            drain_until_ns: 4 * hours,
        };
        for (process, ramp_ns) in [(Process::Constant, 0), (Process::Poisson, 0), (Process::Constant, hours)]
        {
            let arrivals = OpenLoop { rate_per_s: 1e9, process, ramp_ns, seed: 7 };
            let mut pacing = Pacing::new(&Schedule::Open { arrivals, in_flight: 1 }, 0, 1, &phases);
            let given_up = pacing.give_up(&phases) as f64;
            assert!((given_up / (2.0 * hours as f64) - 1.0).abs() < 1e-6, "{process:?}: {given_up}");
            assert_eq!((pacing.next_ns(), pacing.give_up(&phases)), (None, 0));
        }
    }
}
