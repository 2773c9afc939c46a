//! HELLO_Rs that a client accepts or refuses.

use super::{
    login::{LOGIN_ID, client, grant, hello, server},
    material::{KEY_ID, LOW_ORDER, flip, key},
};
use crate::{
    hex::{decode, encode},
    reference::{
        grant::Grant,
        login::{Server, prologue},
        noise::{HandshakeState, NAME, SymmetricState},
        reply::{finish_hello_r, hello_r},
        schedule::{first_generation, schedule},
        x25519::KeyPair,
    },
    vectors::vector::Vector,
};
use serde_json::{Value, json};

const OP: &str = "login_client";

fn case(frame: &[u8]) -> Value {
    json!({
        "client_private": encode(&key("client static")),
        "client_ephemeral_private": encode(&key("client ephemeral")),
        "server_public": encode(&server().public),
        "login_id": LOGIN_ID,
        "suites": [2, 1],
        "cookie": "",
        "channel_binding": "",
        "hello_r": encode(frame),
    })
}

/// The handshake of a server that accepted [`hello`], with an ephemeral key of that name.
fn accepted(ephemeral: &str, hello: &[u8]) -> HandshakeState {
    let server = Server {
        identity: server(),
        ephemeral: KeyPair::new(key(ephemeral)),
        enrolled: vec![client().identity.public],
        allowed: vec![1, 2],
        channel_binding: Vec::new(),
    };
    server.accept(hello).expect("a good HELLO").noise
}

/// A HELLO_R over any Noise payload that starts with a key id.
fn answer(payload: &[u8]) -> Vec<u8> {
    hello_r(&accepted("server ephemeral", &hello().0), LOGIN_ID, payload).0
}

pub(super) fn vectors() -> Vec<Vector> {
    let mut all = tampered();
    all.extend(confirmed());
    all.extend(fields());
    all.push(low_order());
    all
}

fn tampered() -> Vec<Vector> {
    let good = answer(&grant().encode());
    let accepts =
        Vector::new("login_client_accepts", "§10.2", OP, "A good HELLO_R gives the client its session.")
            .ok("", case(&good))
            .ok("suite 1", case(&answer(&Grant { suite: 1, ..grant() }.encode())));
    let mut header =
        Vector::new("login_client_header_is_judged", "§3.2.7", OP, "A changed header is refused.");
    for (region, at, reason) in [
        ("flags", 3, "flags"),
        ("key id", 4, "field"),
        ("generation", 13, "field"),
        ("op", 15, "field"),
        ("login id", 16, "field"),
        ("login id", 21, "field"),
        ("timestamp", 27, "field"),
    ] {
        header = header.reject(region, case(&flip(&good, at, 0)), reason);
    }
    let mut noise = Vector::new(
        "login_client_noise_is_authenticated",
        "§10.2",
        OP,
        "A changed Noise message does not open.",
    );
    let end = good.len() - 16;
    for (region, at, bit) in [
        ("e", 28, 0),
        ("e, the bit X25519 ignores", 59, 7),
        ("key id", 60, 0),
        ("suite", 69, 0),
        ("lost_key", 94, 0),
        ("last byte of lost_key", end - 17, 0),
        ("tag of the payload", end - 16, 0),
        ("tag of the payload", end - 1, 7),
    ] {
        noise = noise.reject(region, case(&flip(&good, at, bit)), "noise");
    }
    let mut tag = Vector::new(
        "login_client_tag_is_whole",
        "§10.2.2",
        OP,
        "A bit of any byte of the tag turned is a bad tag.",
    );
    for at in end..good.len() {
        tag = tag.reject(format!("byte {at}"), case(&flip(&good, at, (at % 8) as u8)), "bad_tag");
    }
    vec![accepts, header, noise, tag]
}

fn confirmed() -> Vec<Vector> {
    let good = answer(&grant().encode());
    let noise_state = accepted("server ephemeral", &hello().0);
    let (_, keys) = hello_r(&noise_state, LOGIN_ID, &grant().encode());
    let (head, _) = good.split_at(good.len() - 16);
    let wrong = |cf: &[u8; 32]| finish_hello_r(cf, LOGIN_ID, &head[28..]);
    let confirm = Vector::new(
        "login_client_tag_is_of_the_confirm_key",
        "§10.2",
        OP,
        "Only CF_0 of the key id makes the tag.",
    )
    .reject("CF_1", case(&wrong(&schedule(keys.schedule.gs, KEY_ID, 1).cf)), "bad_tag")
    .reject("CF_0 of another key id", case(&wrong(&schedule(keys.schedule.gs, KEY_ID + 1, 0).cf)), "bad_tag")
    .reject("GS_0", case(&wrong(&keys.schedule.gs)), "bad_tag");
    let (other_hello, _) = client().padded_hello(LOGIN_ID, &[], &[1, 2]);
    let (foreign, _) = hello_r(&accepted("server ephemeral", &other_hello), LOGIN_ID, &grant().encode());
    let other = Vector::new(
        "login_client_answer_is_of_one_login",
        "§10.2",
        OP,
        "A HELLO_R to a HELLO with another list of suites does not open: the list can not be changed on the way.",
    )
    .reject("", case(&foreign), "noise");
    vec![confirm, other]
}

