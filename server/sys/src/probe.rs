//! What this host allows.

use std::io;

/// Tries to make an io_uring with the flags the server uses, and gives it back.
///
/// # Errors
/// The kernel's refusal: ENOSYS (no io_uring), EPERM (seccomp or sysctl), ENOMEM (locked memory), EINVAL (older than 6.1).
pub fn io_uring() -> io::Result<()> {
    io_uring::IoUring::<io_uring::squeue::Entry>::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .build(8)
        .map(drop)
}

/// What stands behind a refusal of [`io_uring`], and the cure.
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
            "this kernel does not know SINGLE_ISSUER or DEFER_TASKRUN: use Linux 6.1 or later"
        }
        _ => "io_uring does not start here",
    }
}
