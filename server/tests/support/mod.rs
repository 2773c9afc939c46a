//! A real server process on a loopback port, and a client that can also misbehave.
#![allow(dead_code)] // each test binary uses its part

pub mod resuming;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use mvt_proto::{
    Header, Reject, Role, Suite,
    framer::{self, Cut},
    keyfile::{self, KeyFile},
    login::{Initiator, Offer},
    secret::Secret,
    session::{Answer, ClientSession, Pending},
};
use tempfile::TempDir;

pub mod forged;
pub mod initial;
pub mod quic;
pub mod relay;
pub mod stopwatch;
pub mod stranger;

/// How long a test waits for what must come: as long as a busy machine may take, for nobody waits that long where it does come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `is_so`.
pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    loop {
        // Before the look: who had no core between the two looks once more.
        let is_late = begun.elapsed() > PATIENCE;
        if is_so() {
            return;
        }
        assert!(!is_late, "not {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn mvt_server(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mvt-server"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the server's binary starts")
}

/// A server process with one enrolled client, stopped when dropped.
pub struct Server {
    folder: TempDir,
    process: Child,
    pub address: SocketAddr,
    pub public_key: [u8; 32],
    pub backend: String,
    /// Where QUIC listens, if it does, and the fingerprint of its certificate.
    pub quic: Option<(SocketAddr, String)>,
}

impl Server {
    /// Starts with this configuration beside `listen.tcp` on a free port.
    pub fn start(config: &str) -> Self {
        Self::start_with(config, spawn)
    }

    /// The same, with this many open files at most.
    pub fn start_with_open_files(config: &str, count: u32) -> Self {
        Self::start_with(config, |path| {
            let limited = format!("ulimit -n {count}; exec \"$0\" \"$@\"");
            let mut shell = Command::new("sh");
            shell.args(["-c", &limited, env!("CARGO_BIN_EXE_mvt-server")]);
            spawn_by(shell, path)
        })
    }

    /// The same, with `program` and its arguments before the server's command line; the process is still the server's.
    pub fn start_under(config: &str, program: &[&str]) -> Self {
        Self::start_with(config, |path| {
            let mut command = Command::new(program[0]);
            command.args(&program[1..]).arg(env!("CARGO_BIN_EXE_mvt-server"));
            spawn_by(command, path)
        })
    }

    /// Another node with the keys of this one and of its client, in a folder of its own.
    pub fn start_beside(&self, config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        for file in ["server.key", "client.key", "seal.key"] {
            fs::copy(self.path(file), path.join(file)).expect("copied");
        }
        fs::write(path.join("mvt.toml"), format!("listen.tcp = \"127.0.0.1:0\"\n{config}")).expect("written");
        let (process, line) = spawn(path);
        let (address, backend) = read_ready(&line, path);
        let quic = read_quic(&line);
        Self { address, public_key: self.public_key, backend, quic, process, folder }
    }

    /// Whether it has not ended yet.
    pub fn is_running(&self) -> bool {
        use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
        // It stays to be waited for.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        waitid(WaitId::Pid(Pid::from_child(&self.process)), options).expect("a child of ours").is_none()
    }

    /// Waits for its end; its exit status.
    pub fn wait(&mut self) -> Option<i32> {
        self.process.wait().expect("ended").code()
    }

    fn start_with(config: &str, spawn: impl Fn(&Path) -> (Child, String)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        let made = mvt_server(path, &["keygen", "server.key"]);
        let text = String::from_utf8(made.stdout).expect("text");
        let public_key = keyfile::key_from_text(text.trim()).expect("keygen prints the public key");
        let client = mvt_server(path, &["keygen", "--client", "client.key"]);
        let client = String::from_utf8(client.stdout).expect("text");
        assert!(mvt_server(path, &["enroll", "tester", client.trim()]).status.success());
        fs::write(path.join("mvt.toml"), format!("listen.tcp = \"127.0.0.1:0\"\n{config}")).expect("written");

        let (process, line) = spawn(path);
        let (address, backend) = read_ready(&line, path);
        let quic = read_quic(&line);
        Self { address, public_key, backend, quic, process, folder }
    }

    /// Another server of the same name: same key file, same ring of ticket keys, same clients in a store of its own.
    pub fn twin(&self, config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        for name in ["server.key", "client.key"] {
            fs::copy(self.path(name), path.join(name)).expect("copied");
        }
        let client = keyfile::key_to_text(self.client_keys().identity.public());
        assert!(mvt_server(path, &["enroll", "tester", &client]).status.success());
        let ring = self.path("tickets.ring");
        let text = format!(
            "listen.tcp = \"127.0.0.1:0\"\nidentity.node_slot = 2\ntickets.ring_file = {ring:?}\n{config}"
        );
        fs::write(path.join("mvt.toml"), text).expect("written");
        let (process, line) = spawn(path);
        let (address, backend) = read_ready(&line, path);
        let quic = read_quic(&line);
        Self { address, public_key: self.public_key, backend, quic, process, folder }
    }

    /// Gives a command to the running server.
    pub fn command(&self, arguments: &[&str]) -> Output {
        mvt_server(self.folder.path(), &[arguments, &["--config", "mvt.toml"]].concat())
    }

    /// Kills the process and starts another on the same files: same keys, no memory.
    pub fn restart(mut self) -> Self {
        self.process.kill().expect("killed");
        self.process.wait().expect("ended");
        // The port it had may be lent to somebody for a moment: tests run beside each other.
        let mut started = spawn(self.folder.path());
        for _ in 0..50 {
            if started.1.contains("tcp=") {
                break;
            }
            started.0.wait().expect("ended");
            std::thread::sleep(Duration::from_millis(100));
            started = spawn(self.folder.path());
        }
        let (process, line) = started;
        let (address, backend) = read_ready(&line, self.folder.path());
        self.process = process;
        self.address = address;
        self.backend = backend;
        self.quic = read_quic(&line);
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its process.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// File descriptors its process has open.
    pub fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.id())).expect("a process").count()
    }

    /// Waits until it has nothing to do any more: none of its threads runs, or waits for a core, at some looks in a row.
    pub fn settle(&self) {
        let tasks = format!("/proc/{}/task", self.process.id());
        // Behind the name, which may hold anything in parentheses.
        let is_awake = |stat: String| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('R'));
        let (begun, mut asleep) = (Instant::now(), 0);
        while asleep < 10 && begun.elapsed() < PATIENCE {
            let tasks = fs::read_dir(&tasks).expect("a process").flatten();
            let mut stats = tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
            asleep = if stats.any(is_awake) { 0 } else { asleep + 1 };
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Time its threads have spent on a core, ns.
    pub fn cpu_ns(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.id())).expect("a process");
        let time = |path: PathBuf| -> Option<u64> {
            fs::read_to_string(path.join("schedstat")).ok()?.split_whitespace().next()?.parse().ok()
        };
        tasks.filter_map(|task| time(task.ok()?.path())).sum()
    }

    /// Its resident memory, bytes.
    pub fn resident_bytes(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
        line.split_whitespace().next().and_then(|word| word.parse::<usize>().ok()).expect("a number") * 1024
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(id, signal).expect("signalled");
    }

    /// Kills it, and comes back when it has let go of all it had: locks, files, and connections, which the kernel takes a while to close
    /// after the process has ended where they were a ring's.
    pub fn kill(&self) {
        self.signal(rustix::process::Signal::KILL);
        wait_for("ended", || !self.is_running());
        let begun = Instant::now();
        // The port may be somebody else's by then.
        while has_open_sockets(self.address.port()) && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(2));
        }
        // What was sent to its peers last may still be on its way.
        std::thread::sleep(Duration::from_millis(50));
    }

    pub fn client_keys(&self) -> KeyFile {
        KeyFile::parse(&fs::read_to_string(self.path("client.key")).expect("made")).expect("a key file")
    }

    pub fn connect(&self) -> Wire {
        Wire::connect(self.address)
    }

    /// Logs in on a new connection.
    pub fn login(&self, suite: Suite) -> (Wire, ClientSession) {
        let mut wire = self.connect();
        let session = self.login_on(&mut wire, suite);
        (wire, session)
    }

    pub fn login_on(&self, wire: &mut Wire, suite: Suite) -> ClientSession {
        let (initiator, hello) = self.hello(&self.client_keys(), suite);
        wire.send(&hello);
        let frame = wire.frame().expect("a HELLO_R");
        initiator.finish(&frame, mvt_sys::clock::boottime_ms()).expect("an honest HELLO_R")
    }

    pub fn hello(&self, keys: &KeyFile, suite: Suite) -> (Initiator, [u8; 512]) {
        self.hello_with(keys, suite, None)
    }

    pub fn hello_with(
        &self,
        keys: &KeyFile,
        suite: Suite,
        cookie: Option<&[u8; 16]>,
    ) -> (Initiator, [u8; 512]) {
        self.hello_bound(keys, suite, cookie, &[])
    }

    pub fn hello_bound(
        &self,
        keys: &KeyFile,
        suite: Suite,
        cookie: Option<&[u8; 16]>,
        channel_binding: &[u8],
    ) -> (Initiator, [u8; 512]) {
        let offer =
            Offer { server_public: &self.public_key, suites: &[suite], login_id: 7, cookie, channel_binding };
        Initiator::start(&keys.identity, &offer, random()).expect("a good server key")
    }

    /// Asks the server to stop and gives its log, which ends with what it counted.
    pub fn stop(mut self) -> String {
        self.signal(rustix::process::Signal::TERM);
        assert!(self.process.wait().expect("ended").success(), "the server stops without an error");
        fs::read_to_string(self.path("log")).expect("a log")
    }
}

