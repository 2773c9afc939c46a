//! Proofs of an address by a Retry token, on the server as a process: CASES Q-02. How long they are good, and where, is in `quic_proof.rs`.

mod support;

use quinn::{ClientConfig, ConnectionError, IdleTimeout, TransportConfig};
use support::{
    PATIENCE, Server,
    quic::{Host, client_config},
    relay::{Relay, Rules},
    stranger::{bears_token, load},
};

const CONFIG: &str = "listen.quic = \"127.0.0.1:0\"\nio.shards = 1\n";
/// On a slow machine the strangers may be forgotten before the client comes: then it is not asked for a proof, and comes again.
const ROUNDS_MAX: usize = 5;

/// One who is not asked, and moves in the midst of his handshake, is not heard any more.
fn patient() -> ClientConfig {
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(IdleTimeout::try_from(PATIENCE / 2).expect("short")));
    client_config(b"mvt1", transport)
}

/// What became of a client who was asked to prove his address, while the network did this to him.
fn asked(server: &Server, host: &Host, rules: Rules) -> Option<ConnectionError> {
    let (address, _) = server.quic.clone().expect("on");
    for _ in 0..ROUNDS_MAX {
        let _strangers = load(server);
        let relay = Relay::to(address, Rules { is_recorded: true, ..rules }, 1);
        let refused = host.try_connect(relay.address, patient()).err();
        let was_asked = relay.recorded().iter().any(|packet| bears_token(packet));
        if was_asked && refused != Some(ConnectionError::TimedOut) {
            return refused;
        }
    }
    panic!("never asked for a proof and told what it is worth");
}

/// CASES Q-02.
#[test]
fn a_retry_token_is_of_one_address() {
    let (server, host) = (Server::start(CONFIG), Host::new());
    assert_eq!(asked(&server, &host, Rules::default()), None, "the canary: it is good where it was given");
    let elsewhere = Rules { moves_at_answer: true, ..Rules::default() };
    match asked(&server, &host, elsewhere) {
        Some(ConnectionError::ConnectionClosed(close)) => {
            assert!(format!("{close:?}").contains("INVALID_TOKEN"), "{close:?}");
        }
        other => panic!("{other:?}"),
    }
}
