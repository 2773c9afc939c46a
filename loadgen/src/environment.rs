//! The machine a number was measured on. Without it a number means nothing.

use std::{collections::BTreeMap, fs, path::Path, process::Command, thread};

use rustix::system::uname;
use serde::{Deserialize, Serialize};

use crate::run::{Outcome, Plan};

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

const SYSCTLS: [&str; 9] = [
    "net.core.busy_poll",
    "net.core.busy_read",
    "net.core.netdev_max_backlog",
    "net.core.rmem_max",
    "net.core.somaxconn",
    "net.core.wmem_max",
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
];

/// The argument whose value is a credential.
const TOKEN: &str = "--token";

/// What is recorded beside every result; what cannot be read is null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    pub generator_version: String,
    /// How the generator moved bytes.
    #[serde(default)]
    pub generator_io: String,
    /// `release` or `debug`.
    pub generator_build: String,
    /// Commit of the work tree the program lies in: `MVT_COMMIT`, else what git says; not known of one that was installed.
    pub commit: Option<String>,
    /// Load averages of 1, 5 and 15 minutes at the end of the run.
    pub load_average: Option<String>,
    /// Where the kernel takes time from.
    pub clock_source: Option<String>,
    /// Kernel settings that bear on network latency.
    pub sysctls: BTreeMap<String, String>,
    /// What the user says of the server, like its backend or configuration.
    pub labels: BTreeMap<String, String>,
    /// The command line of the generator.
    pub command: String,
    /// CPUs the workers are pinned to.
    pub pinned_to: Vec<usize>,
    /// The server was reached over the loopback device.
    pub loopback: bool,
    /// Generator and server share this machine.
    pub co_located: bool,
}

impl Environment {
    /// Of this machine, for a run of `plan` that gave `outcome`.
    #[must_use]
    pub fn capture(plan: &Plan, outcome: &Outcome) -> Self {
        let server = plan.target.address.ip();
        let loopback = server.is_loopback();
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let system = uname();
        let text = |part: &core::ffi::CStr| part.to_string_lossy().into_owned();
        Self {
            cpu_model: field(&cpu, "model name").map(str::to_owned),
            cpu_flags: flags(&cpu),
            cores: thread::available_parallelism().map_or(1, usize::from),
            governor: line_of("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            kernel: text(system.release()),
            system: format!("{} {}", text(system.sysname()), text(system.machine())),
            generator_version: env!("CARGO_PKG_VERSION").to_owned(),
            generator_io: outcome.io.clone(),
            generator_build: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
            commit: commit(),
            load_average: load_average(),
            clock_source: line_of("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            sysctls: sysctls(),
            labels: plan.labels.clone(),
            command: command(std::env::args().skip(1)),
            pinned_to: plan.pins.clone(),
            loopback,
            co_located: loopback || server == outcome.local_ip || plan.server_pid.is_some(),
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

fn line_of(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The arguments as a shell takes them; the program, and files by an absolute path, by their names only: folders of this
/// machine say nothing on another one. A bearer token is left out.
fn command(arguments: impl Iterator<Item = String>) -> String {
    let mut words = vec!["mvt-loadgen".to_owned()];
    let mut is_secret = false;
    for argument in arguments {
        let shown = if is_secret { "[redacted]".to_owned() } else { without_folder(&argument) };
        words.push(quoted(shown));
        is_secret = argument == TOKEN;
    }
    words.join(" ")
}

fn quoted(argument: String) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=+@%[]".contains(c);
    let is_plain = !argument.is_empty() && argument.chars().all(plain);
    if is_plain { argument } else { format!("'{}'", argument.replace('\'', "'\\''")) }
}

/// `--key=/a/b` as `--key=b`, `/a/b` as `b`; anything else as it is.
fn without_folder(argument: &str) -> String {
    let (name, value) = match argument.split_once('=') {
        Some((name, value)) if name.starts_with("--") => (format!("{name}="), value),
        _ => (String::new(), argument),
    };
    let path = Path::new(value);
    match path.file_name().filter(|_| path.is_absolute()) {
        Some(file) => format!("{name}{}", file.to_string_lossy()),
        None => argument.to_owned(),
    }
}

fn load_average() -> Option<String> {
    let text = line_of("/proc/loadavg")?;
    Some(text.split(' ').take(3).collect::<Vec<_>>().join(" "))
}

fn sysctls() -> BTreeMap<String, String> {
    let path = |name: &str| format!("/proc/sys/{}", name.replace('.', "/"));
    SYSCTLS.into_iter().filter_map(|name| Some((name.to_owned(), line_of(&path(name))?))).collect()
}

fn commit() -> Option<String> {
    if let Ok(commit) = std::env::var("MVT_COMMIT") {
        return Some(commit);
    }
    // That of the work tree this program was built in; where it was started is somebody else's.
    let program = std::env::current_exe().ok()?;
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(program.parent()?).args(arguments).output().ok()?;
        let said = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
        Some(said.trim().to_owned()).filter(|said| !said.is_empty())
    };
    let tree = git(&["rev-parse", "--show-toplevel"])?;
    if !Path::new(&tree).join("loadgen/Cargo.toml").is_file() {
        return None;
    }
    git(&["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"])
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
    fn a_command_names_no_folder_of_this_machine_and_no_credential() {
        let words = "run --key /a/client.key --out=/b/run-1 --json out/r.json --assert p99<1ms --token secret --pin 1";
        assert_eq!(
            command(words.split(' ').map(str::to_owned)),
            "mvt-loadgen run --key client.key --out=run-1 --json out/r.json --assert 'p99<1ms' --token [redacted] --pin 1"
        );
    }

    #[test]
    fn a_kernel_setting_is_one_line() {
        assert_eq!(sysctls().get("net.ipv4.tcp_rmem").map(|text| text.split(' ').count()), Some(3));
        assert_eq!(line_of("/nowhere"), None);
    }
}
