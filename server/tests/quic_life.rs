//! The asynchronous client through the ends of keys, connections and servers: it resumes, it renews, and it says what it cannot
//! know (SPEC §9.3, §11, §12).

mod support;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use mvt_client::{
    Config, Error, Unknown, identity,
    quic::{Client, ServerCertificate, Standing, Way},
};
use rustix::process::Signal;
use support::{
    PATIENCE, Server, counted,
    quic::kept_address,
    relay::{Relay, Rules},
};
use tokio::runtime::{Builder, Runtime};

const WAYS: [Way; 2] = [Way::Datagrams, Way::Stream];

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn settings() -> String {
    format!("listen.quic = \"{}\"\nservice.kind = \"echo\"\n", kept_address())
}

fn address_of(server: &Server) -> SocketAddr {
    server.quic.as_ref().expect("QUIC is on").0
}

fn config(server: &Server) -> Config {
    config_at(server, address_of(server))
}

fn config_at(server: &Server, address: SocketAddr) -> Config {
    let identity = identity::load(server.path("client.key")).expect("an identity");
    let config = Config::new(address, &server.public_key, identity).expect("an address");
    config.quic(ServerCertificate::CheckedByLogin).connect_timeout(PATIENCE).request_timeout(PATIENCE)
}

async fn verified(client: &Client, payload: &[u8]) {
    let response = client.request(7, payload).await.expect("verified");
    assert_eq!((response.status, &response.payload[..]), (7, payload));
}

