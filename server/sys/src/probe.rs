//! What this host allows.

use std::io;

use crate::uring;

/// Tries to make an io_uring with the flags the server uses and to enter it, and gives it back.
///
/// # Errors
/// The kernel's refusal: ENOSYS (no io_uring), EPERM (seccomp or sysctl), ENOMEM (locked memory), EINVAL (older than 6.1).
pub fn io_uring() -> io::Result<()> {
    io_uring::IoUring::<io_uring::squeue::Entry>::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .build(8)
        .and_then(|ring| ring.submit().map(drop))
}

/// The operations of [`crate::uring`], those not used by every ring too, that this kernel does not have, by name; all of them where no ring starts at all.
#[must_use]
pub fn missing_operations() -> Vec<&'static str> {
    let mut probe = io_uring::Probe::new();
    let probed = io_uring::IoUring::new(2).and_then(|ring| ring.submitter().register_probe(&mut probe));
    let rows = uring::OPERATIONS.iter().chain(&uring::PACKET_OPERATIONS).chain(&uring::WATCH_OPERATIONS);
    rows.filter(|(_, code)| probed.is_err() || !probe.is_supported(*code)).map(|(name, _)| *name).collect()
}

/// What stands behind a refusal of [`io_uring`] or [`crate::uring::probe`], and the cure.
#[must_use]
pub fn explain(error: &io::Error) -> &'static str {
    match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
        Some(rustix::io::Errno::PERM) => {
            "io_uring is forbidden here: set sysctl kernel.io_uring_disabled=0, or allow io_uring_* in the container's seccomp profile"
        }
        Some(rustix::io::Errno::NOSYS) => {
            "this kernel has no io_uring, or seccomp hides it: use Linux 6.1 or later and allow io_uring_* in the seccomp profile"
        }
        Some(rustix::io::Errno::NOMEM) => "locked memory is short: raise `ulimit -l`",
        Some(rustix::io::Errno::INVAL) => {
            "this kernel lacks something the ring needs (SINGLE_ISSUER, DEFER_TASKRUN, an operation): use Linux 6.1 or later"
        }
        Some(rustix::io::Errno::MFILE) => "no file descriptor is left: raise `ulimit -n`",
        _ => "io_uring does not start here: `mvt-server doctor` says what this host allows",
    }
}
