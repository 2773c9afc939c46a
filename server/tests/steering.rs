//! Connections and the shards they reach: with steering the owner's, without it any, and the verdicts are the same.

mod support;

use mvt_client::{Client, Config, identity};
use mvt_proto::{
    Suite,
    header::shard_of,
    session::ClientSession,
    steering::{ports_of_shard_byte, shard_byte_of_port},
};
use support::{PATIENCE, Server, Wire, counted};

/// Connections made in each case.
const RECONNECTIONS: u64 = 40;

fn each_server(test: impl Fn(&Server, usize)) -> Vec<(usize, String)> {
    let mut logs = Vec::new();
    for backend in ["uring", "epoll"] {
        for shards in [1, 2, 4] {
            let server = Server::start(&format!("io.backend = \"{backend}\"\nio.shards = {shards}\n"));
            test(&server, shards);
            logs.push((shards, server.stop()));
        }
    }
    logs
}

fn client(server: &Server) -> Client {
    let identity = identity::load(server.path("client.key")).expect("an identity");
    let config = Config::new(server.address, &server.public_key, identity).expect("resolved");
    let config = config.connect_timeout(PATIENCE).request_timeout(PATIENCE);
    Client::connect_with(config.keep_session(true)).expect("logged in")
}

/// §17.1.1, §17.1.2.
#[test]
fn a_client_that_reconnects_with_a_live_key_reaches_the_shard_that_owns_it() {
    let logs = each_server(|server, _| {
        for _ in 0..RECONNECTIONS / 5 {
            let mut client = client(server);
            for number in 0..6 {
                assert!(client.request(number, b"").is_ok());
                client.disconnect();
            }
            assert_eq!(client.login_count(), 1, "the session is kept");
        }
    });
    for (shards, log) in logs {
        assert_eq!(counted(&log, "verified"), RECONNECTIONS / 5 * 6, "{log}");
        assert_eq!(counted(&log, "forwarded"), 0, "{shards} shards: {log}");
    }
}

fn request_on(wire: &mut Wire, session: &mut ClientSession) {
    let (pending, _) = wire.request(session, b"");
    assert_eq!(wire.answer(session, &pending), Ok(0));
}

/// §17.1.2: a port that leads elsewhere costs a hand-over and changes nothing else.
#[test]
fn a_client_that_does_not_steer_is_served_alike_and_its_frames_are_forwarded() {
    let logs = each_server(|server, shards| {
        let (_wire, mut session) = server.login(Suite::Hs256);
        let owner = usize::from(shard_of(session.key_id()));
        let mut elsewhere = 0;
        for _ in 0..RECONNECTIONS {
            let mut wire = server.connect();
            let port = wire.stream.local_addr().expect("bound").port();
            elsewhere += u64::from(usize::from(shard_byte_of_port(port)) % shards != owner);
            request_on(&mut wire, &mut session);
        }
        // Ports of one parity come first, and still reach every shard.
        assert_eq!(elsewhere > 0, shards > 1, "{elsewhere} of {RECONNECTIONS} reach another of {shards}");
    });
    for (shards, log) in logs {
        assert_eq!(counted(&log, "verified"), RECONNECTIONS, "{log}");
        assert_eq!(counted(&log, "forward_dropped"), 0, "{log}");
        let forwarded = counted(&log, "forwarded");
        eprintln!("{shards} shards, not steered: {forwarded} of {RECONNECTIONS} forwarded");
        assert_eq!(forwarded > 0, shards > 1, "{shards} shards, {forwarded} forwarded");
    }
}

/// §17.1.1: the key ids that logins give tell which shard a connection was handed to.
#[test]
fn the_port_of_a_login_tells_the_shard_of_its_key() {
    each_server(|server, shards| {
        for _ in 0..20 {
            let (wire, session) = server.login(Suite::Hs256);
            let port = wire.stream.local_addr().expect("bound").port();
            let expected = usize::from(shard_byte_of_port(port)) % shards;
            assert_eq!(usize::from(shard_of(session.key_id())), expected, "port {port}, {shards} shards");
        }
    });
}

/// Every port of the shard may be taken by others: then any port will do.
#[test]
fn a_client_whose_ports_are_taken_connects_from_another() {
    // Beside the shards of the other tests, whose ports are to stay theirs.
    const OTHERS: u8 = 4;
    let server = Server::start("io.shards = 16\n");
    let mut clients = std::iter::repeat_with(|| client(&server));
    let mut client = clients.find(|client| shard_of(client.key_id()) >= OTHERS).expect("three of four");
    assert!(client.request(1, b"").is_ok());
    // Bound without SO_REUSEADDR, a port is nobody else's.
    let taken: Vec<_> = ports_of_shard_byte(shard_of(client.key_id()), 0)
        .filter_map(|port| std::net::TcpListener::bind(("0.0.0.0", port)).ok())
        .collect();
    assert!(taken.len() > 200, "{} ports are to be had", taken.len());
    client.disconnect();
    assert!(client.request(2, b"").is_ok());
    assert_eq!(client.login_count(), 1);
}
