//! Logins from HELLO to the keys of generation 0.

use super::material::{KEY_ID, ORIGIN, bytes, flip, key, key_id};
use crate::{
    hex::encode,
    reference::{
        grant::Grant,
        hkdf::array,
        login::{Client, front, hello_header, padding_bytes},
        noise::HandshakeState,
        x25519::KeyPair,
    },
    vectors::vector::Vector,
};
use serde_json::{Value, json};

/// The login id of most cases.
pub(super) const LOGIN_ID: u64 = 0x0000_0102_0304;

/// The server's static key.
pub(super) fn server() -> KeyPair {
    KeyPair::new(key("server static"))
}

/// An enrolled client at the start of a login.
pub(super) fn client() -> Client {
    Client {
        identity: KeyPair::new(key("client static")),
        ephemeral: KeyPair::new(key("client ephemeral")),
        server_public: server().public,
        channel_binding: Vec::new(),
    }
}

/// A good HELLO that offers suites 2 and 1.
pub(super) fn hello() -> (Vec<u8>, HandshakeState) {
    client().padded_hello(LOGIN_ID, &[], &[2, 1])
}

/// What servers grant, but for the suite.
pub(super) fn grant() -> Grant {
    Grant {
        key_id: KEY_ID,
        suite: 2,
        server_time: ORIGIN,
        renew_after_requests: 1 << 20,
        reject_after_requests: 1 << 21,
        renew_after_ms: 600_000,
        reject_after_ms: 900_000,
        replay_window_bits: 1024,
        lost_key: array(&bytes("lost_key", 16)),
    }
}

/// [`grant`] as a case writes it, where the server chooses the suite.
pub(super) fn grant_input() -> Value {
    let grant = grant();
    json!({
        "key_id": key_id(grant.key_id),
        "server_time": grant.server_time,
        "renew_after_requests": grant.renew_after_requests,
        "reject_after_requests": grant.reject_after_requests,
        "renew_after_ms": grant.renew_after_ms,
        "reject_after_ms": grant.reject_after_ms,
        "replay_window_bits": grant.replay_window_bits,
        "lost_key": encode(&grant.lost_key),
    })
}

/// What the cases of a login share.
fn base() -> Value {
    json!({
        "client_private": encode(&key("client static")),
        "server_private": encode(&key("server static")),
        "client_ephemeral_private": encode(&key("client ephemeral")),
        "server_ephemeral_private": encode(&key("server ephemeral")),
        "login_id": LOGIN_ID,
        "suites": [2, 1],
        "allowed": [1, 2],
        "cookie": "",
        "channel_binding": "",
        "reply": grant_input(),
    })
}

/// `base` with other values; a name with a dot is a field of the reply.
fn with(changes: &[(&str, Value)]) -> Value {
    let mut case = base();
    for (name, value) in changes {
        match name.strip_prefix("reply.") {
            Some(field) => case["reply"][field] = value.clone(),
            None => case[*name] = value.clone(),
        }
    }
    case
}

pub(super) fn vectors() -> Vec<Vector> {
    let mut all = mac1();
    all.extend(offers());
    all.extend(replies());
    all
}

fn mac1() -> Vec<Vector> {
    let case =
        |public: &[u8; 32], hello: &[u8]| json!({ "server_public": encode(public), "hello": encode(hello) });
    let (good, _) = hello();
    let (cookie, _) = client().padded_hello(1, &bytes("cookie", 16), &[1]);
    let public = server().public;
    let valid = Vector::new(
        "mac1_of_a_hello",
        "§10.1",
        "mac1",
        "mac1 is a keyed hash that only needs the server's public key.",
    )
    .ok("", case(&public, &good))
    .ok("with a cookie", case(&public, &cookie));
    let mut tampered = Vector::new(
        "mac1_covers_the_hello",
        "§10.1.2",
        "mac1",
        "A bit turned anywhere in a HELLO breaks mac1.",
    );
    for at in [3, 4, 11, 13, 15, 16, 21, 27, 28, 29, 31, 33, 34, 65, 66, 113, 114, 400, 495, 496, 503, 511] {
        let inputs = case(&public, &flip(&good, at, (at % 8) as u8));
        tampered = tampered.reject(format!("byte {at}"), inputs, "mac1");
    }
    let other = Vector::new(
        "mac1_is_of_one_server",
        "§10.1.2",
        "mac1",
        "A HELLO to another server has no valid mac1.",
    )
    .reject("", case(&KeyPair::new(key("other server")).public, &good), "mac1");
    vec![valid, tampered, other]
}

