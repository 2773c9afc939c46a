//! The SDK over QUIC against the server as a process, on networks that lose, repeat and delay packets.

mod support;

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use mvt_client::{
    Client as Blocking, Config, Error, Unknown, identity,
    quic::{Client, ServerCertificate, Way},
};
use support::{
    PATIENCE, Server, counted,
    relay::{Relay, Rules},
};
use tokio::runtime::{Builder, Runtime};

const CONFIG: &str = "listen.quic = \"127.0.0.1:0\"\nservice.kind = \"echo\"\n";

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn config(server: &Server, address: SocketAddr, certificate: ServerCertificate) -> Config {
    let identity = identity::load(server.path("client.key")).expect("an identity");
    let config = Config::new(address, &server.public_key, identity).expect("an address");
    config.quic(certificate).connect_timeout(PATIENCE).request_timeout(PATIENCE)
}

fn address_of(server: &Server) -> SocketAddr {
    server.quic.as_ref().expect("QUIC is on").0
}

/// How many of `count` requests were answered, and how many have an unknown outcome because an earlier copy stands.
async fn ask(client: &Client, count: u32, at_once: u32) -> (u32, u32) {
    let next = Arc::new(AtomicU32::new(0));
    let asking: Vec<_> = (0..at_once)
        .map(|_| {
            let (client, next) = (client.clone(), next.clone());
            tokio::spawn(async move {
                let (mut answered, mut stands) = (0, 0);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return (answered, stands);
                    }
                    match client.request(9, &number.to_be_bytes()).await {
                        Ok(response) => {
                            assert_eq!(
                                (response.status, &response.payload[..]),
                                (9, &number.to_be_bytes()[..])
                            );
                            answered += 1;
                        }
                        Err(Error::OutcomeUnknown(Unknown::Replayed)) => stands += 1,
                        Err(error) => panic!("request {number}: {error}"),
                    }
                }
            })
        })
        .collect();
    let mut sum = (0, 0);
    for asked in asking {
        let (answered, stands) = asked.await.expect("no panic");
        sum = (sum.0 + answered, sum.1 + stands);
    }
    sum
}

#[test]
fn the_blocking_client_works_over_a_stream() {
    let server = Server::start(CONFIG);
    let pinned = ServerCertificate::pinned(&server.quic.as_ref().expect("on").1).expect("a fingerprint");
    for certificate in [ServerCertificate::CheckedByLogin, pinned] {
        let mut client =
            Blocking::connect_with(config(&server, address_of(&server), certificate)).expect("logged in");
        for number in 0..100u16 {
            assert_eq!(client.request(number, b"blocking").expect("verified").status, number);
        }
        let requests = vec![mvt_client::Request { op: 3, payload: &[7; 3000] }; 100];
        assert!(
            client
                .pipeline(&requests)
                .iter()
                .all(|result| result.as_ref().is_ok_and(|r| r.payload == [7; 3000]))
        );
    }
}

#[test]
fn another_certificate_than_the_pinned_one_is_refused() {
    let server = Server::start(CONFIG);
    let wrong = ServerCertificate::Pinned([7; 32]);
    let refused = Blocking::connect_with(config(&server, address_of(&server), wrong));
    assert!(matches!(refused, Err(Error::Connect(_))), "{:?}", refused.err());
    // Issued by the one root there is, which is the certificate itself; under another name it is refused.
    for (name, is_good) in [("mvt", true), ("example.org", false)] {
        let issued = ServerCertificate::IssuedBy { roots_file: server.path("quic.crt"), name: name.into() };
        let connected = Blocking::connect_with(config(&server, address_of(&server), issued));
        assert_eq!(connected.is_ok(), is_good, "{name}: {:?}", connected.err());
    }
}

