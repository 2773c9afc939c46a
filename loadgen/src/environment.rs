//! The machine a number was measured on. Without it a number means nothing.

use std::{fs, net::IpAddr, process::Command, thread};

use rustix::system::uname;
use serde::Serialize;

/// CPU flags that change what cryptography and batching cost.
const FLAGS_OF_INTEREST: [&str; 10] = [
    "sha_ni",
    "aes",
    "vaes",
    "pclmulqdq",
    "vpclmulqdq",
    "avx2",
    "avx512f",
    "avx512bw",
    "avx512ifma",
    "hypervisor",
];

/// What is recorded beside every result; what cannot be read is null.
#[derive(Debug, Clone, Serialize)]
pub struct Environment {
    /// Model name of the first CPU.
    pub cpu_model: Option<String>,
    /// Those of its flags that matter here.
    pub cpu_flags: Vec<String>,
    /// CPUs this process may run on.
    pub cores: usize,
    /// Frequency governor of the first CPU.
    pub governor: Option<String>,
    /// Kernel release.
    pub kernel: String,
    /// Operating system and architecture.
    pub system: String,
    /// Version of the generator.
    pub generator_version: &'static str,
    /// `release` or `debug`.
    pub generator_build: &'static str,
    /// Commit of the tree the run was started in: `MVT_COMMIT`, else what git says.
    pub commit: Option<String>,
    /// CPUs the workers are pinned to.
    pub pinned_to: Vec<usize>,
    /// The server was reached over the loopback device.
    pub loopback: bool,
    /// Generator and server share this machine.
    pub co_located: bool,
}

impl Environment {
    /// Of this machine, for a run against `server` from `local_ip`.
    #[must_use]
    pub fn capture(server: IpAddr, local_ip: IpAddr, server_pid: Option<u32>, pins: &[usize]) -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let system = uname();
        let text = |part: &core::ffi::CStr| part.to_string_lossy().into_owned();
        Self {
            cpu_model: field(&cpu, "model name").map(str::to_owned),
            cpu_flags: flags(&cpu),
            cores: thread::available_parallelism().map_or(1, usize::from),
            governor: governor(),
            kernel: text(system.release()),
            system: format!("{} {}", text(system.sysname()), text(system.machine())),
            generator_version: env!("CARGO_PKG_VERSION"),
            generator_build: if cfg!(debug_assertions) { "debug" } else { "release" },
            commit: commit(),
            pinned_to: pins.to_vec(),
            loopback: server.is_loopback(),
            co_located: server.is_loopback() || server == local_ip || server_pid.is_some(),
        }
    }
}

fn field<'a>(cpuinfo: &'a str, name: &str) -> Option<&'a str> {
    let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}

fn flags(cpuinfo: &str) -> Vec<String> {
    let present: Vec<&str> = field(cpuinfo, "flags").unwrap_or_default().split_ascii_whitespace().collect();
    FLAGS_OF_INTEREST.into_iter().filter(|flag| present.contains(flag)).map(str::to_owned).collect()
}

fn governor() -> Option<String> {
    let text = fs::read_to_string("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").ok()?;
    Some(text.trim().to_owned())
}

fn commit() -> Option<String> {
    if let Ok(commit) = std::env::var("MVT_COMMIT") {
        return Some(commit);
    }
    let described =
        Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]).output();
    let output = described.ok().filter(|output| output.status.success())?;
    let commit = String::from_utf8(output.stdout).ok()?;
    Some(commit.trim().to_owned()).filter(|commit| !commit.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPUINFO: &str =
        "processor\t: 0\nmodel name\t: A CPU\nflags\t\t: fpu aes sha_ni avx2\n\nprocessor\t: 1\n";

    #[test]
    fn the_first_cpu_s_fields_are_read() {
        assert_eq!(field(CPUINFO, "model name"), Some("A CPU"));
        assert_eq!(flags(CPUINFO), ["sha_ni", "aes", "avx2"]);
        assert!(flags("").is_empty());
    }

    #[test]
    fn loopback_and_one_machine_are_told_apart() {
        let [loopback, near, far] = ["127.0.0.1", "10.0.0.1", "10.0.0.2"].map(|ip| ip.parse().unwrap());
        for (server, local, pid, expected) in [
            (loopback, loopback, None, (true, true)),
            (near, near, None, (false, true)),
            (far, near, None, (false, false)),
            (far, near, Some(1), (false, true)),
        ] {
            let environment = Environment::capture(server, local, pid, &[]);
            assert_eq!((environment.loopback, environment.co_located), expected, "{server} from {local}");
        }
    }
}
