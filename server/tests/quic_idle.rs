//! What an idle QUIC connection costs the server, on the server as a process.

mod support;

use std::time::Duration;

use mvt_proto::Suite;
use support::{Server, judge, quic::Host, seal};

/// Connections held at once.
const COUNT: usize = 1_000;
/// What one may cost, bytes: TLS and QUIC state, a session, a place in the shard; all its buffers empty.
const BYTES_MAX: usize = 48 * 1024;

#[test]
fn a_thousand_idle_connections_cost_little() {
    let server = Server::start("listen.quic = \"127.0.0.1:0\"\nio.shards = 1\n");
    let host = Host::new();
    // What the first ones cost is not theirs: buffers, tables, code.
    let hold = |_| {
        let (connection, mut stream, mut session) = host.login(&server, Suite::Hs256);
        // Used once: a session nobody uses is forgotten, and its connection closed.
        let (pending, frame) = seal(&mut session, b"");
        stream.send(&frame);
        assert_eq!(judge(&mut session, &pending, &mut stream.frame().expect("an answer")), Ok(0));
        (connection, stream)
    };
    let mut held: Vec<_> = (0..50).map(hold).collect();
    host.sleep(Duration::from_millis(500));
    let before = server.resident_bytes();
    held.extend((0..COUNT).map(hold));
    // Acknowledgements and path probes have gone by then.
    host.sleep(Duration::from_secs(2));
    let each = server.resident_bytes().saturating_sub(before) / COUNT;
    println!("{each} bytes of memory for each of {COUNT} idle connections, a session included");
    assert!(each < BYTES_MAX, "{each} bytes each");
    assert!(held.iter().all(|(connection, _)| connection.close_reason().is_none()));
}
