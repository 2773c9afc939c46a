//! The time this thread has spent on a core: other work on the machine is not counted.
//!
//! What a host takes away from a virtual core is counted all the same, where it does not tell the guest. So one reading proves
//! little: see the replicas of `renewal_latency`.

/// Nanoseconds so far.
#[must_use]
pub fn now_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// What two readings are apart when nothing is between them, ns: the median of many.
#[must_use]
pub fn reading_ns() -> u64 {
    let mut apart: Vec<u64> = (0..10_001)
        .map(|_| {
            let start = now_ns();
            now_ns() - start
        })
        .collect();
    apart.sort_unstable();
    apart[apart.len() / 2]
}
