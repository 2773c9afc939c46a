//! When requests are sent.

use crate::arrivals::OpenLoop;

/// The rule by which requests are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Schedule {
    /// A new request for every answer, so that `in_flight` always wait on each connection.
    Closed {
        /// Requests that wait on a connection.
        in_flight: usize,
    },
    /// At instants fixed beforehand.
    Open {
        /// The instants.
        arrivals: OpenLoop,
        /// Most requests that wait on a connection; what is due beyond it waits too, and its latency counts.
        in_flight: usize,
    },
}

impl Schedule {
    /// The name in reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::Open { .. } => "open",
        }
    }

    /// The arrivals of an open loop.
    #[must_use]
    pub const fn arrivals(&self) -> Option<&OpenLoop> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { arrivals, .. } => Some(arrivals),
        }
    }

    /// What this means for the latency that is reported.
    #[must_use]
    pub fn meaning(name: &str) -> &'static str {
        if name == "open" {
            "open loop: latency runs from the instant a request was meant to be sent, so a request that had to wait \
             for a slow server, or for this generator, is reported with its wait"
        } else {
            "closed loop: a slow server is asked less, so latency here is that at saturation with this many in \
             flight, not at a chosen rate (--rate N is the open loop)"
        }
    }
}
