//! Clocks: one that counts suspension, and the wall clock.

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds since boot, suspension included (`CLOCK_BOOTTIME`). Never goes back.
#[must_use]
pub fn boottime_ms() -> u64 {
    millis(ClockId::Boottime)
}

/// Milliseconds since 1970 by the wall clock; may step.
#[must_use]
pub fn wall_ms() -> u64 {
    millis(ClockId::Realtime)
}

fn millis(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1000 + time.tv_nsec.unsigned_abs() / 1_000_000
}