#[test]
fn many_requests_at_once_travel_in_datagrams_or_by_a_stream() {
    for backend in ["uring", "epoll"] {
        let server = Server::start(&format!("{CONFIG}io.backend = \"{backend}\"\n"));
        for way in [Way::Datagrams, Way::Stream] {
            let done = runtime().block_on(async {
                let config = config(&server, address_of(&server), ServerCertificate::CheckedByLogin);
                let client = Client::connect(config, way).await.expect("logged in");
                // Larger than any datagram: goes by the stream, and its answer too.
                let large = client.request(1, &[5; 7000]).await.expect("verified");
                assert_eq!(large.payload, [5; 7000]);
                // As much at once as the connection keeps, over and over: the largest transmissions there are.
                for _ in 0..8 {
                    let asking: Vec<_> = (0..24).map(|_| client.clone()).collect();
                    let asking = asking.into_iter().map(|client| {
                        tokio::spawn(async move { client.request(1, &[6; 10_000]).await.map(drop) })
                    });
                    for asked in asking.collect::<Vec<_>>() {
                        asked.await.expect("no panic").expect("verified");
                    }
                }
                ask(&client, 2000, 200).await
            });
            assert_eq!(done, (2000, 0), "{backend} {way:?}");
        }
        // Not even the probes: loopback takes the largest.
        let log = server.stop();
        assert_eq!((counted(&log, "quic_too_large"), counted(&log, "quic_unsent")), (0, 0), "{log}");
    }
}

/// SPEC §11.2.6, §11.3.1.
#[test]
fn keys_are_replaced_before_their_limit() {
    let limits = "limits.renew_after_requests = 500\nlimits.reject_after_requests = 1000\n";
    for way in [Way::Datagrams, Way::Stream] {
        let server = Server::start(&format!("{CONFIG}{limits}"));
        let done = runtime().block_on(async {
            let config = config(&server, address_of(&server), ServerCertificate::CheckedByLogin);
            let client = Client::connect(config, way).await.expect("logged in");
            ask(&client, 3000, 100).await
        });
        assert_eq!(done, (3000, 0), "{way:?}");
        let log = server.stop();
        // No generation is offered while the one before drains: then a login replaces the session.
        let (renewals, logins) = (counted(&log, "renewals"), counted(&log, "logins"));
        assert!(renewals >= 1 && renewals + logins >= 4, "{way:?} {log}");
    }
}

/// Another one each time; a failure prints it.
fn seed() -> u64 {
    u64::from(std::process::id()) << 8 | 5
}

/// `count` requests over a network with these rules: each is executed exactly once, and the client knows of each. Where packets come late
/// and none is lost, each is answered; but of one whose copy was answered first the client waits some 20 ms only for what is late (SPEC
/// §17.2.7), and a thread of this network may have no core for longer just then: such a run is tried again.
fn all_complete_once(rules: Rules, way: Way, count: u32, seed: u64) {
    const TRIES: u64 = 4;
    let tries = if way == Way::Datagrams && rules.lost == 0 { TRIES } else { 1 };
    let mut unanswered = (0..tries).map(|number| unanswered(rules, way, count, seed + number));
    let may_be_lost = way == Way::Datagrams && rules.lost > 0;
    assert!(
        unanswered.any(|count| count == 0 || may_be_lost),
        "nothing is lost for good: seed {seed}, {rules:?}, {way:?}"
    );
}

/// The same once; how many were executed with their answer lost.
fn unanswered(rules: Rules, way: Way, count: u32, seed: u64) -> u32 {
    let server = Server::start(CONFIG);
    let relay = Relay::to(address_of(&server), Rules::default(), seed);
    let (answered, stands) = runtime().block_on(async {
        let config = config(&server, relay.address, ServerCertificate::CheckedByLogin);
        let config = config.request_timeout(Duration::from_secs(60));
        let client = Client::connect(config, way).await.expect("logged in");
        relay.change(|now| *now = rules);
        ask(&client, count, 512).await
    });
    assert_eq!(answered + stands, count, "every request ends: seed {seed}, {rules:?}, {way:?}");
    let log = server.stop();
    assert_eq!(
        counted(&log, "verified"),
        u64::from(count),
        "each exactly once: seed {seed}, {rules:?}, {way:?}\n{log}"
    );
    println!("{rules:?} {way:?}: {answered} answered, {stands} executed with their answer lost");
    stands
}

