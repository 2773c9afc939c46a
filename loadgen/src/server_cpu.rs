//! CPU time of the server process, from the scheduler's own account.

use std::{collections::HashMap, fs, io};

/// CPU time of each thread of one process at one instant, ns.
#[derive(Debug, Clone, Default)]
pub struct CpuReading {
    by_thread: HashMap<String, u64>,
}

impl CpuReading {
    /// Reads `/proc/PID/task/*/schedstat`: exact to a tick, where `/proc/PID/stat` counts whole ticks.
    ///
    /// # Errors
    /// When there is no such process or it may not be read.
    pub fn of(pid: u32) -> io::Result<Self> {
        let mut by_thread = HashMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
            let entry = entry?;
            // A thread may end between the listing and the reading.
            let Ok(text) = fs::read_to_string(entry.path().join("schedstat")) else { continue };
            if let Some(run_ns) = parse_run_ns(&text) {
                by_thread.insert(entry.file_name().to_string_lossy().into_owned(), run_ns);
            }
        }
        if by_thread.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no thread has a readable schedstat"));
        }
        Ok(Self { by_thread })
    }

    /// CPU time used since `earlier`: a thread that began in between counts from 0, one that ended not at all.
    #[must_use]
    pub fn since_ns(&self, earlier: &Self) -> u64 {
        let used = |(thread, run_ns): (&String, &u64)| {
            run_ns.saturating_sub(earlier.by_thread.get(thread).copied().unwrap_or(0))
        };
        self.by_thread.iter().map(used).sum()
    }
}

/// The first of the three numbers: time on a CPU, ns.
fn parse_run_ns(schedstat: &str) -> Option<u64> {
    schedstat.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_is_the_run_time() {
        assert_eq!(parse_run_ns("123456 789 3\n"), Some(123_456));
        assert_eq!(parse_run_ns(""), None);
        assert_eq!(parse_run_ns("x 1 2"), None);
    }

    #[test]
    fn a_busy_process_uses_time_and_new_threads_count_from_zero() {
        let before = CpuReading::of(std::process::id()).unwrap();
        // By CPU time, so that a loaded machine only makes it slower; the account may lag by some ticks.
        let begun_ns = crate::clock::thread_cpu_ns();
        while crate::clock::thread_cpu_ns() < begun_ns + 60_000_000 {
            std::hint::spin_loop();
        }
        let used = CpuReading::of(std::process::id()).unwrap().since_ns(&before);
        assert!(used > 20_000_000, "{used}");
        let new = CpuReading { by_thread: HashMap::from([("new".into(), 5)]) };
        assert_eq!(new.since_ns(&before), 5);
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(CpuReading::of(u32::MAX).is_err());
    }
}
