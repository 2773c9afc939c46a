//! Resumes, both sides.

use super::{
    login::{LOGIN_ID, grant_input, server as server_identity},
    material::{bytes, key},
    ticket::{ISSUED, nonce, ring, ring_json, ticket_key, usual},
};
use crate::{
    hex::encode,
    reference::{
        resume::{ALONE, Client, Server, WITH_DH},
        ticket::{PSK_ALONE, Ticket},
        x25519::KeyPair,
    },
    vectors::vector::Vector,
};
use serde_json::{Value, json};

const OP: &str = "resume";

/// The usual ticket, for a mode.
pub(super) fn ticket_of(mode: u16, suite: u16) -> Ticket {
    Ticket { policy: if mode == ALONE { PSK_ALONE } else { 0 }, ..usual(suite) }
}

/// A client with that ticket.
pub(super) fn client(mode: u16, suite: u16) -> Client {
    Client {
        rs: key("RS"),
        ticket: ticket_of(mode, suite).seal(&ticket_key(), &nonce()),
        suite,
        nonce: key("nonce_c"),
        ephemeral: KeyPair::new(key("resume e_c")),
        server_public: server_identity().public,
        channel_binding: Vec::new(),
    }
}

/// A server that takes it.
pub(super) fn server() -> Server {
    Server {
        public: server_identity().public,
        ring: ring(),
        revoked: Vec::new(),
        allowed: vec![1, 2],
        channel_binding: Vec::new(),
    }
}

/// What a client's cases say of the client.
pub(super) fn client_json(client: &Client, mode: u16) -> Value {
    json!({
        "mode": mode,
        "login_id": LOGIN_ID,
        "cookie": "",
        "rs": encode(&client.rs),
        "ticket": encode(&client.ticket),
        "suite": client.suite,
        "nonce_c": encode(&client.nonce),
        "client_ephemeral_private": encode(&client.ephemeral.private),
        "server_public": encode(&client.server_public),
        "channel_binding": encode(&client.channel_binding),
    })
}

fn base(mode: u16, suite: u16) -> Value {
    let mut case = client_json(&client(mode, suite), mode);
    let more = json!({
        "ring": ring_json(&ring()),
        "revoked": [],
        "allowed": [1, 2],
        "now": ISSUED + 60_000,
        "nonce_s": encode(&key("nonce_s")),
        "server_ephemeral_private": encode(&key("resume e_s")),
        "reply": grant_input(),
    });
    let Value::Object(more) = more else { unreachable!("an object") };
    case.as_object_mut().expect("an object").extend(more);
    case
}

fn with(mode: u16, changes: &[(&str, Value)]) -> Value {
    let mut case = base(mode, 2);
    for (name, value) in changes {
        match name.strip_prefix("reply.") {
            Some(field) => case["reply"][field] = value.clone(),
            None => case[*name] = value.clone(),
        }
    }
    case
}

const MODES: [(&str, u16); 2] = [("with Diffie-Hellman", WITH_DH), ("psk alone", ALONE)];

pub(super) fn vectors() -> Vec<Vector> {
    vec![keys(), bound(), cookies(), ids(), grants(), policy(), refused()]
}

fn keys() -> Vector {
    let other = || json!(encode(&key("other")));
    let mut vector = Vector::new(
        "resume_keys",
        "§12.4",
        OP,
        "Both sides of a resume hold the same new keys, of both nonces.",
    );
    for (name, mode) in MODES {
        for suite in [1, 2] {
            vector = vector.ok(format!("{name}, suite {suite}"), base(mode, suite));
        }
        for field in ["nonce_c", "nonce_s", "client_ephemeral_private", "server_ephemeral_private"] {
            vector = vector.ok(format!("{name}, another {field}"), with(mode, &[(field, other())]));
        }
    }
    vector
}

fn bound() -> Vector {
    let mut vector = Vector::new(
        "resume_with_a_channel_binding",
        "§12.4",
        OP,
        "The channel binding, after its length, is in binder and transcript, so the keys are of that channel.",
    );
    for (name, mode) in MODES {
        let exporter = json!(encode(&bytes("exporter", 32)));
        vector = vector.ok(name, with(mode, &[("channel_binding", exporter)]));
    }
    vector
}

fn cookies() -> Vector {
    let mut vector =
        Vector::new("resume_with_a_cookie", "§12.3", OP, "A cookie of 16 bytes comes before the nonce.");
    for (name, mode) in MODES {
        let cookie = |bytes: &[u8]| with(mode, &[("cookie", json!(encode(bytes)))]);
        vector = vector.ok(name, cookie(&bytes("cookie", 16)));
        vector = vector.ok(format!("{name}, of zeros"), cookie(&[0; 16]));
    }
    vector
}

fn ids() -> Vector {
    let mut vector = Vector::new("resume_id_is_echoed", "§12.4", OP, "Any login id is echoed.");
    for id in [0_u64, 1, (1 << 48) - 1] {
        vector = vector.ok(format!("login id {id}"), with(WITH_DH, &[("login_id", json!(id))]));
    }
    vector
}

fn grants() -> Vector {
    let last = json!((1_u64 << 48) - 1);
    Vector::new("resume_grant_extremes", "§12.4", OP, "The grant of a resume is that of a login.")
        .ok("key id 1", with(WITH_DH, &[("reply.key_id", json!("0000000000000001"))]))
        .ok("last key id", with(ALONE, &[("reply.key_id", json!("ffffffffffffffff"))]))
        .ok("last time", with(WITH_DH, &[("reply.server_time", last)]))
        .ok("window of 64", with(ALONE, &[("reply.replay_window_bits", json!(64))]))
        .ok("window of 8192", with(WITH_DH, &[("reply.replay_window_bits", json!(8192))]))
}

fn policy() -> Vector {
    let allowed = client(ALONE, 2);
    let denied = client(WITH_DH, 2);
    let mode = |mode: u16, client: &Client| {
        with(mode, &[("ticket", json!(encode(&client.ticket))), ("mode", json!(mode))])
    };
    Vector::new(
        "resume_psk_alone_is_a_policy",
        "§12.3.2",
        OP,
        "Mode 2 needs the policy of the ticket; mode 1 does not.",
    )
    .ok("mode 1, psk alone allowed", mode(WITH_DH, &allowed))
    .ok("mode 2, psk alone allowed", mode(ALONE, &allowed))
    .ok("mode 1, psk alone not allowed", mode(WITH_DH, &denied))
    .reject("mode 2, psk alone not allowed", mode(ALONE, &denied), "binder")
}

fn refused() -> Vector {
    let mut vector = Vector::new(
        "resume_suite_is_allowed",
        "§12.4.3",
        OP,
        "A suite that the server would not allow at a login is refused.",
    );
    for (name, mode) in MODES {
        vector = vector
            .reject(format!("{name}, only suite 1"), with(mode, &[("allowed", json!([1]))]), "no_suite")
            .reject(format!("{name}, none"), with(mode, &[("allowed", json!([]))]), "no_suite")
            .ok(format!("{name}, only suite 2"), with(mode, &[("allowed", json!([2]))]));
    }
    vector
}
