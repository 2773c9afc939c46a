//! What an idle QUIC connection costs the server, on the server as a process.

mod support;

use std::{
    thread,
    time::{Duration, Instant},
};

use mvt_proto::Suite;
use quinn::Connection;
use support::{
    PATIENCE, Server, judge,
    quic::{Host, Stream},
    seal,
};

/// Connections held at once.
const COUNT: usize = 1_000;
/// What one may cost, bytes: TLS and QUIC state, a session, a place in the shard; all its buffers empty.
const BYTES_MAX: usize = 48 * 1024;

/// Logs `count` clients in, each on a connection that is used once: a session nobody uses is forgotten, and its connection closed.
fn hold<'h>(host: &'h Host, server: &Server, count: usize) -> Vec<(Connection, Stream<'h>)> {
    let one = |_| {
        let (connection, mut stream, mut session) = host.login(server, Suite::Hs256);
        let (pending, frame) = seal(&mut session, b"");
        stream.send(&frame);
        assert_eq!(judge(&mut session, &pending, &mut stream.frame().expect("an answer")), Ok(0));
        (connection, stream)
    };
    (0..count).map(one).collect()
}

#[test]
fn a_thousand_idle_connections_cost_little() {
    let server = Server::start("listen.quic = \"127.0.0.1:0\"\nio.shards = 1\n");
    let hosts = [Host::new(), Host::new()];
    // What the first ones cost is not theirs: buffers, tables, code.
    let mut held = hold(&hosts[0], &server, 50);
    hosts[0].sleep(Duration::from_millis(500));
    let before = server.resident_bytes();
    held.extend(thread::scope(|scope| {
        let holding = hosts.each_ref().map(|host| scope.spawn(|| hold(host, &server, COUNT / 2)));
        holding
            .map(|holding| holding.join().expect("each is let in"))
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
    }));
    // They are idle when acknowledgements and path probes have gone and buffers were given back.
    let begun = Instant::now();
    let each = loop {
        let each = server.resident_bytes().saturating_sub(before) / COUNT;
        if each < BYTES_MAX || begun.elapsed() > PATIENCE {
            break each;
        }
        hosts[0].sleep(Duration::from_millis(50));
    };
    println!("{each} bytes of memory for each of {COUNT} idle connections, a session included");
    assert!(each < BYTES_MAX, "{each} bytes each");
    assert!(held.iter().all(|(connection, _)| connection.close_reason().is_none()));
}
