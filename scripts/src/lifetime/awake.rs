//! Keeps a core from halting.
//!
//! A virtual core that halts is the host's until it is woken, which takes 30 to 45 µs here; the kernel counts that as waiting of the
//! thread it is woken for, so each wake-up more would look like work of somebody else's. What runs here instead is of the class that
//! everybody preempts at once (`SCHED_IDLE`). And what it did not get and the server did not have either, others had.

use std::path::Path;

use crate::process::Process;

/// Until the one who started it is gone, whatever becomes of that.
const LOOP: &str =
    "while kill -0 $PPID 2>/dev/null; do i=0; while [ $i -lt 10000 ]; do i=$((i+1)); done; done";

/// What runs on `core` when nobody else does.
pub(super) fn keep_awake(core: usize, folder: &Path) -> anyhow::Result<Process> {
    Process::start("awake", Some(core), Path::new("chrt"), ["--idle", "0", "sh", "-c", LOOP], folder)
}