fn offers() -> Vec<Vector> {
    let plain = Vector::new("login_keys", "§10.3", "login", "Both sides of a login hold the same keys.")
        .ok("", base())
        .ok("another server ephemeral", with(&[("server_ephemeral_private", json!(encode(&key("other"))))]))
        .ok("another client ephemeral", with(&[("client_ephemeral_private", json!(encode(&key("other"))))]));
    let cookies =
        Vector::new("login_with_a_cookie", "§10.1", "login", "A cookie of 16 bytes is part of the prologue.")
            .ok("", with(&[("cookie", json!(encode(&bytes("cookie", 16))))]))
            .ok("of zeros", with(&[("cookie", json!(encode(&[0; 16])))]));
    let bindings = Vector::new(
        "login_with_a_channel_binding",
        "§10",
        "login",
        "The channel binding is part of the prologue, so the keys are of that channel.",
    )
    .ok("", with(&[("channel_binding", json!(encode(&bytes("exporter", 32))))]))
    .ok(
        "with a cookie",
        with(&[
            ("channel_binding", json!(encode(&bytes("exporter", 32)))),
            ("cookie", json!(encode(&bytes("cookie", 16)))),
        ]),
    );
    let mut ids = Vector::new(
        "login_id_is_echoed",
        "§10.1",
        "login",
        "Any login id is echoed and is part of the prologue.",
    );
    for id in [0_u64, 1, (1 << 48) - 1] {
        ids = ids.ok(format!("login id {id}"), with(&[("login_id", json!(id))]));
    }
    let mut picks = Vector::new(
        "login_suite_is_the_first_allowed",
        "§10.1.3",
        "login",
        "The server picks the first suite of the client's list that it allows; unknown suites are skipped.",
    );
    for (suites, allowed) in [
        (vec![1_u16, 2], vec![1_u16, 2]),
        (vec![2, 1], vec![1, 2]),
        (vec![2, 1], vec![1]),
        (vec![1, 2], vec![2]),
        (vec![1], vec![2, 1]),
        (vec![0x7777, 2], vec![1, 2]),
        (vec![0x0102, 0, 0xffff, 1], vec![1, 2]),
        (vec![9, 8, 7, 6, 5, 4, 3, 2], vec![1, 2]),
    ] {
        let comment = format!("{suites:?} offered, {allowed:?} allowed");
        picks = picks.ok(comment, with(&[("suites", json!(suites)), ("allowed", json!(allowed))]));
    }
    let none = Vector::new(
        "login_without_a_common_suite",
        "§10.3.3",
        "login",
        "Without a common suite there is no login.",
    )
    .reject("known but not allowed", with(&[("suites", json!([1])), ("allowed", json!([2]))]), "no_suite")
    .reject("unknown", with(&[("suites", json!([3, 0x0200]))]), "no_suite");
    vec![plain, cookies, bindings, ids, picks, none]
}

fn replies() -> Vec<Vector> {
    let mut limits =
        Vector::new("login_reply_limits", "§10.2", "login", "A hard limit may equal its soft limit.");
    for (requests, ms) in [([1_u32, 1], [1000_u32, 1000]), ([u32::MAX; 2], [u32::MAX; 2]), ([5, 6], [7, 8])] {
        limits = limits.ok(
            format!("{requests:?} requests, {ms:?} ms"),
            with(&[
                ("reply.renew_after_requests", json!(requests[0])),
                ("reply.reject_after_requests", json!(requests[1])),
                ("reply.renew_after_ms", json!(ms[0])),
                ("reply.reject_after_ms", json!(ms[1])),
            ]),
        );
    }
    let mut windows =
        Vector::new("login_reply_windows", "§2", "login", "Every power of two from 64 to 8192 is a window.");
    for bits in [64, 128, 256, 512, 1024, 2048, 4096, 8192] {
        windows = windows.ok(format!("{bits} bits"), with(&[("reply.replay_window_bits", json!(bits))]));
    }
    let ids = Vector::new(
        "login_reply_extremes",
        "§10.2",
        "login",
        "Any key id but 0 and any time is a session's.",
    )
    .ok("key id 1", with(&[("reply.key_id", json!(key_id(1)))]))
    .ok("last key id", with(&[("reply.key_id", json!(key_id(u64::MAX)))]))
    .ok("time 0", with(&[("reply.server_time", json!(0))]))
    .ok("last time", with(&[("reply.server_time", json!((1_u64 << 48) - 1))]));
    vec![limits, windows, ids]
}

/// A HELLO with any bytes for cookie and suites, else good and 512 bytes.
pub(super) fn hello_of(cookie_and_suites: &[u8]) -> Vec<u8> {
    let padding = vec![0; padding_bytes(cookie_and_suites.len())];
    client().hello(hello_header(LOGIN_ID), cookie_and_suites, &padding).0
}

/// Cookie and suites of [`hello`].
pub(super) fn usual_front() -> Vec<u8> {
    front(&[], &[2, 1])
}
