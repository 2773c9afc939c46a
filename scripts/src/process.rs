//! A program that runs for as long as its value lives: dropped, it is killed by its id and waited for.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};

use crate::stop::Stop;

/// How long a server may take to accept connections: one with a million clients reads them for some seconds, of a core of its own.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How long one connection attempt of the wait for it may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// A running program whose output goes to files.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts `program` in `folder`, on `core` only when one is given.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start<S: AsRef<OsStr>>(
        name: &str,
        core: Option<usize>,
        program: &Path,
        arguments: impl IntoIterator<Item = S>,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        Self::start_in(name, core, program, arguments, folder, folder)
    }

    /// The same, with `current` as its working directory; only its output goes to `folder`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_in<S: AsRef<OsStr>>(
        name: &str,
        core: Option<usize>,
        program: &Path,
        arguments: impl IntoIterator<Item = S>,
        folder: &Path,
        current: &Path,
    ) -> anyhow::Result<Self> {
        let [stdout, stderr] = ["out", "err"].map(|end| folder.join(format!("{name}.{end}")));
        let mut command = match core {
            Some(core) => {
                // It becomes the program, so that the id stays that of the program.
                let mut pinned = Command::new("taskset");
                pinned.args(["--cpu-list", &core.to_string()]).arg(program);
                pinned
            }
            None => Command::new(program),
        };
        let child = command
            .args(arguments)
            .current_dir(current)
            .stdin(Stdio::null())
            .stdout(File::create(&stdout)?)
            .stderr(File::create(&stderr)?)
            .spawn()
            .with_context(|| format!("cannot start {name} ({})", program.display()))?;
        Ok(Self { name: name.to_owned(), child, stdout, stderr })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard output so far.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn output(&self) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(&self.stdout)?).into_owned())
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn status(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits until it ends, at most `patience`.
    ///
    /// # Errors
    /// When it does not end in time, or the user stops the run.
    pub fn finish(&mut self, patience: Duration, stop: &Stop) -> anyhow::Result<ExitStatus> {
        let child = &mut self.child;
        match stop.wait_for(patience, || Ok(child.try_wait()?))? {
            Some(status) => Ok(status),
            None => bail!("{} did not end within {patience:?}", self.name),
        }
    }

    /// Asks it to end by SIGTERM and waits until it has, at most `patience`.
    ///
    /// # Errors
    /// When it does not end in time, or the user stops the run.
    pub fn terminate(&mut self, patience: Duration, stop: &Stop) -> anyhow::Result<ExitStatus> {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        self.finish(patience, stop)
    }

    /// Waits until it accepts connections at `address`.
    ///
    /// # Errors
    /// When it ends, or does not accept in time.
    pub fn await_listening(&mut self, address: SocketAddr, stop: &Stop) -> anyhow::Result<()> {
        let accepts = |_: &str| TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).ok().map(drop);
        self.await_start(stop, accepts)
    }

    /// Waits for a line `ready … tcp=ADDRESS …`, or `quic=ADDRESS`, of its standard output.
    ///
    /// # Errors
    /// When it ends, or prints none in time.
    pub fn await_ready_line(&mut self, stop: &Stop) -> anyhow::Result<ReadyLine> {
        self.await_start(stop, ReadyLine::find)
    }

    fn await_start<T>(&mut self, stop: &Stop, ready: impl Fn(&str) -> Option<T>) -> anyhow::Result<T> {
        let started = stop.wait_for(START_PATIENCE, || {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended at its start ({status}): {}", self.name, self.complaint());
            }
            Ok(ready(&self.output()?))
        })?;
        started.with_context(|| format!("{} did not start within {START_PATIENCE:?}", self.name))
    }

    /// The end of what it wrote: the first thing to look at when something is wrong.
    #[must_use]
    pub fn complaint(&self) -> String {
        let read = |path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        let text = read(&self.stdout) + &read(&self.stderr);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(4)..].join(" | ")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server of this workspace says when it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyLine {
    /// Where it listens: for TCP, or for QUIC if that is all.
    pub address: SocketAddr,
    /// How it moves bytes, if it says so.
    pub backend: Option<String>,
    /// Where QUIC listens and the fingerprint of its certificate, if it does.
    pub quic: Option<Quic>,
}