fn fields() -> Vec<Vector> {
    let good = grant().encode();
    let set = |at: usize, new: &[u8]| {
        let mut payload = good.clone();
        payload[at..at + new.len()].copy_from_slice(new);
        case(&answer(&payload))
    };
    let suites = Vector::new(
        "login_client_suite_was_offered",
        "§10.2.1",
        OP,
        "A suite that was not offered is refused.",
    )
    .reject("0", set(8, &[0, 0]), "field")
    .reject("3", set(8, &[0, 3]), "field")
    .reject("0x0102", set(8, &[1, 2]), "field");
    let limits = Vector::new(
        "login_client_limits_are_ordered",
        "§10.2.1",
        OP,
        "A hard limit below its soft limit is refused.",
    )
    .reject("requests by one", set(20, &((1_u32 << 20) - 1).to_be_bytes()), "field")
    .reject("requests 0", set(20, &[0; 4]), "field")
    .reject("ms by one", set(28, &599_999_u32.to_be_bytes()), "field")
    .reject("ms 0", set(28, &[0; 4]), "field")
    .ok("both equal", {
        let mut payload = good.clone();
        payload[20..24].copy_from_slice(&(1_u32 << 20).to_be_bytes());
        payload[28..32].copy_from_slice(&600_000_u32.to_be_bytes());
        case(&answer(&payload))
    });
    let mut windows = Vector::new(
        "login_client_window_is_in_bounds",
        "§10.2.1",
        OP,
        "A replay window that is not a power of two from 64 to 8192 is refused.",
    );
    for bits in [0_u16, 1, 32, 63, 65, 96, 1000, 1025, 8191, 8193, 16384, u16::MAX] {
        windows = windows.reject(format!("{bits} bits"), set(32, &bits.to_be_bytes()), "field");
    }
    let id = Vector::new("login_client_key_id_is_not_zero", "§10.2", OP, "A session of key id 0 is refused.")
        .reject("", set(0, &[0; 8]), "field");
    let mut trailing = Vector::new(
        "login_client_grant_is_50_bytes",
        "§10.2.1",
        OP,
        "A grant that is shorter or longer, a ticket behind it or not, is refused.",
    );
    for count in [8_usize, 34, 49] {
        trailing = trailing.reject(format!("{count} bytes"), case(&answer(&good[..count])), "field");
    }
    for more in [1_usize, 2, 119, 368] {
        let longer = [good.as_slice(), &vec![0; more]].concat();
        trailing = trailing.reject(format!("{more} bytes more"), case(&answer(&longer)), "field");
    }
    let long = Vector::new(
        "login_client_answer_is_not_longer_than_the_hello",
        "§10.2.1",
        OP,
        "A HELLO_R of more than 512 bytes is refused.",
    )
    .reject("513 bytes", case(&answer(&[good.as_slice(), &[0; 371]].concat())), "field")
    .reject("2000 bytes more", case(&answer(&[good.as_slice(), &[0; 2000]].concat())), "field");
    vec![suites, limits, windows, id, trailing, long]
}

/// A server that answers with an ephemeral key of low order: ee and se are zero, all else is right.
fn low_order() -> Vector {
    let mut vector = Vector::new(
        "login_client_low_order_e_is_refused",
        "§10.3.1",
        OP,
        "An ephemeral key of low order ends the handshake, though all the rest of the answer is right.",
    );
    let (hello, _) = hello();
    let message = &hello[34..496];
    for (i, point) in LOW_ORDER.iter().enumerate() {
        let low = decode(point).expect("hex");
        let mut symmetric = SymmetricState::new(NAME);
        symmetric.mix_hash(&prologue(&hello[..34], &[]));
        symmetric.mix_hash(&server().public);
        symmetric.mix_hash(&message[..32]);
        symmetric.mix_key(&server().dh(&client().ephemeral.public));
        symmetric.mix_hash(&message[32..80]);
        symmetric.mix_key(&server().dh(&client().identity.public));
        symmetric.mix_hash(&message[80..]);
        symmetric.mix_hash(&low);
        symmetric.mix_key(&[0; 32]);
        symmetric.mix_key(&[0; 32]);
        let sealed = symmetric.encrypt_and_hash(&grant().encode());
        let (h, k1, k2) = symmetric.finish();
        let cf = schedule(first_generation(&h, &k1, &k2), KEY_ID, 0).cf;
        let frame = finish_hello_r(&cf, LOGIN_ID, &[low, sealed].concat());
        vector = vector.reject(format!("point {i}"), case(&frame), "noise");
    }
    vector
}
