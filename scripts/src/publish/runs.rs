//! The runs of a publication, one after the other. One that fails is noted and takes nothing else with it: what was written
//! stays, and a server that may be the reason is started anew for the next.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{bail, ensure};

use crate::{
    compare::{
        artifacts::Artifacts,
        install::program_of,
        peer::{KINDS, Kind, PeerName, Running, SERVER_CORE, Seat},
    },
    process::Process,
    stand::Stand,
    stop::{Stop, Stopped},
    transport::Transport,
    workspace,
};

use super::{
    finding::Finding,
    workloads::{Ending, Server, WORKLOADS, Workload},
};

/// Beyond its interval a run may take this long, for connections, logins and the last answers.
const GRACE: Duration = Duration::from_secs(60);
/// The shortest measured interval of a run, seconds.
const SECONDS_MIN: f64 = 0.2;
/// The exit status of a void run.
const VOID: i32 = 4;

/// The runs, what they need, and how far they are.
#[derive(Debug)]
pub struct Runs<'a> {
    /// Where the results go.
    pub folder: PathBuf,
    /// Of processes: keys, configurations, outputs.
    pub scratch: &'a Path,
    /// Programs of this workspace.
    pub artifacts: &'a Artifacts,
    /// The longest measured interval, s.
    pub seconds: f64,
    /// As the generator names it.
    pub commit: String,
    /// Missing peers are installed.
    pub may_install: bool,
    /// The wish of the user to end.
    pub stop: &'a Stop,
    count: usize,
    done: usize,
    /// What went wrong.
    pub failures: Vec<String>,
}

/// The server of a run, started.
struct Loaded<'a> {
    /// Arguments of the generator that lead it there.
    words: Vec<String>,
    process: &'a Process,
}

/// Peers that do work of their own; the echoes do none.
fn real_peers() -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().filter(|kind| !matches!(kind.name, PeerName::Echo | PeerName::Quinn))
}

impl<'a> Runs<'a> {
    /// None done yet.
    #[must_use]
    pub const fn new(
        folder: PathBuf,
        scratch: &'a Path,
        artifacts: &'a Artifacts,
        commit: String,
        stop: &'a Stop,
    ) -> Self {
        let failures = Vec::new();
        Self {
            folder,
            scratch,
            artifacts,
            seconds: 0.0,
            commit,
            may_install: false,
            stop,
            count: 0,
            done: 0,
            failures,
        }
    }

    /// Every run whose name is one of `only`, or every run; those that are there already stay.
    ///
    /// # Errors
    /// When none has such a name, or the user stops it. What fails is in [`Runs::failures`].
    pub fn all(&mut self, only: &[String]) -> anyhow::Result<()> {
        let known = |name: &&String| WORKLOADS.iter().any(|it| it.name == **name);
        if let Some(unknown) = only.iter().find(|name| !known(name)) {
            let names: Vec<&str> = WORKLOADS.iter().map(|it| it.name).collect();
            bail!("--only {unknown}: there is no such run; there are {}", names.join(", "));
        }
        let wanted = |it: &&Workload| only.is_empty() || only.iter().any(|name| name == it.name);
        let (peers, ours): (Vec<&Workload>, Vec<&Workload>) =
            WORKLOADS.iter().filter(wanted).partition(|it| it.server == Server::Peers);
        self.count = ours.len() + peers.len() * real_peers().count();
        self.load_ours(&ours)?;
        Ok(self.load_peers(&peers)?)
    }

    fn load_ours(&mut self, workloads: &[&Workload]) -> Result<(), Stopped> {
        let mut stand: Option<Stand> = None;
        for workload in workloads {
            let Server::Ours(transport) = workload.server else { continue };
            if self.is_there(workload, workload.name) {
                continue;
            }
            let outcome = self.stand(&mut stand).and_then(|stand| self.load_on(stand, workload, transport));
            if !self.conclude(workload.name, outcome)? {
                stand = None;
            }
        }
        if let Some(mut stand) = stand {
            let ended = stand.process.terminate(GRACE, self.stop).and_then(|ended| {
                ensure!(ended.success(), "it ended with {ended}: {}", stand.process.complaint());
                Ok(String::new())
            });
            self.conclude("our server", ended)?;
        }
        Ok(())
    }

