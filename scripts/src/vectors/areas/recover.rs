//! Recoveries, both sides.

use super::{
    login::{LOGIN_ID, grant_input, server as server_identity},
    material::{bytes, key},
    ticket::alice,
};
use crate::{
    hex::encode,
    reference::{
        hpke::derive_key_pair,
        recover::{Client, Server, recovery_key},
        x25519::KeyPair,
    },
    vectors::vector::Vector,
};
use serde_json::{Value, json};

const OP: &str = "recover";

/// A client with its kit.
pub(super) fn client() -> Client {
    Client {
        client_id: alice(),
        secret: key("recovery secret"),
        server_public: server_identity().public,
        recovery_public: recovery_key(&key("reset secret")).public,
        identity: KeyPair::new(key("new static")),
        encapsulation: derive_key_pair(&key("encapsulation")),
        ephemeral: KeyPair::new(key("recover e_c")),
        channel_binding: Vec::new(),
    }
}

/// The key that the recovery replaces.
pub(super) fn old_public() -> [u8; 32] {
    KeyPair::new(key("client static")).public
}

/// A server that knows it.
pub(super) fn server() -> Server {
    Server {
        public: server_identity().public,
        recovery: recovery_key(&key("reset secret")),
        secrets: vec![(alice(), key("recovery secret"))],
        enrolled: vec![old_public()],
        allowed: vec![1, 2],
        channel_binding: Vec::new(),
    }
}

/// What a server's cases say of the server.
pub(super) fn server_json(server: &Server) -> Value {
    let client = |(id, secret): &([u8; 16], [u8; 32])| json!({ "client_id": encode(id), "recovery_secret": encode(secret) });
    let enrolled: Vec<String> = server.enrolled.iter().map(|key| encode(key)).collect();
    json!({
        "server_public": encode(&server.public),
        "reset_secret": encode(&key("reset secret")),
        "clients": server.secrets.iter().map(client).collect::<Value>(),
        "enrolled": enrolled,
        "allowed": server.allowed,
        "channel_binding": encode(&server.channel_binding),
    })
}

/// What a client's cases say of the client, which offers suites 2 and 1.
pub(super) fn client_json(client: &Client) -> Value {
    json!({
        "name": "alice",
        "recovery_secret": encode(&client.secret),
        "server_public": encode(&client.server_public),
        "recovery_public": encode(&client.recovery_public),
        "new_private": encode(&client.identity.private),
        "encapsulation_ikm": encode(&key("encapsulation")),
        "client_ephemeral_private": encode(&client.ephemeral.private),
        "login_id": LOGIN_ID,
        "suites": [2, 1],
        "cookie": encode(&cookie()),
        "channel_binding": encode(&client.channel_binding),
    })
}

/// The cookie of every good case: 13.2.1 asks for one.
pub(super) fn cookie() -> Vec<u8> {
    bytes("cookie", 16)
}

fn base() -> Value {
    let mut case = client_json(&client());
    let more = json!({
        "nonce_s": encode(&key("nonce_s")),
        "server_ephemeral_private": encode(&key("recover e_s")),
        "reply": grant_input(),
    });
    for more in [server_json(&server()), more] {
        let Value::Object(more) = more else { unreachable!("an object") };
        case.as_object_mut().expect("an object").extend(more);
    }
    case
}

fn with(changes: &[(&str, Value)]) -> Value {
    let mut case = base();
    for (name, value) in changes {
        case[*name] = value.clone();
    }
    case
}

pub(super) fn vectors() -> Vec<Vector> {
    vec![recovery_keys(), keys(), bound(), ids(), suites(), refused()]
}

fn recovery_keys() -> Vector {
    let mut vector = Vector::new(
        "recover_server_key_is_derived",
        "§13",
        "recovery_key",
        "The server's recovery key pair comes from the reset secret.",
    );
    for secret in [key("reset secret"), key("other reset secret"), [0xff; 32]] {
        vector = vector.ok("", json!({ "reset_secret": encode(&secret) }));
    }
    vector
}

fn keys() -> Vector {
    let other = || json!(encode(&key("other")));
    let mut vector = Vector::new(
        "recover_keys",
        "§13.3",
        OP,
        "Both sides of a recovery hold the same keys: of the HPKE context, both ephemerals, the new static key.",
    )
    .ok("", base());
    for field in [
        "new_private",
        "encapsulation_ikm",
        "client_ephemeral_private",
        "server_ephemeral_private",
        "nonce_s",
    ] {
        vector = vector.ok(format!("another {field}"), with(&[(field, other())]));
    }
    let clients = json!([{ "client_id": encode(&alice()), "recovery_secret": encode(&key("other")) }]);
    vector
        .ok("another secret", with(&[("recovery_secret", other()), ("clients", clients)]))
        .ok("another cookie", with(&[("cookie", json!(encode(&[0; 16])))]))
}

fn bound() -> Vector {
    Vector::new(
        "recover_with_a_channel_binding",
        "§13.1",
        OP,
        "The channel binding, after its length, is in AAD and transcript, so the keys are of that channel.",
    )
    .ok("", with(&[("channel_binding", json!(encode(&bytes("exporter", 32))))]))
}

fn ids() -> Vector {
    let mut vector = Vector::new("recover_id_is_echoed", "§13.3", OP, "Any login id is echoed.");
    for id in [0_u64, 1, (1 << 48) - 1] {
        vector = vector.ok(format!("login id {id}"), with(&[("login_id", json!(id))]));
    }
    vector
}

fn suites() -> Vector {
    let mut vector = Vector::new(
        "recover_suite_is_the_first_allowed",
        "§13.3",
        OP,
        "The suite is chosen as at login: the first of the list that is allowed.",
    );
    for (suites, allowed) in [(vec![1_u16, 2], vec![1_u16, 2]), (vec![2, 1], vec![1]), (vec![1], vec![2, 1])]
    {
        let comment = format!("{suites:?} offered, {allowed:?} allowed");
        vector = vector.ok(comment, with(&[("suites", json!(suites)), ("allowed", json!(allowed))]));
    }
    vector.reject("none allowed", with(&[("suites", json!([1])), ("allowed", json!([2]))]), "no_suite")
}

fn refused() -> Vector {
    let bob =
        json!([{ "client_id": encode(&[0xbb; 16]), "recovery_secret": encode(&key("recovery secret")) }]);
    let new_public = encode(&client().identity.public);
    Vector::new(
        "recover_needs_secret_and_new_key",
        "§13.2",
        OP,
        "Without the client's recovery secret, or with a key that is enrolled already, there is no recovery.",
    )
    .reject("another secret", with(&[("recovery_secret", json!(encode(&key("other"))))]), "recovery")
    .reject("no client has a secret", with(&[("clients", json!([]))]), "recovery")
    .reject("only another client has it", with(&[("clients", bob)]), "recovery")
    .reject("the new key is enrolled", with(&[("enrolled", json!([new_public]))]), "recovery")
    .reject(
        "the new key is the old one",
        with(&[("new_private", json!(encode(&key("client static"))))]),
        "recovery",
    )
}
