//! Load on servers of other protocols: the same loop, what is counted, and what ends a connection.

mod support;

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    thread,
    time::Duration,
};

use mvt_loadgen::{
    io::Choice,
    peer::{echo::Echo, exchange::Exchange, floor, redis},
    run::{Outcome, Plan, run},
    schedule::Schedule,
    target::Protocol,
    trouble::StartError,
};
use support::{Binary, NEVER, nobody, stderr};

fn load(
    server: SocketAddr,
    exchange: Box<dyn Exchange>,
    in_flight: usize,
    io: Choice,
) -> Result<Outcome, StartError> {
    run(&plan(server, exchange, in_flight, io), &NEVER)
}

fn plan(server: SocketAddr, exchange: Box<dyn Exchange>, in_flight: usize, io: Choice) -> Plan {
    let mut plan = support::plan(server);
    plan.target.protocol = Protocol::Peer(exchange);
    plan.workload.connections = 3;
    plan.workload.in_flight = in_flight;
    plan.schedule = Schedule::Closed { in_flight };
    plan.server_pid = Some(std::process::id());
    plan.io = io;
    plan.extent.warmup = Duration::from_millis(20);
    // Bounded by requests, so that a slow machine changes nothing but the time it takes.
    plan.extent.requests = Some(5 * in_flight as u64 + 500);
    plan.extent.duration = Duration::from_secs(60);
    plan
}

fn get() -> Box<dyn Exchange> {
    Box::new(redis::get("key", "four"))
}

/// Serves every connection with `answer` for each 22 bytes, in pieces of `piece` bytes.
fn stand_in(answer: &'static [u8], piece: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || {
                let mut request = [0; 22];
                while stream.read_exact(&mut request).is_ok() {
                    assert_eq!(&request, b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n");
                    if answer.chunks(piece).any(|piece| stream.write_all(piece).is_err()) {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn echo_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || floor::serve(listener));
    address
}

#[test]
fn the_floor_echoes_every_request_at_every_depth_by_ring_or_by_epoll() {
    let address = echo_server();
    for io in [Choice::Auto, Choice::Epoll] {
        // The last is more than one write and one socket buffer hold.
        for in_flight in [1, 16, 256, 60_000] {
            let outcome = load(address, Box::new(Echo::default()), in_flight, io).unwrap();
            assert!(outcome.is_clean(), "{in_flight} in flight: {outcome:?}");
            assert_eq!(outcome.tally.unanswered, 0);
            assert!(outcome.client_cpu_ns > 0);
        }
    }
}

#[test]
fn answers_in_pieces_are_counted_once() {
    let outcome = load(stand_in(b"$4\r\nfour\r\n", 3), get(), 8, Choice::Auto).unwrap();
    assert!(outcome.is_clean(), "{outcome:?}");
}

#[test]
fn a_wrong_value_is_not_counted_as_an_answer() {
    let mut plan = plan(stand_in(b"$4\r\nfive\r\n", 64), get(), 8, Choice::Auto);
    // Not one is ever done: it ends by time, which is to be enough for some.
    let outcome = [150, 2_000, 20_000].into_iter().find_map(|duration_ms| {
        plan.extent.duration = Duration::from_millis(duration_ms);
        Some(run(&plan, &NEVER).unwrap()).filter(|outcome| outcome.tally.failed_verifications > 0)
    });
    let outcome = outcome.expect("something was answered");
    assert_eq!(outcome.tally.verified, 0);
    assert!(outcome.tally.failed_verifications > 0 && !outcome.is_clean(), "{outcome:?}");
}

#[test]
fn bytes_that_are_no_answer_and_answers_to_no_request_end_the_connection() {
    for (answer, name) in
        [(&b"HTTP/1.1 200 OK\r\n"[..], "malformed"), (b"$4\r\nfour\r\n$4\r\nfour\r\n", "unsolicited")]
    {
        let outcome = load(stand_in(answer, 64), get(), 1, Choice::Auto).unwrap();
        assert_eq!(outcome.tally.errors(), BTreeMap::from([(name, 3)]), "{outcome:?}");
    }
}

#[test]
fn a_peer_that_is_not_there_is_an_error() {
    let (address, _port) = nobody();
    let error = load(address, Box::new(Echo::default()), 1, Choice::Auto).unwrap_err();
    assert!(matches!(error, StartError::Unreachable { .. }), "{error}");
}

#[test]
fn the_hidden_command_loads_a_peer_and_leaves_a_run_directory() {
    let binary = Binary::new();
    let folder = binary.path("echo");
    let address = echo_server().to_string();
    let fixed =
        ["peer", "--protocol", "echo", "--server", &address, "--rate", "2k", "--warmup", "50ms", "-c", "2"];
    let run = |duration| {
        Binary::call(&[&fixed[..], &["--duration", duration, "--out", folder.to_str().unwrap()]].concat())
    };
    // A machine that has no time for it does nothing in an interval that is short.
    let mut output = run("300ms");
    if output.status.code() == Some(1) {
        output = run("10s");
    }
    assert!(matches!(output.status.code(), Some(0 | 4)), "{}", stderr(&output));
    let report = std::fs::read_to_string(folder.join("report.json")).expect("written");
    assert!(report.contains("\"suite\": \"echo\""), "{report}");
    let help = Binary::call(&["--help"]);
    assert!(!String::from_utf8_lossy(&help.stdout).contains("  peer"));
}