/// Whether a TCP socket of this port listens, or has a peer that was not told of its end.
fn has_open_sockets(port: u16) -> bool {
    // ESTABLISHED, SYN_RECV, FIN_WAIT1, LISTEN, CLOSING. Of the thread: some tests have a network of their own.
    const OPEN: [&str; 5] = ["01", "03", "04", "0A", "0B"];
    let table = fs::read_to_string("/proc/thread-self/net/tcp").expect("a table");
    let local = format!(":{port:04X}");
    table.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.len() > 3 && words[1].ends_with(&local) && OPEN.contains(&words[3])
    })
}

fn spawn(path: &Path) -> (Child, String) {
    spawn_by(Command::new(env!("CARGO_BIN_EXE_mvt-server")), path)
}

fn spawn_by(mut command: Command, path: &Path) -> (Child, String) {
    let mut process = command
        .args(["run", "--config", "mvt.toml"])
        .current_dir(path)
        .stdout(Stdio::piped())
        .stderr(fs::File::create(path.join("log")).expect("a log"))
        .spawn()
        .expect("the server starts");
    let mut line = String::new();
    let stdout = process.stdout.take().expect("piped");
    BufReader::new(stdout).read_line(&mut line).expect("the ready line");
    (process, line)
}

fn read_ready(line: &str, path: &Path) -> (SocketAddr, String) {
    let word = |name: &str| {
        let found = line.split_whitespace().find_map(|word| word.strip_prefix(name));
        found.unwrap_or_else(|| panic!("no {name} in {line:?}: {:?}", fs::read_to_string(path.join("log"))))
    };
    (word("tcp=").parse().expect("an address"), word("backend=").to_owned())
}

