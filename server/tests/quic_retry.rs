//! Proofs of an address by a Retry token, on servers as processes: CASES Q-02.

mod support;

use std::time::{Duration, Instant};

use quinn::{ConnectionError, TransportConfig};
use support::{
    PATIENCE, Server, counted,
    initial::initial_with,
    quic::{Host, client_config, tls_config},
    relay::{Relay, Rules},
    stranger::{Stranger, good_parameters, is_retry, load},
};

const CONFIG: &str = "listen.quic = \"127.0.0.1:0\"\nio.shards = 1\n";
/// What DESIGN.md says.
const TOKEN_LIFETIME: Duration = Duration::from_secs(10);
/// Bytes of the integrity tag behind the token.
const TAG_BYTES: usize = 16;

/// What a server does with a first packet that bears a token.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// It goes on with the handshake.
    Handshake,
    /// It asks for a proof, as if there were no token.
    Retry,
    /// It closes.
    Close,
}

/// The id and the token of a Retry to a packet without a source id.
fn token_of(retry: &[u8]) -> (Vec<u8>, Vec<u8>) {
    assert_eq!(retry[5], 0, "to nobody's id");
    let (id_length, rest) = (usize::from(retry[6]), &retry[7..retry.len() - TAG_BYTES]);
    (rest[..id_length].to_vec(), rest[id_length..].to_vec())
}

fn ask(stranger: &mut Stranger, id: &[u8], token: &[u8]) -> Answer {
    stranger.listen();
    stranger.received.clear();
    stranger.send(&initial_with(id, token, &good_parameters(), tls_config(b"mvt1")));
    let asked = Instant::now();
    while stranger.listen() == 0 {
        assert!(asked.elapsed() < PATIENCE, "an answer");
        std::thread::sleep(Duration::from_millis(2));
    }
    match &stranger.received[0] {
        retry if is_retry(retry) => Answer::Retry,
        // A server's first flight fills its packets; a close is short.
        packet if packet.len() >= 1200 => Answer::Handshake,
        _ => Answer::Close,
    }
}

/// CASES Q-02.
#[test]
fn a_retry_token_is_of_one_address() {
    let server = Server::start(CONFIG);
    let _strangers = load(&server, 0);
    let (address, _) = server.quic.clone().expect("on");
    let host = Host::new();
    let config = client_config(b"mvt1", TransportConfig::default());
    let honest = Relay::to(address, Rules::default(), 1);
    assert!(
        host.try_connect(honest.address, config.clone()).is_ok(),
        "the canary: it is good where it was given"
    );
    // On a slow machine the strangers of before may be forgotten by now.
    let _more = load(&server, 1);
    let moved = Relay::to(address, Rules { moves_at_answer: true, ..Rules::default() }, 1);
    match host.try_connect(moved.address, config) {
        Err(ConnectionError::ConnectionClosed(close)) => {
            assert!(format!("{close:?}").contains("INVALID_TOKEN"), "{close:?}")
        }
        other => panic!("{other:?}"),
    }
}

/// A token is good for ten seconds, again and again, and at the process alone that gave it.
#[test]
fn a_retry_token_is_of_one_process_and_of_a_short_time() {
    let (server, other) = (Server::start(CONFIG), Server::start(CONFIG));
    let mut strangers = load(&server, 0);
    let given = Instant::now();
    let is_asked = |stranger: &Stranger| stranger.received.iter().any(|packet| is_retry(packet));
    let mut asked = strangers.drain(..).filter(is_asked);
    let (mut first, mut second) = (asked.next().expect("ten"), asked.next().expect("ten"));
    let tokens = [&first, &second].map(|stranger| {
        token_of(stranger.received.iter().find(|packet| is_retry(packet)).expect("asked to prove it"))
    });
    let [(id, token), (late_id, late_token)] = &tokens;
    assert_eq!(ask(&mut first, id, token), Answer::Handshake, "the canary: it is good");
    assert_eq!(ask(&mut first, &[3; 8], token), Answer::Handshake, "and proves no less when it comes again");
    let mut bent = token.clone();
    *bent.last_mut().expect("bytes") ^= 1;
    assert_eq!(ask(&mut first, &[4; 8], &bent), Answer::Retry, "not ours: as good as none");
    let _others = load(&other, 0);
    first.turn_to(&other);
    assert_eq!(ask(&mut first, id, token), Answer::Retry, "another node's: as good as none");
    assert!(given.elapsed() < TOKEN_LIFETIME, "the machine is so slow that this says nothing");
    std::thread::sleep(TOKEN_LIFETIME + Duration::from_secs(1) - given.elapsed());
    assert_eq!(ask(&mut second, late_id, late_token), Answer::Close, "too late");
    assert_eq!(counted(&server.stop(), "quic_opened"), 0);
}
