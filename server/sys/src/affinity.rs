//! Pinning threads to cores.

use std::collections::BTreeSet;

/// The cores this process may run on, ascending, wherever the calling thread is pinned: those of its first thread, which is not.
#[must_use]
pub fn allowed_cores() -> Vec<usize> {
    let set = rustix::thread::sched_getaffinity(Some(rustix::process::getpid()));
    set.map(|set| (0..rustix::thread::CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
        .unwrap_or_else(|_| vec![0])
}

/// Pins the calling thread to `core`; false when the kernel refuses.
#[must_use]
pub fn pin_to(core: usize) -> bool {
    core_affinity::set_for_current(core_affinity::CoreId { id: core })
}

/// Cores of `wanted` that this process may not run on.
#[must_use]
pub fn forbidden_of(wanted: &[usize]) -> Vec<usize> {
    let allowed: BTreeSet<_> = allowed_cores().into_iter().collect();
    wanted.iter().copied().filter(|core| !allowed.contains(core)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_still_sees_the_cores_of_the_process() {
        let cores = allowed_cores();
        assert!(pin_to(*cores.last().expect("one at least")));
        assert_eq!(rustix::thread::sched_getaffinity(None).expect("our own").count(), 1);
        assert_eq!(allowed_cores(), cores);
    }
}