fn read_quic(line: &str) -> Option<(SocketAddr, String)> {
    let word = |name: &str| line.split_whitespace().find_map(|word| word.strip_prefix(name));
    let fingerprint = word("certificate=sha256:")?.to_owned();
    Some((word("quic=")?.parse().expect("an address"), fingerprint))
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn random() -> Secret {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("randomness");
    Secret::new(bytes)
}

/// A connection of raw frames.
pub struct Wire {
    pub stream: TcpStream,
    /// What was received, `taken` bytes of which were given to the caller.
    received: Vec<u8>,
    taken: usize,
    /// CTL frames that came between the others.
    pub controls: Vec<Vec<u8>>,
}

impl Wire {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream.set_nodelay(true).expect("set");
        Self { stream, received: Vec::new(), taken: 0, controls: Vec::new() }
    }

    /// From an address of its own.
    pub fn connect_from(source: Ipv4Addr, address: SocketAddr) -> Self {
        use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        bind(&socket, &SocketAddr::from((source, 0))).expect("an address of this host");
        connect(&socket, &address).expect("connected");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream.set_nodelay(true).expect("set");
        Self { stream, received: Vec::new(), taken: 0, controls: Vec::new() }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("sent");
    }

    /// The next frame that is no CTL; `None` when the server has closed.
    pub fn frame(&mut self) -> Option<Vec<u8>> {
        loop {
            let frame = self.any_frame()?;
            if frame[2] & 0x0f != mvt_proto::Kind::Ctl as u8 {
                return Some(frame);
            }
            self.controls.push(frame);
        }
    }

    /// The next frame; `None` when the server has closed.
    pub fn any_frame(&mut self) -> Option<Vec<u8>> {
        loop {
            let rest = &self.received[self.taken..];
            if let Cut::Frame(length) = framer::cut(rest, Role::Client).expect("well formed") {
                self.taken += length;
                return Some(rest[..length].to_vec());
            }
            self.received.drain(..std::mem::take(&mut self.taken));
            let mut buffer = [0; 65536];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(length) => self.received.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                // The process was stopped for a while.
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => panic!("no frame: {error}"),
            }
        }
    }

    /// Asserts that the server closes without another byte.
    pub fn expect_close(&mut self) {
        assert_eq!(self.frame().map(|frame| frame.len()), None, "the server says nothing and closes");
    }

    /// Sends one request.
    pub fn request(&mut self, session: &mut ClientSession, payload: &[u8]) -> (Pending, Vec<u8>) {
        let (pending, frame) = seal(session, payload);
        self.send(&frame);
        (pending, frame)
    }

    /// The verified answer to `pending`: the status, or the name of the refusal.
    pub fn answer(&mut self, session: &mut ClientSession, pending: &Pending) -> Result<u16, String> {
        let mut frame = self.frame().expect("an answer");
        judge(session, pending, &mut frame)
    }
}

