//! The start-up list of a publication.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, bail, ensure};

use crate::{
    accuracy,
    compare::{
        self,
        arguments::Arguments as Comparison,
        artifacts::Artifacts,
        install::program_of,
        peer::{KINDS, Kind, PeerName, Running, SERVER_CORE, Seat},
    },
    process::Process,
    stand::Stand,
    stop::Stop,
    workspace,
};

use super::workloads::{Ending, Server, WORKLOADS, Workload};

/// Beyond its interval a run may take this long, for connections, logins and the last answers.
const GRACE: Duration = Duration::from_secs(60);
/// The shortest measured interval of a run, seconds.
const SECONDS_MIN: f64 = 0.2;
/// Rounds of the comparison of costs.
const ROUNDS: u32 = 5;
/// The exit status of a void run.
const VOID: i32 = 4;

/// Arguments of `publish`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Measured seconds of the longest run; the others are parts of it.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Write here instead of results/<date>-<commit>.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Only runs with these names; without the comparison of costs and the accuracy table.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    only: Vec<String>,
    /// Install nothing: leave out peers that are not there.
    #[arg(long)]
    no_install: bool,
}

/// One publication.
struct Publication<'a> {
    folder: PathBuf,
    /// Of processes: keys, configurations, outputs.
    scratch: &'a Path,
    artifacts: &'a Artifacts,
    seconds: f64,
    stop: &'a Stop,
    count: usize,
    done: usize,
}

/// Builds, runs every workload, and writes the page.
///
/// # Errors
/// When something cannot be built or started, a run of ours ends otherwise than its row allows, or the user stops it.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let stop = Stop::listen().context("cannot listen to signals")?;
    let artifacts = Artifacts::build()?;
    let scratch = tempfile::tempdir()?;
    let folder = match &arguments.out {
        Some(folder) => std::env::current_dir()?.join(folder),
        None => workspace::folder().join("results").join(name_of_today()?),
    };
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let wanted =
        |it: &&Workload| arguments.only.is_empty() || arguments.only.iter().any(|name| name == it.name);
    let (ours, peers): (Vec<&Workload>, Vec<&Workload>) =
        WORKLOADS.iter().filter(wanted).partition(|it| it.server == Server::Ours);
    ensure!(!ours.is_empty() || !peers.is_empty(), "no run has one of these names");
    let mut publication = Publication {
        folder,
        scratch: scratch.path(),
        artifacts: &artifacts,
        seconds: arguments.seconds as f64,
        stop: &stop,
        count: ours.len() + peers.len() * real_peers().count(),
        done: 0,
    };
    publication.load_ours(&ours)?;
    publication.load_peers(&peers, !arguments.no_install)?;
    if arguments.only.is_empty() {
        publication.compare(arguments.no_install)?;
        accuracy::write(&publication.folder.join("accuracy.md"))?;
    }
    publication.index()?;
    println!("publish: {}", publication.folder.join("index.html").display());
    Ok(())
}

/// Peers that do work of their own; the echoes do none.
fn real_peers() -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().filter(|kind| !matches!(kind.name, PeerName::Echo | PeerName::Quinn))
}