/// Waits for the first ticket, which follows the first answer.
async fn ticket_of(client: &Client) -> Vec<u8> {
    let patience = Instant::now() + PATIENCE;
    loop {
        if let Some(ticket) = client.export_ticket().await {
            return ticket.to_vec();
        }
        assert!(Instant::now() < patience, "no ticket");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn standing(client: &Client) -> Standing {
    client.standing().await.expect("the client lives")
}

fn counts(standing: Standing) -> (u64, u64) {
    (standing.login_count, standing.resume_count)
}

/// The server is restarted: connection and key are gone at once.
#[test]
fn a_broken_connection_is_replaced_and_the_session_resumed() {
    for way in WAYS {
        let server = Server::start(&settings());
        runtime().block_on(async {
            let client = Client::connect(config(&server), way).await.expect("logged in");
            verified(&client, b"one").await;
            ticket_of(&client).await;
            let before = standing(&client).await;
            assert_eq!(counts(before), (1, 0));
            let server = server.restart();
            // What it finds the connection gone with may have been executed; never more than that.
            let outcome = client.request(7, b"two").await;
            assert!(
                matches!(outcome, Ok(_) | Err(Error::OutcomeUnknown(Unknown::Closed))),
                "{way:?} {outcome:?}"
            );
            verified(&client, b"three").await;
            let after = standing(&client).await;
            assert_eq!(counts(after), (1, 1), "{way:?}");
            assert_ne!(after.key_id, before.key_id);
            let log = server.stop();
            assert_eq!((counted(&log, "logins"), counted(&log, "resumes")), (0, 1), "{log}");
        });
    }
}

/// A client that keeps its session across connections hears from the restarted server that the key is gone, and resumes.
#[test]
fn a_lost_key_is_told_and_the_session_resumed() {
    for way in WAYS {
        let server = Server::start(&settings());
        runtime().block_on(async {
            let config = config(&server).keep_session(true);
            let client = Client::connect(config, way).await.expect("logged in");
            verified(&client, b"one").await;
            ticket_of(&client).await;
            let server = server.restart();
            let mut told = Vec::new();
            while told.last() != Some(&Unknown::KeyLost) {
                match client.request(7, b"two").await {
                    Err(Error::OutcomeUnknown(cause)) => told.push(cause),
                    other => panic!("{way:?}: {other:?} after {told:?}"),
                }
            }
            assert!(told.len() <= 2, "at most the end of the connection before: {told:?}");
            verified(&client, b"three").await;
            assert_eq!(counts(standing(&client).await), (1, 1), "{way:?}");
            let log = server.stop();
            assert_eq!((counted(&log, "resumes"), counted(&log, "verified")), (1, 1), "{log}");
        });
    }
}

/// §12.3.3: the client was enrolled anew meanwhile, so its key is gone and no server takes its ticket.
#[test]
fn where_the_ticket_is_refused_it_logs_in() {
    for way in WAYS {
        let server = Server::start(&settings());
        runtime().block_on(async {
            let client = Client::connect(config(&server), way).await.expect("logged in");
            verified(&client, b"one").await;
            let old = ticket_of(&client).await;
            assert!(server.command(&["revoke", "tester"]).status.success());
            let key = mvt_proto::keyfile::key_to_text(server.client_keys().identity.public());
            let enrolled = server.command(&["enroll", "tester", &key]);
            assert!(enrolled.status.success(), "{}", String::from_utf8_lossy(&enrolled.stderr));
            let told = client.request(7, b"two").await;
            assert_eq!(told, Err(Error::OutcomeUnknown(Unknown::KeyLost)), "{way:?}");
            verified(&client, b"three").await;
            assert_eq!(counts(standing(&client).await), (2, 0), "{way:?}");
            assert_ne!(ticket_of(&client).await, old);
        });
        let log = server.stop();
        assert!(counted(&log, "ticket") + counted(&log, "revoked") >= 1, "the ticket was tried: {log}");
    }
}

/// Asks until it is answered, on a machine that may be too slow for the client's patience; how often.
async fn insist(client: &Client, payload: &[u8]) -> u64 {
    let patience = Instant::now() + PATIENCE;
    let mut asked = 1;
    while let Err(error) = client.request(7, payload).await {
        assert!(Instant::now() < patience, "{error:?} after {asked} requests");
        asked += 1;
    }
    asked
}

/// A server that is gone says nothing: the silence is noticed, and the next server resumes.
#[test]
fn a_silent_server_is_left_for_the_next_one() {
    // Of a request; of a connection too, half of it for each server.
    const SILENCE: Duration = Duration::from_secs(3);
    let mut first = Server::start(&settings());
    let there = kept_address();
    let (second, asked) = runtime().block_on(async {
        let patience = Instant::now() + PATIENCE;
        let client = loop {
            let config = config(&first).also_at(there).expect("an address");
            let config = config.request_timeout(SILENCE).connect_timeout(SILENCE);
            match Client::connect(config, Way::Datagrams).await {
                Ok(client) => break client,
                Err(error) => assert!(Instant::now() < patience, "{error:?}"),
            }
        };
        insist(&client, b"one").await;
        ticket_of(&client).await;
        let before = standing(&client).await;
        // Not there before: the client is the first one's.
        let second = first.twin(&format!("listen.quic = \"{there}\"\nservice.kind = \"echo\"\n"));
        first.signal(Signal::KILL);
        first.wait();
        let outcome = client.request(7, b"two").await;
        assert_eq!(outcome, Err(Error::OutcomeUnknown(Unknown::TimedOut)));
        let asked = insist(&client, b"three").await;
        let after = standing(&client).await;
        assert_eq!(after.login_count, before.login_count);
        assert!(after.resume_count > before.resume_count, "{after:?}");
        (second, asked)
    });
    let log = second.stop();
    assert!(counted(&log, "resumes") >= 1 && (1..=asked).contains(&counted(&log, "verified")), "{log}");
}

/// A ticket of an earlier run; the same face over TCP wrote it, or this one.
#[test]
fn a_later_run_begins_with_the_ticket_of_either_transport() {
    let server = Server::start(&settings());
    runtime().block_on(async {
        let identity = identity::load(server.path("client.key")).expect("an identity");
        let by_tcp = Config::new(server.address, &server.public_key, identity).expect("an address");
        let by_tcp = by_tcp.connect_timeout(PATIENCE).request_timeout(PATIENCE);
        let mut by_tcp = mvt_client::Client::connect_with(by_tcp).expect("logged in");
        assert!(by_tcp.request(7, b"x").is_ok());
        let mut ticket = by_tcp.export_ticket().expect("a ticket").to_vec();
        for way in WAYS {
            let config = config(&server).ticket(&ticket).expect("an export");
            let client = Client::connect(config, way).await.expect("resumed");
            verified(&client, b"one").await;
            assert_eq!(counts(standing(&client).await), (0, 1), "{way:?}");
            // §12.4.2: once the session is proved, its own ticket takes the old one's place.
            let patience = Instant::now() + PATIENCE;
            let next = loop {
                match client.export_ticket().await {
                    Some(next) if *next != ticket => break next.to_vec(),
                    _ => verified(&client, b"ticket").await,
                }
                assert!(Instant::now() < patience, "no ticket of its own");
            };
            ticket = next;
        }
    });
}

/// Asks without a pause until the session was renewed `renewals` times; how many were asked.
async fn renewed(client: &Client, renewals: u16, at_once: usize) -> u64 {
    let patience = Instant::now() + Duration::from_secs(100);
    let mut asked = 0;
    while standing(client).await.generation < renewals {
        assert!(Instant::now() < patience, "{:?} after {asked} requests", client.standing().await);
        let round: Vec<_> = (0..at_once)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { client.request(7, b"on and on").await })
            })
            .collect();
        for answer in round {
            let answer = answer.await.expect("no panic");
            assert!(
                matches!(&answer, Ok(_) | Err(Error::OutcomeUnknown(Unknown::Replayed))),
                "request of round {asked}: {answer:?}"
            );
            asked += 1;
        }
    }
    asked
}

