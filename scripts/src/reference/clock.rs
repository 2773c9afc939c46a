//! Time bounds (§6.3).

use super::reject::Reject;

/// Refuses a timestamp that is not in time at `now`.
pub fn in_time(now: u64, timestamp: u64) -> Result<(), Reject> {
    let ahead = i128::from(timestamp) - i128::from(now);
    if (-30_000..=5_000).contains(&ahead) { Ok(()) } else { Err(Reject::Stale) }
}