impl Publication<'_> {
    fn load_ours(&mut self, workloads: &[&Workload]) -> anyhow::Result<()> {
        if workloads.is_empty() {
            return Ok(());
        }
        let server = &self.artifacts.server;
        let mut stand = Stand::start(server, self.scratch, &[SERVER_CORE], self.stop)?;
        eprintln!("publish: ours serves on {} by {}", stand.address, stand.backend);
        let label = format!("server=mvt-server, {}", stand.backend);
        for workload in workloads {
            let mut words =
                vec!["run".to_owned(), "--server-public-key".to_owned(), stand.public_key.clone()];
            words.extend(["--key".to_owned(), stand.client_key.display().to_string()]);
            words.extend(["--label".to_owned(), label.clone()]);
            self.load(workload, workload.name, &stand.address.to_string(), stand.process.id(), words)?;
        }
        let ended = stand.process.terminate(GRACE, self.stop)?;
        ensure!(ended.success(), "our server ended with {ended}: {}", stand.process.complaint());
        Ok(())
    }

    /// Peers that are not there are left out, and said so.
    fn load_peers(&mut self, workloads: &[&Workload], may_install: bool) -> anyhow::Result<()> {
        for kind in real_peers().filter(|_| !workloads.is_empty()) {
            let peer = match self.start(kind, may_install) {
                Ok(peer) => peer,
                Err(error) => {
                    self.stop.check()?;
                    eprintln!("publish: WITHOUT {}: {error:#}", kind.text);
                    self.done += workloads.len();
                    continue;
                }
            };
            for workload in workloads {
                let mut words = vec!["peer".to_owned(), "--protocol".to_owned(), kind.protocol.to_owned()];
                words.extend(peer.client_arguments.iter().cloned());
                words.extend(["--label".to_owned(), format!("server={}", kind.text)]);
                let name = format!("{}-{}", workload.name, kind.text);
                self.load(workload, &name, &peer.address.to_string(), peer.process.id(), words)?;
            }
        }
        Ok(())
    }

    fn start(&self, kind: &Kind, may_install: bool) -> anyhow::Result<Running> {
        let program = program_of(kind, may_install)?;
        (kind.start)(&Seat { program, folder: self.scratch, artifacts: self.artifacts, stop: self.stop })
    }

    /// One run of the generator into its folder.
    fn load(
        &mut self,
        workload: &Workload,
        name: &str,
        address: &str,
        id: u32,
        mut words: Vec<String>,
    ) -> anyhow::Result<()> {
        self.done += 1;
        let seconds = (self.seconds * workload.part).max(SECONDS_MIN);
        eprintln!("publish: [{:>2}/{}] {name}, {seconds} s", self.done, self.count);
        words.extend(workload.arguments.iter().map(|word| (*word).to_owned()));
        let warmup = (seconds / 10.0).clamp(SECONDS_MIN, 2.0);
        let folder = self.folder.join(name).display().to_string();
        for (argument, value) in [
            ("--server", address),
            ("--server-pid", &id.to_string()),
            ("--duration", &format!("{seconds}s")),
            ("--warmup", &format!("{warmup}s")),
            ("--threads", "1"),
            ("--pin", &workload.core.to_string()),
            ("--out", &folder),
        ] {
            words.extend([argument.to_owned(), value.to_owned()]);
        }
        words.push("--quiet".to_owned());
        let program = &self.artifacts.loadgen;
        let root = workspace::folder();
        let mut client = Process::start_in("client", None, program, words, self.scratch, &root)?;
        let status = client.finish(Duration::from_secs_f64(seconds + warmup) + GRACE, self.stop)?;
        match (workload.ending, status.code()) {
            (Ending::Clean, Some(0)) | (Ending::Void, Some(VOID)) => Ok(()),
            (Ending::Clean, Some(VOID)) => {
                eprintln!("publish: {name} is VOID here: {}", client.complaint());
                Ok(())
            }
            (Ending::Void, Some(0)) => bail!("{name} was to be void and is not"),
            _ => bail!("{name} ended with {status}: {}", client.complaint()),
        }
    }

    fn compare(&self, no_install: bool) -> anyhow::Result<()> {
        compare::run::run(Comparison {
            json: Some(self.folder.join("compare.json")),
            seconds_per_cell: (self.seconds / 30.0).clamp(0.1, 2.0),
            rounds: if self.seconds < 10.0 { 1 } else { ROUNDS },
            no_install,
            ..Comparison::usual()
        })
    }

    fn index(&self) -> anyhow::Result<()> {
        let status = Command::new(&self.artifacts.loadgen).arg("index").arg(&self.folder).status()?;
        ensure!(status.success(), "mvt-loadgen index ended with {status}");
        Ok(())
    }
}

/// `<date>-<commit>`.
fn name_of_today() -> anyhow::Result<String> {
    let output = |program: &str, arguments: &[&str]| -> anyhow::Result<String> {
        let output = Command::new(program).args(arguments).current_dir(workspace::folder()).output()?;
        ensure!(output.status.success(), "{program} {}: {}", arguments.join(" "), output.status);
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let date = output("date", &["--utc", "+%Y-%m-%d"])?;
    let commit = output("git", &["rev-parse", "--short=8", "HEAD"])?;
    Ok(format!("{date}-{commit}"))
}
