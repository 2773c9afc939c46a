//! Time that a process took, without that in which others had the core it wanted.
#![allow(dead_code)] // each user of it uses its part

use std::{
    fs,
    time::{Duration, Instant},
};

/// Runs from its start. What the kernel says that threads waited for a core does not count, so a bound on what it shows holds on a machine
/// that is busy as on one that is not. Where the kernel does not say it, all time counts.
pub struct Stopwatch {
    process_id: u32,
    started: Instant,
    waited: Duration,
}

impl Stopwatch {
    /// For what the calling thread and the threads of this process do by turns.
    pub fn start(process_id: u32) -> Self {
        let waited = waited(process_id);
        Self { process_id, started: Instant::now(), waited }
    }

    pub fn elapsed(&self) -> Duration {
        let elapsed = self.started.elapsed();
        elapsed.saturating_sub(waited(self.process_id).saturating_sub(self.waited))
    }
}

/// What all threads of the process, and the calling one where it is of another process, waited for a core.
fn waited(process_id: u32) -> Duration {
    let is_own = process_id == std::process::id();
    let own = if is_own { 0 } else { waited_ns("/proc/thread-self/schedstat") };
    let tasks = fs::read_dir(format!("/proc/{process_id}/task"));
    let of = |task: fs::DirEntry| waited_ns(&format!("{}/schedstat", task.path().display()));
    Duration::from_nanos(own + tasks.into_iter().flatten().flatten().map(of).sum::<u64>())
}

/// The second number: time on a run queue, ns. 0 of a thread that has ended.
fn waited_ns(path: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}
