//! When requests are sent.

/// The rule by which one connection sends.
///
/// An open loop is a further variant: its `due` counts the arrivals up to `now_ns`, and latency then runs from
/// the intended instant of each instead of from its write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// A new request for every answer, so that `in_flight` always wait.
    Closed {
        /// Requests that wait on the connection.
        in_flight: usize,
    },
}

impl Schedule {
    /// How many requests to send at `now_ns` on a connection on which `waiting` wait.
    #[must_use]
    #[inline]
    pub const fn due(&self, _now_ns: u64, waiting: usize) -> usize {
        match self {
            Self::Closed { in_flight } => in_flight.saturating_sub(waiting),
        }
    }

    /// The name in reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
        }
    }

    /// What this means for the latency that is reported.
    #[must_use]
    pub const fn meaning(&self) -> &'static str {
        match self {
            Self::Closed { .. } => {
                "closed loop: a slow server is asked less, so latency here is that at saturation with this many \
                 in flight, not at a chosen rate"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_loop_fills_up_to_its_depth() {
        let closed = Schedule::Closed { in_flight: 4 };
        assert_eq!([0, 1, 4, 5].map(|waiting| closed.due(0, waiting)), [4, 3, 0, 0]);
    }
}
