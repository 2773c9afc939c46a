//! Facts about this host, as it says them itself, what it allows this process included.

use std::io;

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The release of the kernel.
#[must_use]
pub fn kernel_release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// The `major.minor` of a kernel release.
#[must_use]
pub fn version_of(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The first line of a file of `/proc` or `/sys`; `None` where there is no such file.
#[must_use]
pub fn setting(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()?.lines().next().map(|line| line.trim().to_owned())
}

/// The soft limit on open files, and the hard one up to which a process may raise it; `None` is no limit.
#[must_use]
pub fn open_files_limits() -> (Option<u64>, Option<u64>) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    (current, maximum)
}

/// Raises the soft limit on open files of this process to the hard one, and gives what is in force then.
pub fn raise_open_files() -> Option<u64> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Refused: the limit stays as it is, and the caller sees that.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    open_files_limits().0
}

/// The soft limit on locked memory, bytes; `None` is no limit.
#[must_use]
pub fn locked_bytes_max() -> Option<u64> {
    getrlimit(Resource::Memlock).current
}

/// Keeps whatever this process has in memory, and will have, out of swap. What is reserved and not used takes no memory for it.
///
/// # Errors
/// `PermissionDenied` when the limit on locked memory is one, and so would make a later allocation fail; the OS's.
pub fn lock_memory() -> io::Result<()> {
    if locked_bytes_max().is_some() && !has_ipc_lock() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)?)
}

/// Whether no limit on locked memory holds for this process.
fn has_ipc_lock() -> bool {
    const CAP_IPC_LOCK: u32 = 14;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    effective.is_some_and(|bits| bits & (1 << CAP_IPC_LOCK) != 0)
}

/// Whether this host writes memory to disk when it is short of it.
#[must_use]
pub fn has_swap() -> bool {
    std::fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() > 1)
}

/// No file is written of this process' memory when it dies.
pub fn forbid_core_dumps() {
    // A limit may always be lowered.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// What the CPU has of what the lanes can use, by name.
#[must_use]
pub fn cpu_features() -> Vec<(&'static str, bool)> {
    #[cfg(target_arch = "x86_64")]
    {
        use std::is_x86_feature_detected as has;
        let is_avx512 = has!("avx512f") && has!("avx512bw") && has!("avx512vl");
        vec![("SHA-NI", has!("sha")), ("AVX2", has!("avx2")), ("AVX-512", is_avx512)]
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_files_are_raised_to_the_hard_limit() {
        let (soft, hard) = open_files_limits();
        assert!(hard.is_none() || soft.is_some(), "{soft:?} of {hard:?}");
        assert_eq!(raise_open_files(), hard);
        assert_eq!(open_files_limits(), (hard, hard));
    }

    #[test]
    fn a_kernel_release_begins_with_its_version() {
        assert_eq!(version_of("6.18.44-fc-v595"), Some((6, 18)));
        assert_eq!(version_of("6.1-rc3"), Some((6, 1)));
        assert_eq!(version_of("six"), None);
    }
}