/// SPEC §17.2.7.
#[test]
fn every_request_completes_once_whatever_the_network_does() {
    let seed = seed();
    let lossy = Rules { lost: 30, ..Rules::default() };
    let odd = Rules { doubled: 20, late: 30, ..Rules::default() };
    let all = Rules { lost: 10, ..odd };
    all_complete_once(lossy, Way::Datagrams, 2_000, seed);
    all_complete_once(lossy, Way::Stream, 500, seed);
    all_complete_once(odd, Way::Datagrams, 3_000, seed);
    all_complete_once(odd, Way::Stream, 3_000, seed);
    all_complete_once(all, Way::Datagrams, 3_000, seed);
    all_complete_once(all, Way::Stream, 1_000, seed);
}

/// The full size of the test before: `cargo nextest run -p mvt-server --run-ignored only hundred_thousand`.
#[test]
#[ignore = "takes minutes"]
fn a_hundred_thousand_requests_complete_once_at_30_percent_loss() {
    all_complete_once(Rules { lost: 30, ..Rules::default() }, Way::Datagrams, 100_000, seed());
}

#[test]
#[ignore = "takes minutes"]
fn a_hundred_thousand_requests_by_stream_complete_once_at_30_percent_loss() {
    all_complete_once(Rules { lost: 30, ..Rules::default() }, Way::Stream, 100_000, seed());
}

#[test]
#[ignore = "takes minutes"]
fn a_hundred_thousand_requests_complete_once_with_loss_copies_and_delay() {
    let odd = Rules { lost: 10, doubled: 20, late: 30, ..Rules::default() };
    all_complete_once(odd, Way::Datagrams, 100_000, seed());
    all_complete_once(odd, Way::Stream, 100_000, seed());
}

#[test]
fn a_path_that_swallows_large_packets_is_survived() {
    let server = Server::start(CONFIG);
    let relay = Relay::to(address_of(&server), Rules::default(), 3);
    let done = runtime().block_on(async {
        let config = config(&server, relay.address, ServerCertificate::CheckedByLogin);
        let config = config.request_timeout(Duration::from_secs(40));
        let client = Client::connect(config, Way::Datagrams).await.expect("logged in");
        let before = ask(&client, 500, 100).await;
        // Larger paths were found by now: they end, without a word.
        relay.change(|rules| rules.bytes_max = 1300);
        let after = ask(&client, 500, 100).await;
        (before.0, after.0 + after.1)
    });
    assert_eq!(done, (500, 500));
}

/// SPEC §17.2.8.
#[test]
fn a_client_that_moves_keeps_its_session() {
    for (backend, shards) in [("uring", 1), ("uring", 4), ("epoll", 2)] {
        let server = Server::start(&format!("{CONFIG}io.backend = \"{backend}\"\nio.shards = {shards}\n"));
        let relay = Relay::to(address_of(&server), Rules::default(), 9);
        let started = Instant::now();
        let say = |text: &str| {
            println!("{backend} x {shards} {:>7.1} ms  {text}", started.elapsed().as_secs_f64() * 1e3)
        };
        runtime().block_on(async {
            let config = config(&server, relay.address, ServerCertificate::CheckedByLogin);
            let client = Client::connect(config, Way::Datagrams).await.expect("logged in");
            say(&format!("logged in; {:?} of 200 requests answered", ask(&client, 200, 50).await));
            for number in 1..=3 {
                relay.change(|rules| rules.moves = number);
                say(&format!("a router gave the client another address (move {number})"));
                // No packet is lost by these moves, so no answer is.
                assert_eq!(ask(&client, 200, 50).await, (200, 0), "{backend} x {shards}, move {number}");
                say("200 answered");
            }
            let moved =
                client.migrate(UdpSocket::bind("127.0.0.1:0").expect("bound")).await.expect("migrated");
            assert_ne!(moved.from, moved.to);
            say(&format!("the client took another socket: {moved:?}"));
            assert_eq!(ask(&client, 200, 50).await, (200, 0), "{backend} x {shards}, its own move");
            say("200 answered");
        });
        let log = server.stop();
        assert_eq!(counted(&log, "logins"), 1, "one session all along: {log}");
        assert_eq!(counted(&log, "quic_opened"), 1, "one connection all along: {log}");
        assert_eq!(counted(&log, "verified"), 1000, "{log}");
    }
}
