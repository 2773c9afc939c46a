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

/// What a core did so far, in ticks.
#[derive(Debug, Clone, Copy)]
pub(super) struct CoreTicks {
    idle: u64,
    softirq: u64,
    stolen: u64,
    all: u64,
}

/// Between two moments, as shares of that core's time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CoreUse {
    /// Nobody could run.
    pub(super) idle: f64,
    /// Softirqs that ticks met; most of them run within a thread's system call.
    pub(super) softirq: f64,
    /// The host had it.
    pub(super) stolen: f64,
}

impl CoreTicks {
    pub(super) fn of(core: usize) -> anyhow::Result<Self> {
        let text = fs::read_to_string("/proc/stat")?;
        let name = format!("cpu{core}");
        let mut words = text
            .lines()
            .map(str::split_whitespace)
            .find_map(|mut words| (words.next() == Some(&name)).then_some(words))
            .context("no account of this core")?;
        // user, nice, system, idle, iowait, irq, softirq, steal; guests' time is in the first two.
        let mut next = || words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        let counts: [u64; 8] = std::array::from_fn(|_| next());
        let [_, _, _, idle, waiting, _, softirq, stolen] = counts;
        Ok(Self { idle: idle + waiting, softirq, stolen, all: counts.iter().sum() })
    }

    /// Since an earlier moment.
    pub(super) fn since(&self, before: &Self) -> CoreUse {
        let all = (self.all - before.all).max(1) as f64;
        let share = |now: u64, before: u64| now.saturating_sub(before) as f64 / all;
        CoreUse {
            idle: share(self.idle, before.idle),
            softirq: share(self.softirq, before.softirq),
            stolen: share(self.stolen, before.stolen),
        }
    }
}