    /// Our server, started if it is not there.
    fn stand<'s>(&self, stand: &'s mut Option<Stand>) -> anyhow::Result<&'s Stand> {
        if stand.is_none() {
            let begun = Stand::start(&self.artifacts.server, self.scratch, &[SERVER_CORE], self.stop)?;
            eprintln!(
                "publish: ours serves on {} by {}, QUIC on {}",
                begun.address, begun.backend, begun.quic.address
            );
            return Ok(stand.insert(begun));
        }
        Ok(stand.as_ref().expect("started"))
    }

    fn load_on(&self, stand: &Stand, workload: &Workload, transport: Transport) -> anyhow::Result<String> {
        let mut words = vec!["run".to_owned()];
        words.extend(stand.way(transport));
        words.extend(["--server-public-key".to_owned(), stand.public_key.clone()]);
        words.extend(["--key".to_owned(), stand.client_key.display().to_string()]);
        words.extend(["--label".to_owned(), format!("server=mvt-server, {}", stand.backend)]);
        self.load(workload, workload.name, Loaded { words, process: &stand.process })
    }

    /// Peers that are not there are left out, and said so.
    fn load_peers(&mut self, workloads: &[&Workload]) -> Result<(), Stopped> {
        for kind in real_peers() {
            let mut peer: Option<Running> = None;
            for workload in workloads {
                let name = format!("{}-{}", workload.name, kind.text);
                if self.is_there(workload, &name) {
                    continue;
                }
                if peer.is_none() {
                    match self.start(kind) {
                        Ok(started) => peer = Some(started),
                        Err(error) => {
                            self.stop.check()?;
                            eprintln!("publish: WITHOUT {}: {error:#}", kind.text);
                            continue;
                        }
                    }
                }
                let Some(running) = &peer else { continue };
                let mut words = vec!["peer".to_owned(), "--protocol".to_owned(), kind.protocol.to_owned()];
                words.extend(["--server".to_owned(), running.address.to_string()]);
                words.extend(running.client_arguments.iter().cloned());
                words.extend(["--label".to_owned(), format!("server={}", kind.text)]);
                let outcome = self.load(workload, &name, Loaded { words, process: &running.process });
                if !self.conclude(&name, outcome)? {
                    peer = None;
                }
            }
        }
        Ok(())
    }

    fn start(&self, kind: &Kind) -> anyhow::Result<Running> {
        let program = program_of(kind, self.may_install)?;
        (kind.start)(&Seat { program, folder: self.scratch, artifacts: self.artifacts, stop: self.stop })
    }

    fn seconds_of(&self, workload: &Workload) -> f64 {
        (self.seconds * workload.part).max(SECONDS_MIN)
    }

    /// Counts a run; whether it was finished before.
    fn is_there(&mut self, workload: &Workload, name: &str) -> bool {
        self.done += 1;
        let (seconds, wants_void) = (self.seconds_of(workload), workload.ending == Ending::Void);
        let place = format!("publish: [{:>2}/{}] {name:<24}", self.done, self.count);
        let found = Finding::read(&self.folder.join(name));
        if let Some(found) = found.filter(|found| found.serves(&self.commit, seconds, wants_void)) {
            eprintln!("{place} is there: {}", found.text);
            return true;
        }
        eprintln!("{place} {seconds:.1} s ...");
        false
    }

    /// Tells how a run ended and keeps what went wrong; whether nothing did.
    fn conclude(&mut self, name: &str, outcome: anyhow::Result<String>) -> Result<bool, Stopped> {
        self.stop.check()?;
        match outcome {
            Ok(text) if text.is_empty() => {}
            Ok(text) => eprintln!("publish:         {text}"),
            Err(error) => {
                eprintln!("publish:         FAILED: {error:#}");
                self.failures.push(format!("{name}: {error:#}"));
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// One run of the generator into its folder; its figures in a line.
    fn load(&self, workload: &Workload, name: &str, loaded: Loaded<'_>) -> anyhow::Result<String> {
        let seconds = self.seconds_of(workload);
        let Loaded { mut words, process } = loaded;
        words.extend(workload.arguments.iter().map(|word| (*word).to_owned()));
        let warmup = (seconds / 10.0).clamp(SECONDS_MIN, 2.0);
        let folder = self.folder.join(name);
        for (argument, value) in [
            ("--server-pid", &process.id().to_string()),
            ("--duration", &format!("{seconds:.3}s")),
            ("--warmup", &format!("{warmup:.3}s")),
            ("--threads", &"1".to_owned()),
            ("--pin", &workload.core.to_string()),
            ("--out", &folder.display().to_string()),
        ] {
            words.extend([argument.to_owned(), value.clone()]);
        }
        words.push("--quiet".to_owned());
        let program = &self.artifacts.loadgen;
        let root = workspace::folder();
        let begun = Instant::now();
        let mut client = Process::start_in("client", None, program, words, self.scratch, &root)?;
        let status = client.finish(Duration::from_secs_f64(seconds + warmup) + GRACE, self.stop)?;
        match (workload.ending, status.code()) {
            (Ending::Clean, Some(0 | VOID)) | (Ending::Void, Some(VOID)) => {}
            (Ending::Void, Some(0)) => bail!("it was to be void and is not"),
            _ => bail!("it ended with {status}: {}", client.complaint()),
        }
        let Some(found) = Finding::read(&folder) else { bail!("it left no whole report") };
        Ok(format!("after {:.0} s: {}", begun.elapsed().as_secs_f64(), found.text))
    }
}
