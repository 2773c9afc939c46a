//! What the tests share: a stand-in for the server with faults, plans against it, the binary.
#![allow(dead_code)] // each test binary uses its part

pub(crate) mod joining;
pub(crate) mod stand_in;

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Command, Output},
    sync::atomic::AtomicBool,
    time::Duration,
};

use mvt_loadgen::{
    io::Choice,
    run::{Extent, Plan},
    schedule::Schedule,
    target::{Parties, Protocol, Target},
    workload::{BadShares, Churn, Payload, Popularity, Workload},
};
use mvt_proto::{Suite, keyfile::KeyFile, keyfile::key_to_text, login::Identity, secret::Secret};

/// A run that is not told to stop.
pub(crate) static NEVER: AtomicBool = AtomicBool::new(false);

pub(crate) fn server_identity() -> Identity {
    Identity::new(Secret::new([0x51; 32]))
}

pub(crate) fn client_identity() -> Identity {
    Identity::new(Secret::new([0xc1; 32]))
}

/// 2 connections x 16 in flight for 0.3 s, without a warm-up.
pub(crate) fn plan(address: SocketAddr) -> Plan {
    let in_flight = 16;
    Plan {
        target: Target {
            address,
            carrier: mvt_loadgen::io::Carrier::Tcp,
            protocol: Protocol::Mvt(Parties {
                server_public: *server_identity().public(),
                identities: vec![client_identity()],
            }),
        },
        workload: Workload {
            connections: 2,
            sessions: 2,
            popularity: Popularity::Uniform,
            in_flight,
            threads: 1,
            payload: Payload::fixed(20),
            answers: mvt_loadgen::workload::Answers::Joint,
            suite: Suite::Gcm256,
            bad: BadShares::default(),
            churn: Churn::default(),
            seed: 1,
        },
        schedule: Schedule::Closed { in_flight },
        extent: Extent { warmup: Duration::ZERO, duration: Duration::from_millis(300), requests: None },
        pins: Vec::new(),
        server_pid: None,
        io: Choice::Auto,
        spin: false,
        doze: false,
        labels: Default::default(),
        quiet: true,
    }
}

/// The binary, with a key file that is removed with the value.
pub(crate) struct Binary {
    directory: tempfile::TempDir,
}

impl Binary {
    pub(crate) fn new() -> Self {
        let binary = Self { directory: tempfile::tempdir().expect("a temporary directory") };
        let file = KeyFile { identity: client_identity(), reset_secret: None };
        std::fs::write(binary.path("client.key"), file.to_text().as_bytes()).expect("written");
        binary
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// `run` with the arguments every run needs, then `more`.
    pub(crate) fn run(&self, address: SocketAddr, more: &[&str]) -> Output {
        self.command(address, more).output().expect("the binary runs")
    }

    /// The command of [`Self::run`].
    pub(crate) fn command(&self, address: SocketAddr, more: &[&str]) -> Command {
        let server_public = key_to_text(server_identity().public());
        let key = self.path("client.key");
        let mut arguments = vec!["run", "--key", key.to_str().expect("a path of ASCII")];
        let server = address.to_string();
        arguments.extend(["--server", &server, "--server-public-key", &server_public]);
        arguments.extend(more);
        let mut command = Command::new(env!("CARGO_BIN_EXE_mvt-loadgen"));
        command.args(arguments);
        command
    }

    /// [`Self::run`] for 300 ms, and where that came to something else than what `is_meant` tells, for longer and longer: a machine that has
    /// no time for it does nothing in an interval that is short. The last outcome.
    pub(crate) fn run_as_long_as_needed(
        &self,
        address: SocketAddr,
        more: &[&str],
        is_meant: impl Fn(&Output) -> bool,
    ) -> Output {
        let run = |duration| self.run(address, &[more, &["--duration", duration]].concat());
        let mut output = run("300ms");
        for duration in ["3s", "30s"] {
            if is_meant(&output) {
                break;
            }
            output = run(duration);
        }
        output
    }

    pub(crate) fn call(arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mvt-loadgen"));
        command.args(arguments).output().expect("the binary runs")
    }
}

/// An address at which nobody listens, for as long as what it comes with is kept: one end of a connection has its port.
pub(crate) fn nobody() -> (SocketAddr, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let stream = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
    (stream.local_addr().expect("bound"), stream)
}

/// What a failed assertion on the binary shows.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
