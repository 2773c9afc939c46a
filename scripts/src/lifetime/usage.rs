//! The time threads had on a core, and the time they had to wait for one, by the kernel's own account.

use std::{fs, time::Instant};

use anyhow::{Context, ensure};

/// So far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    on_core_ns: u64,
    waited_ns: u64,
    at: Instant,
}

/// Between two moments, as shares of the time between.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    /// On its core.
    pub(super) on_core: f64,
    /// Able to run while another thread did.
    pub(super) waited: f64,
}

impl Usage {
    /// Of the threads of a process whose names begin so.
    pub(super) fn of(process: u32, threads: &str) -> anyhow::Result<Self> {
        let (mut on_core_ns, mut waited_ns, mut count) = (0, 0, 0);
        for task in fs::read_dir(format!("/proc/{process}/task"))? {
            let path = task?.path();
            if !fs::read_to_string(path.join("comm"))?.starts_with(threads) {
                continue;
            }
            let text = fs::read_to_string(path.join("schedstat"))?;
            let mut numbers = text.split_whitespace().map_while(|word| word.parse::<u64>().ok());
            on_core_ns += numbers.next().unwrap_or(0);
            waited_ns += numbers.next().unwrap_or(0);
            count += 1;
        }
        ensure!(count > 0, "the server has no {threads}");
        Ok(Self { on_core_ns, waited_ns, at: Instant::now() })
    }

    /// Since an earlier moment.
    pub(super) fn since(&self, before: &Self) -> Share {
        let elapsed_ns = self.at.duration_since(before.at).as_nanos() as f64;
        let share = |now: u64, before: u64| (now - before) as f64 / elapsed_ns;
        Share {
            on_core: share(self.on_core_ns, before.on_core_ns),
            waited: share(self.waited_ns, before.waited_ns),
        }
    }
}

impl Share {
    /// Of the time the shard could run, the part in which it did.
    pub(super) fn granted(&self) -> f64 {
        self.on_core / (self.on_core + self.waited)
    }
}

/// The calling thread's time on a core so far.
pub(super) fn own_core_ns() -> anyhow::Result<u64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    text.split_whitespace().next().and_then(|word| word.parse().ok()).context("no account of this thread")
}
