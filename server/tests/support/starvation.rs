//! Whether a test was kept from running by its machine: what has a limit of its own in time, as an SDK's or a generator's patience has, may
//! then have met it, and the test has another try. Where nothing was kept from running it has none.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Longer waits for a core than this, together, are no healthy machine's.
const STARVED: Duration = Duration::from_secs(1);
/// What the watching thread sleeps at once; what it oversleeps by less is how kernels are.
const NAP: Duration = Duration::from_millis(10);

/// Watches from its start.
pub struct Starvation {
    process_id: u32,
    waited_before: Duration,
    is_over: Arc<AtomicBool>,
    overslept_ns: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Starvation {
    /// Of this process, by a thread that would sleep and run, and of a server's, by what the kernel says that its threads waited.
    pub fn watch(process_id: u32) -> Self {
        let (is_over, overslept_ns) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let thread = thread::spawn({
            let (is_over, overslept_ns) = (is_over.clone(), overslept_ns.clone());
            move || {
                while !is_over.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    thread::sleep(NAP);
                    let late = begun.elapsed().saturating_sub(2 * NAP);
                    overslept_ns.fetch_add(late.as_nanos() as u64, Ordering::Relaxed);
                }
            }
        });
        let waited_before = waited(process_id);
        Self { process_id, waited_before, is_over, overslept_ns, thread: Some(thread) }
    }

    /// Whether either was kept from running until now.
    pub fn is_proved(&self) -> bool {
        let own = Duration::from_nanos(self.overslept_ns.load(Ordering::Relaxed));
        let others = waited(self.process_id).saturating_sub(self.waited_before);
        println!("kept from running: the test {own:?}, the server's threads {others:?}");
        own.max(others) > STARVED
    }
}

impl Drop for Starvation {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the threads of a process waited for a core: the second number of each.
fn waited(process_id: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{process_id}/task")).into_iter().flatten().flatten();
    let of = |task: fs::DirEntry| -> Option<u64> {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().nth(1)?.parse().ok()
    };
    Duration::from_nanos(tasks.filter_map(of).sum())
}