/// Where a server speaks QUIC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quic {
    /// Where it listens.
    pub address: SocketAddr,
    /// The fingerprint of its certificate.
    pub certificate: String,
}

impl ReadyLine {
    fn find(output: &str) -> Option<Self> {
        let (whole, _) = output.rsplit_once('\n')?;
        let line = whole.lines().find(|line| line.starts_with("ready "))?;
        let word = |name: &str| line.split_whitespace().find_map(|word| word.strip_prefix(name));
        let quic = word("quic=").zip(word("certificate=")).and_then(|(address, certificate)| {
            Some(Quic { address: address.parse().ok()?, certificate: certificate.to_owned() })
        });
        let tcp = word("tcp=").and_then(|address| address.parse().ok());
        let address = tcp.or(quic.as_ref().map(|quic| quic.address))?;
        Some(Self { address, backend: word("backend=").map(str::to_owned), quic })
    }
}

/// A loopback address on which nothing listens at this moment.
///
/// # Errors
/// When there is none.
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(folder: &Path, script: &str) -> Process {
        Process::start("shell", None, Path::new("sh"), ["-c", script], folder).unwrap()
    }

    fn is_running(id: u32) -> bool {
        Path::new(&format!("/proc/{id}")).exists()
    }

    #[test]
    fn a_dropped_process_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let process = shell(folder.path(), "sleep 600");
        let id = process.id();
        assert!(is_running(id));
        drop(process);
        assert!(!is_running(id));
    }

    #[test]
    fn a_pinned_process_keeps_its_id_and_its_core() {
        let folder = tempfile::tempdir().unwrap();
        let script = "echo $$; grep Cpus_allowed_list /proc/self/status";
        let may = rustix::thread::sched_getaffinity(None).unwrap();
        let core = (0..rustix::thread::CpuSet::MAX_CPU).find(|core| may.is_set(*core)).unwrap();
        let mut process =
            Process::start("shell", Some(core), Path::new("sh"), ["-c", script], folder.path()).unwrap();
        assert!(process.finish(START_PATIENCE, &Stop::default()).unwrap().success());
        let output = process.output().unwrap();
        assert_eq!(output.lines().next(), Some(&*process.id().to_string()));
        assert!(output.ends_with(&format!(":\t{core}\n")), "{output}");
    }

    #[test]
    fn a_process_that_ends_at_its_start_tells_why() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell(folder.path(), "echo no such option >&2; exit 3");
        let error = process.await_ready_line(&Stop::default()).unwrap_err().to_string();
        assert!(error.contains("no such option") && error.contains('3'), "{error}");
    }

    #[test]
    fn a_process_that_does_not_end_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell(folder.path(), "sleep 600");
        assert!(process.finish(Duration::from_millis(50), &Stop::default()).is_err());
    }

    #[test]
    fn a_ready_line_is_read_when_it_is_whole() {
        let line = "noise\nready tcp=127.0.0.1:7440 backend=epoll shards=1";
        assert_eq!(ReadyLine::find(line), None);
        let ready = ReadyLine::find(&format!("{line}\n")).unwrap();
        assert_eq!(ready.address, "127.0.0.1:7440".parse().unwrap());
        assert_eq!(ready.backend.as_deref(), Some("epoll"));
        let bare = ReadyLine::find("ready tcp=127.0.0.1:1\n").unwrap();
        assert_eq!((bare.backend, bare.quic), (None, None));
        let quic = ReadyLine::find("ready quic=127.0.0.1:2 certificate=sha256:ab\n").unwrap();
        assert_eq!(quic.address.port(), 2);
        assert_eq!(quic.quic.unwrap().certificate, "sha256:ab");
    }
}
