//! QUIC at the edges, with the peer of comparisons as the server: refused certificates, nobody there, arguments that do not
//! go together. `server/tests/loadgen_quic.rs` has the runs against our server.

mod support;

use std::{
    io::{BufRead as _, BufReader},
    net::{SocketAddr, UdpSocket},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;
use support::{Binary, stderr};

const SHORT: [&str; 6] = ["--duration", "300ms", "--warmup", "20ms", "--connections", "2"];

/// As many requests, however long a slow machine takes for them.
const COUNTED: [&str; 6] = ["--requests", "4096", "--warmup", "20ms", "--connections", "2"];
/// A generator takes a server for unreachable after some seconds; one that is there, on a machine that gives it no core, has another try.
const TRIES: usize = 5;

/// The echo of quinn, with the fingerprint of its certificate; ended when dropped.
struct Echo {
    process: Child,
    address: SocketAddr,
    certificate: String,
}

impl Echo {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mvt-loadgen"));
        let mut process =
            command.args(["floor", "--quinn"]).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let word = |name: &str| line.split_whitespace().find_map(|word| word.strip_prefix(name));
        let address = word("quic=").expect("an address").parse().expect("of a socket");
        let certificate = word("certificate=").expect("a fingerprint").to_owned();
        Self { process, address, certificate }
    }

    fn load(&self, more: &[&str]) -> Output {
        let server = self.address.to_string();
        let process = self.process.id().to_string();
        let peer = ["peer", "--protocol", "quinn", "--server", &server, "--server-pid", &process];
        let certificate = ["--server-certificate", &self.certificate];
        let load = || Binary::call(&[&peer[..], &certificate, &COUNTED, more].concat());
        let reached = |output: &Output| output.status.code() != Some(5);
        (1..TRIES).map(|_| load()).find(reached).unwrap_or_else(load)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_stream_for_each_request_is_answered_and_the_server_s_time_is_read() {
    let echo = Echo::start();
    // More than the streams quinn allows by default.
    let output = echo.load(&["--in-flight", "256", "--json", "-", "--quiet"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(report["workload"]["transport"], "quic-stream-each");
    assert_eq!(report["verified"], 4096, "{report}");
    assert_eq!((&report["unanswered"], &report["errors"]), (&0.into(), &serde_json::json!({})));
    assert!(report["server_cpu_ns_per_request"].as_f64().is_some_and(|cpu_ns| cpu_ns > 0.0));
}

#[test]
fn a_refused_certificate_exits_with_5_and_says_so() {
    let (echo, binary) = (Echo::start(), Binary::new());
    let other = "ab".repeat(32);
    for transport in ["quic-stream", "quic-datagram"] {
        let more = ["--transport", transport, "--server-certificate", &other];
        let run = || binary.run(echo.address, &[&SHORT[..], &more].concat());
        let reached = |output: &Output| !stderr(output).contains("no QUIC connection");
        let output = (1..TRIES).map(|_| run()).find(reached).unwrap_or_else(run);
        assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
        assert!(stderr(&output).contains("the certificate of 127.0.0.1:"), "{}", stderr(&output));
    }
}

#[test]
fn nobody_there_and_a_server_that_never_speaks_exit_with_5() {
    let binary = Binary::new();
    let silent = UdpSocket::bind("127.0.0.1:0").expect("bound");
    // A port that the kernel lends to nobody.
    let nobody = "127.0.0.1:1".parse().expect("an address");
    for address in [silent.local_addr().expect("bound"), nobody] {
        let output = binary.run(address, &["--transport", "quic-stream"]);
        assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
        assert!(stderr(&output).contains("no QUIC connection to 127.0.0.1:"), "{}", stderr(&output));
    }
}

#[test]
fn arguments_that_do_not_go_together_are_usage() {
    let binary = Binary::new();
    let nobody = "127.0.0.1:1".parse().expect("an address");
    let pinned = "ab".repeat(32);
    for (more, said) in [
        (&["--server-certificate", &*pinned][..], "--server-certificate is of QUIC"),
        (&["--transport", "quic-datagram", "--bad", "replay=1%"], "quic-stream and tcp lose nothing"),
        (&["--transport", "quic-stream", "--io", "uring"], "read by epoll"),
        (&["--transport", "quic-stream", "--server-certificate", "ab"], "64 hexadecimal digits"),
        (&["--transport", "quic-stream", "--server-ca", "roots.pem"], "--server-name"),
        (
            &["--transport", "quic-stream", "--server-ca", "no-such-file", "--server-name", "mvt"],
            "--server-ca: ",
        ),
        (&["--transport", "sctp"], "quic-datagram"),
    ] {
        let output = binary.run(nobody, more);
        assert_eq!(output.status.code(), Some(2), "{more:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{more:?}: {}", stderr(&output));
    }
}
