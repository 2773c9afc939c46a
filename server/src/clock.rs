//! The server's timescale (SPEC §6.1).

use mvt_sys::clock::{boottime_ms, wall_ms};

use crate::limits::CLOCK_BEHIND_MS_MAX;

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

    /// Starts it no earlier than `latest_ms`, a time at which something was recorded that is there: so a wall clock that was set back
    /// prolongs no ticket, and no revocation is older than what it voids. A clock further behind than [`CLOCK_BEHIND_MS_MAX`] is
    /// followed: then nothing that lives is left of before, or the clock was wrong when that was recorded. Gives how far it is behind,
    /// ms.
    #[must_use]
    pub fn start_after(latest_ms: u64) -> (Self, u64) {
        let Self { offset_ms } = Self::start();
        let behind_ms = latest_ms.saturating_sub(offset_ms + boottime_ms());
        let made_up_ms = if behind_ms <= CLOCK_BEHIND_MS_MAX { behind_ms } else { 0 };
        (Self { offset_ms: offset_ms + made_up_ms }, behind_ms)
    }

    /// Server time, ms.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.offset_ms + boottime_ms()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_begins_where_it_was_unless_that_is_a_day_ahead() {
        let hour_ms = 3_600_000;
        let now_ms = wall_ms();
        let (clock, behind_ms) = ServerClock::start_after(now_ms - hour_ms);
        assert!(behind_ms == 0 && clock.now_ms() - now_ms < hour_ms);
        let (clock, behind_ms) = ServerClock::start_after(now_ms + hour_ms);
        assert!(clock.now_ms() >= now_ms + hour_ms && behind_ms > hour_ms / 2);
        let (clock, behind_ms) = ServerClock::start_after(now_ms + 25 * hour_ms);
        assert!(clock.now_ms() < now_ms + hour_ms && behind_ms > 24 * hour_ms);
    }
}
