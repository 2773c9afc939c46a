//! Facts about this host, as it says them itself.

use rustix::process::{Resource, getrlimit};

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

/// The soft limit on open files; `None` is no limit.
#[must_use]
pub fn open_files_max() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// The soft limit on locked memory, bytes; `None` is no limit.
#[must_use]
pub fn locked_bytes_max() -> Option<u64> {
    getrlimit(Resource::Memlock).current
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
    use super::version_of;

    #[test]
    fn a_kernel_release_begins_with_its_version() {
        assert_eq!(version_of("6.18.44-fc-v595"), Some((6, 18)));
        assert_eq!(version_of("6.1-rc3"), Some((6, 1)));
        assert_eq!(version_of("six"), None);
    }
}
