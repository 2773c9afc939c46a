//! Time bounds.

use super::material::ORIGIN;
use crate::vectors::vector::Vector;
use serde_json::{Value, json};

pub(super) fn vectors() -> Vec<Vector> {
    let at = |now: u64, timestamp: u64| -> Value { json!({ "now": now, "timestamp": timestamp }) };
    let past = Vector::new("time_past_bound", "§6.3", "in_time", "A request may be 30000 ms old.")
        .ok("now", at(ORIGIN, ORIGIN))
        .ok("1 ms", at(ORIGIN, ORIGIN - 1))
        .ok("30000 ms", at(ORIGIN, ORIGIN - 30_000))
        .reject("30001 ms", at(ORIGIN, ORIGIN - 30_001), "stale")
        .reject("a slot", at(ORIGIN, ORIGIN - 65_536), "stale")
        .reject("timestamp 0", at(ORIGIN, 0), "stale");
    let future = Vector::new("time_future_bound", "§6.3", "in_time", "A request may be 5000 ms ahead.")
        .ok("1 ms", at(ORIGIN, ORIGIN + 1))
        .ok("5000 ms", at(ORIGIN, ORIGIN + 5_000))
        .reject("5001 ms", at(ORIGIN, ORIGIN + 5_001), "stale")
        .reject("30000 ms", at(ORIGIN, ORIGIN + 30_000), "stale")
        .reject("the last timestamp", at(ORIGIN, (1 << 48) - 1), "stale");
    let most = (1_u64 << 48) - 1;
    let extremes = Vector::new("time_extremes", "§6.3", "in_time", "The difference never wraps.")
        .ok("0 at 0", at(0, 0))
        .ok("0 at 30000", at(30_000, 0))
        .reject("0 at 30001", at(30_001, 0), "stale")
        .ok("5000 at 0", at(0, 5_000))
        .reject("the last at 0", at(0, most), "stale")
        .reject("0 at the last", at(most, 0), "stale")
        .ok("the last at the last", at(most, most))
        .ok("the last, 5000 early", at(most - 5_000, most))
        .reject("the last, 5001 early", at(most - 5_001, most), "stale");
    vec![past, future, extremes]
}
