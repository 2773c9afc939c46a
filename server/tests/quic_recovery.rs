//! The asynchronous client recovers a lost key in one call, and has what it asks together answered together (SPEC §7.4, §13).

mod support;

use std::sync::atomic::Ordering;

use mvt_client::{
    Config, Error, RecoveryKit, identity,
    quic::{Client, ServerCertificate, Way},
};
use mvt_proto::{constants::FRAME_BYTES_MIN, login::Identity};
use support::{
    PATIENCE, Server, counted, random,
    relay::{Relay, Rules},
};
use tokio::runtime::{Builder, Runtime};

const WAYS: [Way; 2] = [Way::Datagrams, Way::Stream];

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn config_at(server: &Server, address: std::net::SocketAddr, identity: Identity) -> Config {
    let config = Config::new(address, &server.public_key, identity).expect("an address");
    config.quic(ServerCertificate::CheckedByLogin).connect_timeout(PATIENCE).request_timeout(PATIENCE)
}

fn config(server: &Server, identity: Identity) -> Config {
    config_at(server, server.quic.as_ref().expect("QUIC is on").0, identity)
}

fn old_identity(server: &Server) -> Identity {
    identity::load(server.path("client.key")).expect("an identity")
}

/// The kit the server prints.
fn kit_of(server: &Server) -> RecoveryKit {
    let made = server.command(&["recover-kit", "tester"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    RecoveryKit::parse(&String::from_utf8(made.stdout).expect("text")).expect("a kit")
}

#[test]
fn recovery_is_one_call_and_the_old_key_is_void_after_it() {
    for way in WAYS {
        let server = Server::start("listen.quic = \"127.0.0.1:0\"\nservice.kind = \"echo\"\n");
        runtime().block_on(async {
            let old = Client::connect(config(&server, old_identity(&server)), way).await.expect("logged in");
            old.request(1, b"before").await.expect("verified");
            let kit = kit_of(&server);
            let new = random();
            let again = mvt_proto::secret::Secret::new(*new.expose());
            let client = Client::recover(config(&server, Identity::new(new)), &kit, way).await;
            let client = client.expect("recovered");
            assert_eq!(client.request(4, b"hello").await.expect("verified").payload, b"hello");
            // What was authenticated before has ended, and the key is nobody's.
            assert!(old.request(1, b"after").await.is_err(), "{way:?}");
            let refused = Client::connect(config(&server, old_identity(&server)), way).await;
            assert!(matches!(refused, Err(Error::Login(_))), "{way:?}");
            let next = Client::connect(config(&server, Identity::new(again)), way).await.expect("logged in");
            assert_eq!(next.request(4, b"again").await.expect("verified").payload, b"again");
        });
        assert_eq!(counted(&server.stop(), "recoveries"), 1);
    }
}

#[test]
fn a_kit_that_is_void_recovers_nothing() {
    let server = Server::start("listen.quic = \"127.0.0.1:0\"\n");
    let old = kit_of(&server);
    kit_of(&server);
    runtime().block_on(async {
        let refused = Client::recover(config(&server, Identity::new(random())), &old, Way::Datagrams).await;
        assert!(matches!(refused, Err(Error::Login(_))), "{:?}", refused.err());
        let client = Client::connect(config(&server, old_identity(&server)), Way::Datagrams).await;
        client.expect("the key is what it was").request(1, b"").await.expect("verified");
    });
    assert_eq!(counted(&server.stop(), "recoveries"), 0);
}

/// Requests in one round.
const COUNT: usize = 512;

async fn ask_together(client: &Client) {
    let ask = |number: usize| {
        let client = client.clone();
        tokio::spawn(async move { client.request(number as u16, b"").await.expect("verified") })
    };
    let asking: Vec<_> = (0..COUNT).map(ask).collect();
    for asked in asking {
        assert!(asked.await.expect("it ends").payload.is_empty());
    }
}

/// Eight bytes for each answer instead of 44, and what is around them: counted on the wire. Probes of the path, and answers to
/// copies where all this is slow, may be around one round, not around each.
#[test]
fn what_is_asked_together_is_answered_together() {
    const ROUNDS_MAX: usize = 20;
    for way in WAYS {
        let server = Server::start("listen.quic = \"127.0.0.1:0\"\nio.shards = 1\n");
        let rounds = runtime().block_on(async {
            let (address, _) = server.quic.clone().expect("QUIC is on");
            let relay = Relay::to(address, Rules::default(), 1);
            let config = config_at(&server, relay.address, old_identity(&server));
            let client = Client::connect(config, way).await.expect("logged in");
            for round in 1..=ROUNDS_MAX {
                let before = relay.counts[3].load(Ordering::Relaxed);
                ask_together(&client).await;
                let answered = relay.counts[3].load(Ordering::Relaxed) - before;
                if answered < (COUNT * FRAME_BYTES_MIN / 2) as u64 {
                    return round;
                }
            }
            panic!("{way:?}: one by one in every round");
        });
        assert_eq!(counted(&server.stop(), "verified"), (rounds * COUNT) as u64, "each once");
    }
}
