//! Load on a peer that is a stand-in here: what is counted, and what ends a run.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    thread,
    time::Duration,
};

use mvt_loadgen::peer::{
    connection::ConnectionError,
    echo::Echo,
    exchange::Exchange,
    floor,
    load::{self, LoadError, Outcome, Plan},
    redis::Get,
};

fn run(server: SocketAddr, exchange: Box<dyn Exchange>, in_flight: usize) -> Result<Outcome, LoadError> {
    load::run(&Plan {
        server,
        server_pid: std::process::id(),
        exchange,
        connections: 3,
        in_flight,
        pin: None,
        warmup: Duration::from_millis(20),
        duration: Duration::from_millis(150),
    })
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

#[test]
fn the_floor_echoes_every_request_at_every_depth() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || floor::serve(listener));
    // The last is more than one write and one socket buffer hold.
    for in_flight in [1, 16, 256, 60_000] {
        let outcome = run(address, Box::new(Echo::default()), in_flight).unwrap();
        assert!(outcome.is_clean(), "{in_flight} in flight: {outcome:?}");
        assert!(outcome.server_cpu_ns > 0 && outcome.client_cpu_ns > 0);
    }
}

#[test]
fn answers_in_pieces_are_counted_once() {
    let outcome = run(stand_in(b"$4\r\nfour\r\n", 3), Box::new(Get::new("key", "four")), 8).unwrap();
    assert!(outcome.is_clean(), "{outcome:?}");
}

#[test]
fn a_wrong_value_is_not_counted_as_an_answer() {
    let outcome = run(stand_in(b"$4\r\nfive\r\n", 64), Box::new(Get::new("key", "four")), 8).unwrap();
    assert_eq!(outcome.right_in_interval, 0);
    assert!(outcome.wrong > 0 && !outcome.is_clean(), "{outcome:?}");
}

#[test]
fn bytes_that_are_no_answer_end_the_run() {
    let error = run(stand_in(b"HTTP/1.1 200 OK\r\n", 64), Box::new(Get::new("key", "four")), 1).unwrap_err();
    assert!(matches!(error, LoadError::Connection(ConnectionError::Malformed(_))), "{error}");
}

#[test]
fn an_answer_to_no_request_ends_the_run() {
    let twice = b"$4\r\nfour\r\n$4\r\nfour\r\n";
    let error = run(stand_in(twice, 64), Box::new(Get::new("key", "four")), 1).unwrap_err();
    assert!(matches!(error, LoadError::Connection(ConnectionError::Malformed(_))), "{error}");
}

#[test]
fn a_peer_that_is_not_there_is_an_error() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = run(address, Box::new(Echo::default()), 1).unwrap_err();
    assert!(matches!(error, LoadError::Unreachable(..)), "{error}");
}
