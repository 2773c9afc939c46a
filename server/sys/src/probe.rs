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

#[cfg(test)]
mod tests {
    use std::thread;

    use libc::{c_long, c_ulong, sock_filter, sock_fprog};

    use super::*;

    /// Runs `act` on a thread of its own, to which `call` fails with `error`.
    fn without<T: Send>(call: c_long, error: i32, act: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            scope
                .spawn(|| {
                    forbid(call, error).expect("a thread may forbid itself something");
                    act()
                })
                .join()
        })
        .expect("no panic")
    }

    fn forbid(call: c_long, error: i32) -> io::Result<()> {
        let step = |code: u32, jt: u8, jf: u8, k: u32| sock_filter { code: code as u16, jt, jf, k };
        let mut filter = [
            // The number of the call is the first word of what is judged.
            step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
            step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, call as u32),
            step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | error as u32),
            step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
        ];
        let program = sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        let [one, none]: [c_ulong; 2] = [1, 0];
        // SAFETY: the kernel copies the program, which outlives both calls; it holds for this thread alone.
        let refused = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, one, none, none, none) != 0
                || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER as c_ulong, &raw const program)
                    != 0
        };
        if refused { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// CASES U-11, L-08
    #[test]
    fn a_forbidden_call_is_found_by_the_probe_and_explained() {
        if uring::probe().is_err() {
            eprintln!("no io_uring here: nothing to forbid");
            return;
        }
        for (call, error, cause) in [
            (libc::SYS_io_uring_setup, libc::EPERM, "forbidden"),
            (libc::SYS_io_uring_setup, libc::ENOSYS, "no io_uring"),
            (libc::SYS_io_uring_setup, libc::ENOMEM, "locked memory"),
            (libc::SYS_io_uring_register, libc::EPERM, "forbidden"),
            (libc::SYS_io_uring_enter, libc::EPERM, "forbidden"),
        ] {
            let (ours, monoio) = without(call, error, || (uring::probe(), io_uring()));
            let found = ours.expect_err("it cannot serve");
            assert_eq!(found.raw_os_error(), Some(error), "call {call}");
            // A ring with something queued that can never be entered leaves its memory to the kernel, which is a leak to a sanitizer.
            if call != libc::SYS_io_uring_enter {
                assert!(without(call, error, uring::probe_packets).is_err(), "call {call}");
            }
            assert!(explain(&found).contains(cause), "{}", explain(&found));
            // The other ring registers nothing before it is used.
            assert_eq!(monoio.is_err(), call != libc::SYS_io_uring_register, "call {call}");
        }
    }
}
