//! The client's clock: CLOCK_BOOTTIME, which counts suspension (SPEC 6.2).

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds since boot.
pub(crate) fn now_ms() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec.unsigned_abs() * 1_000 + now.tv_nsec.unsigned_abs() / 1_000_000
}