pub fn seal(session: &mut ClientSession, payload: &[u8]) -> (Pending, Vec<u8>) {
    let mut frame = Vec::new();
    let now_ms = mvt_sys::clock::boottime_ms();
    let pending = session.seal_request(5, payload, now_ms, &mut frame).expect("sealable");
    (pending, frame)
}

/// What `frame` says about `pending`.
pub fn judge(session: &mut ClientSession, pending: &Pending, frame: &mut [u8]) -> Result<u16, String> {
    let header = Header::parse(frame, Role::Client).expect("well formed");
    match session.open_answer(pending, &header, frame, mvt_sys::clock::boottime_ms()) {
        Ok(Answer::Response { status, .. }) => Ok(status),
        Ok(Answer::Refused(reason)) => Err(format!("{reason:?}")),
        Ok(Answer::Lost) => Err("Lost".into()),
        Ok(Answer::Ended) => Err("Ended".into()),
        Err(Reject::BadTag) => Err("BadTag".into()),
        Err(reject) => Err(format!("not an answer: {reject:?}")),
    }
}

/// What the server counted as `name`, over all shards, by the log it ended with.
pub fn counted(log: &str, name: &str) -> u64 {
    let words = log.split(|c: char| c.is_whitespace() || c == '"');
    words.filter_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse::<u64>().ok()).sum()
}