/// §11: the server offers at the soft limit, far from the hard one, and the client follows without a request that fails.
#[test]
fn the_key_is_renewed_at_its_soft_limit_and_no_request_fails() {
    let limits = "limits.renew_after_requests = 300\nlimits.reject_after_requests = 1000000\n";
    for way in WAYS {
        let server = Server::start(&format!("{}{limits}", settings()));
        let asked = runtime().block_on(async {
            let client = Client::connect(config(&server), way).await.expect("logged in");
            let asked = renewed(&client, 3, 50).await;
            assert_eq!(counts(standing(&client).await), (1, 0), "{way:?}: renewed, not replaced");
            asked
        });
        let log = server.stop();
        assert_eq!(counted(&log, "verified"), asked, "each exactly once: {log}");
        assert_eq!((counted(&log, "logins"), counted(&log, "bad_tag")), (1, 0), "{log}");
    }
}

/// The same where OFFERs, SHAREs, first requests of a generation and tickets get lost. A session resumed without a key agreement
/// renews with one at once (§11.2.4).
#[test]
fn renewals_survive_loss() {
    let limits = "limits.renew_after_requests = 200\nlimits.reject_after_requests = 1000000\n";
    let server = Server::start(&format!("{}{limits}tickets.psk_alone = true\n", settings()));
    let relay = Relay::to(address_of(&server), Rules::default(), u64::from(std::process::id()));
    let asked = runtime().block_on(async {
        let client = Client::connect(config(&server), Way::Datagrams).await.expect("logged in");
        verified(&client, b"one").await;
        let ticket = ticket_of(&client).await;
        drop(client);
        let config = config_at(&server, relay.address).request_timeout(Duration::from_secs(60));
        let config = config.ticket(&ticket).expect("an export").resume_without_agreement();
        let client = Client::connect(config, Way::Datagrams).await.expect("resumed");
        relay.change(|now| *now = Rules { lost: 20, doubled: 10, late: 10, ..Rules::default() });
        let asked = renewed(&client, 3, 50).await;
        assert_eq!(counts(standing(&client).await), (0, 1), "renewed, not replaced");
        // Lost on the way, perhaps, and sent again by its stream.
        assert_ne!(ticket_of(&client).await, ticket);
        asked
    });
    let log = server.stop();
    assert_eq!(counted(&log, "verified"), 1 + asked, "each exactly once: {log}");
    assert_eq!((counted(&log, "logins"), counted(&log, "resumes")), (1, 1), "{log}");
    // The third was taken by the client, perhaps not used yet.
    assert!(counted(&log, "shares") >= 1 && counted(&log, "renewals") >= 2, "{log}");
}
