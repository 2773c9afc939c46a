//! What this host allows, and how to mend what it does not: one line for each finding.

use mvt_sys::{affinity, host, probe, uring};

/// One finding.
#[derive(Debug)]
pub struct Finding {
    /// What was looked at.
    pub subject: &'static str,
    /// What was found.
    pub found: String,
    /// How to mend it; `None` when nothing is wrong.
    pub cure: Option<&'static str>,
}

/// The oldest kernel with what [`uring`] needs: DEFER_TASKRUN.
const KERNEL_MIN: (u32, u32) = (6, 1);
/// Open files below which a default configuration cannot hold its connections.
const OPEN_FILES_MIN: u64 = 100_000;
/// Locked memory a ring may need where the kernel charges it, bytes.
const LOCKED_BYTES_MIN: u64 = 1 << 20;

/// Everything worth knowing before a start.
#[must_use]
pub fn examine() -> Vec<Finding> {
    let mut findings = vec![kernel(), uring_disabled(), uring_probe(), uring_operations(), uring_packets()];
    findings.extend([locked_memory(), swap(), open_files(), randomness(), cores()]);
    findings.extend(host::cpu_features().into_iter().map(cpu_feature));
    findings.push(huge_pages());
    findings
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let verdict = if self.cure.is_none() { "ok" } else { "warn" };
        write!(f, "{verdict:<5} {:<18} {}", self.subject, self.found)?;
        self.cure.map_or(Ok(()), |cure| write!(f, "; {cure}"))
    }
}

fn finding(subject: &'static str, found: String, is_good: bool, cure: &'static str) -> Finding {
    Finding { subject, found, cure: (!is_good).then_some(cure) }
}

fn kernel() -> Finding {
    let release = host::kernel_release();
    let is_good = host::version_of(&release).is_some_and(|version| version >= KERNEL_MIN);
    finding("kernel", release, is_good, "use Linux 6.1 or later, or io.backend = \"epoll\"")
}

fn uring_disabled() -> Finding {
    let value = host::setting("/proc/sys/kernel/io_uring_disabled");
    let is_good = value.as_deref().is_none_or(|value| value == "0");
    let found = value.unwrap_or_else(|| "no such sysctl: not disabled by it".into());
    finding("io_uring_disabled", found, is_good, "run `sysctl kernel.io_uring_disabled=0`")
}

fn uring_probe() -> Finding {
    match uring::probe() {
        Ok(()) => finding("io_uring", "a locked ring starts".into(), true, ""),
        Err(error) => finding("io_uring", error.to_string(), false, probe::explain(&error)),
    }
}

fn uring_operations() -> Finding {
    let missing: Vec<_> = probe::missing_operations();
    let is_good = missing.is_empty();
    let found = if is_good {
        let operations = uring::OPERATIONS.iter().chain(&uring::PACKET_OPERATIONS);
        operations.map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
    } else {
        format!("without {}", missing.join(" "))
    };
    finding("io_uring ops", found, is_good, "use Linux 6.1 or later and allow io_uring_* in seccomp")
}

fn uring_packets() -> Finding {
    match uring::probe_packets() {
        Ok(()) => finding("io_uring packets", "a locked ring receives QUIC's".into(), true, ""),
        Err(error) => {
            let cure = "QUIC asks its socket beside the ring, which is slower: use Linux 6.1 or later and allow io_uring";
            finding("io_uring packets", error.to_string(), false, cure)
        }
    }
}

fn locked_memory() -> Finding {
    let limit = host::locked_bytes_max();
    let found = limit.map_or("unlimited".into(), |bytes| format!("{} KiB", bytes / 1024));
    let is_good = limit.is_none_or(|bytes| bytes >= LOCKED_BYTES_MIN);
    finding("ulimit -l", found, is_good, "raise it to 1024 or more (LimitMEMLOCK= of systemd)")
}

fn swap() -> Finding {
    let found = if host::has_swap() { "on" } else { "off" };
    let cure = "keys may be written to disk: memory.lock = true, or swapoff";
    finding("swap", found.into(), !host::has_swap(), cure)
}

fn open_files() -> Finding {
    let (soft, hard) = host::open_files_limits();
    let say = |limit: Option<u64>| limit.map_or("unlimited".into(), |count| count.to_string());
    let found = if soft == hard {
        say(hard)
    } else {
        format!("{}, raised to the hard limit of {} at start", say(soft), say(hard))
    };
    let is_good = hard.is_none_or(|count| count >= OPEN_FILES_MIN);
    let cure = "the hard limit bounds the connections: raise it (LimitNOFILE= of systemd) or lower limits.connections_max";
    finding("ulimit -n", found, is_good, cure)
}

fn randomness() -> Finding {
    match getrandom::fill(&mut [0; 32]) {
        Ok(()) => finding("randomness", "there".into(), true, ""),
        Err(error) => {
            finding("randomness", error.to_string(), false, "allow getrandom in seccomp: no start without")
        }
    }
}

fn cores() -> Finding {
    let cores = affinity::allowed_cores();
    let found = format!("{} ({cores:?})", cores.len());
    finding("cores", found, cores.len() > 1, "with one core the shard shares it with logins and clients")
}

fn cpu_feature((name, is_there): (&'static str, bool)) -> Finding {
    let found = if is_there { "there" } else { "missing" };
    finding(name, found.into(), is_there, "verification takes a slower path: nothing to mend but the CPU")
}

fn huge_pages() -> Finding {
    let value = host::setting("/sys/kernel/mm/transparent_hugepage/enabled");
    let is_good = value.as_deref().is_some_and(|value| !value.contains("[never]"));
    let found = value.unwrap_or_else(|| "not in this kernel".into());
    let cure = "large key tables cost more: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled";
    finding("huge pages", found, is_good, cure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_and_says_how_to_mend_it() {
        for finding in examine() {
            assert_eq!(finding.to_string().lines().count(), 1, "{finding}");
        }
        let bad = Finding { subject: "kernel", found: "5.4".into(), cure: Some("use a later one") };
        assert_eq!(bad.to_string(), "warn  kernel             5.4; use a later one");
    }
}
