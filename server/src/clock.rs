//! The server's timescale (SPEC §6.1).

use mvt_sys::clock::{boottime_ms, wall_ms};

/// Wall clock at start plus monotonic time since: steps of the wall clock do not move it.
#[derive(Debug, Clone, Copy)]
pub struct ServerClock {
    offset_ms: u64,
}

impl ServerClock {
    /// Starts the timescale now.
    #[must_use]
    pub fn start() -> Self {
        Self { offset_ms: wall_ms().saturating_sub(boottime_ms()) }
    }

    /// Server time, ms.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.offset_ms + boottime_ms()
    }
}
