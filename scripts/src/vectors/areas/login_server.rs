//! HELLOs that a server accepts or refuses.

use super::{
    login::{LOGIN_ID, client, hello, hello_of, server, usual_front},
    material::{LOW_ORDER, bytes, flip, key},
};
use crate::{
    hex::{decode, encode},
    reference::{
        frame::{Header, SEALED},
        hkdf::array,
        login::{Client, finish_hello, front, hello_header, padding_bytes, prologue},
        noise::{NAME, SymmetricState},
        x25519::KeyPair,
    },
    vectors::vector::Vector,
};
use serde_json::{Value, json};

const OP: &str = "login_server";

/// Where the parts of the usual HELLO begin.
const E: usize = 28 + 6;
const S: usize = E + 32;
const PADDING: usize = S + 48;
const MAC1: usize = 512 - 16;

fn case(hello: &[u8], enrolled: &[[u8; 32]]) -> Value {
    let enrolled: Vec<String> = enrolled.iter().map(|key| encode(key)).collect();
    json!({
        "server_private": encode(&key("server static")),
        "enrolled": enrolled,
        "allowed": [1, 2],
        "channel_binding": "",
        "hello": encode(hello),
    })
}

fn usual(hello: &[u8]) -> Value {
    case(hello, &[client().identity.public])
}

/// A HELLO with its mac1 made anew, as anyone can.
fn remac(hello: &[u8]) -> Vec<u8> {
    finish_hello(&server().public, &hello[..28], &hello[28..hello.len() - 16])
}

pub(super) fn vectors() -> Vec<Vector> {
    let mut all = accepted();
    all.extend(tampered());
    all.extend(fields());
    all.extend(low_order());
    all
}

fn accepted() -> Vec<Vector> {
    let (good, _) = hello();
    let (with_cookie, _) = client().padded_hello(LOGIN_ID, &bytes("cookie", 16), &[1]);
    let own = client().identity.public;
    let other = KeyPair::new(key("other client")).public;
    let accepts =
        Vector::new("login_server_accepts", "§10.1", OP, "A good HELLO of an enrolled client is accepted.")
            .ok("", usual(&good))
            .ok("with a cookie", usual(&with_cookie))
            .ok("among other clients", case(&good, &[other, own]))
            .ok("eight suites", usual(&hello_of(&front(&[], &[9, 8, 7, 6, 5, 4, 3, 1]))));
    let unknown = Vector::new(
        "login_server_unknown_client",
        "§10.3.3",
        OP,
        "A client that is not enrolled is refused.",
    )
    .reject("no client is enrolled", case(&good, &[]), "unknown_client")
    .reject("another client is", case(&good, &[other]), "unknown_client");
    let no_suite =
        Vector::new("login_server_no_suite", "§10.1.3", OP, "A list without an allowed suite is refused.")
            .reject("", usual(&hello_of(&front(&[], &[3, 0x0100, 0xffff]))), "no_suite");
    let mut bound = usual(&good);
    bound["channel_binding"] = json!(encode(&bytes("exporter", 32)));
    let on_quic = Client { channel_binding: bytes("exporter", 32), ..client() };
    let (relayed, _) = on_quic.padded_hello(LOGIN_ID, &[], &[2, 1]);
    let mut other_channel = usual(&relayed);
    other_channel["channel_binding"] = json!(encode(&bytes("other exporter", 32)));
    let channel = Vector::new(
        "login_server_channel_is_bound",
        "§10",
        OP,
        "A HELLO does not open on another channel than it was made for.",
    )
    .reject("of raw TCP, on QUIC", bound, "noise")
    .reject("of QUIC, on raw TCP", usual(&relayed), "noise")
    .reject("of QUIC, on another connection", other_channel, "noise");
    vec![accepts, unknown, no_suite, channel]
}

fn tampered() -> Vec<Vector> {
    let (good, _) = hello();
    let mut mac = Vector::new(
        "login_server_mac1_is_judged_first",
        "§10.1.2",
        OP,
        "Whatever was changed in a HELLO, without a new mac1 it is refused for that.",
    );
    for (region, at) in [
        ("pattern", 15),
        ("login id", 21),
        ("cookie bytes", 28),
        ("suite count", 29),
        ("suite", 31),
        ("e", E),
        ("s", S),
        ("tag of s", PADDING - 1),
        ("padding", PADDING),
        ("tag of the padding", MAC1 - 1),
        ("mac1", MAC1),
        ("mac1", 511),
    ] {
        mac = mac.reject(region, usual(&flip(&good, at, 1)), "mac1");
    }
    let mut noise = Vector::new(
        "login_server_noise_is_authenticated",
        "§10.3.3",
        OP,
        "Header, suites and Noise message are authenticated: changed under a new mac1 they do not open.",
    );
    for (region, at, bit) in [
        ("login id", 16, 7),
        ("login id", 21, 0),
        ("suite, made an unknown one", 30, 4),
        ("e", E, 0),
        ("e, the bit X25519 ignores", E + 31, 7),
        ("s", S, 0),
        ("s", S + 31, 7),
        ("tag of s", S + 32, 0),
        ("tag of s", PADDING - 1, 7),
        ("padding", PADDING, 0),
        ("padding", MAC1 - 17, 7),
        ("tag of the padding", MAC1 - 16, 0),
        ("tag of the padding", MAC1 - 1, 7),
    ] {
        noise = noise.reject(region, usual(&remac(&flip(&good, at, bit))), "noise");
    }
    let (with_cookie, _) = client().padded_hello(LOGIN_ID, &bytes("cookie", 16), &[1]);
    let inputs = usual(&remac(&flip(&with_cookie, 29, 0)));
    noise = noise.reject("cookie", inputs, "noise");
    let elsewhere = Client { server_public: KeyPair::new(key("other server")).public, ..client() };
    let (foreign, _) = elsewhere.padded_hello(LOGIN_ID, &[], &[2, 1]);
    let other = Vector::new(
        "login_server_hello_is_of_one_server",
        "§10",
        OP,
        "A HELLO to another server is refused, also with a mac1 made for this one.",
    )
    .reject("as it is", usual(&foreign), "mac1")
    .reject("with a new mac1", usual(&remac(&foreign)), "noise");
    vec![mac, noise, other]
}

fn fields() -> Vec<Vector> {
    let mut fronts = Vector::new(
        "login_server_cookie_and_suites_are_well_formed",
        "§10.1",
        OP,
        "A cookie has 0 or 16 bytes; a list has 1 to 8 suites and no suite twice.",
    );
    for (comment, bytes) in [
        ("cookie of 1 byte", [[1, 7].as_slice(), &[1, 0, 1]].concat()),
        ("cookie of 5 bytes", [[5].as_slice(), &[7; 5], &[1, 0, 1]].concat()),
        ("cookie of 15 bytes", [[15].as_slice(), &[7; 15], &[1, 0, 1]].concat()),
        ("cookie of 17 bytes", [[17].as_slice(), &[7; 17], &[1, 0, 1]].concat()),
        ("cookie of 255 bytes, more than there is room for suites", [[255].as_slice(), &[0; 255]].concat()),
        ("no suite", vec![0, 0]),
        ("nine suites", front(&[], &[1, 2, 3, 4, 5, 6, 7, 8, 9])),
        ("one suite twice", front(&[], &[1, 1])),
        ("one of three twice", front(&[], &[2, 1, 2])),
        ("an unknown suite twice", front(&[], &[9, 1, 9])),
        ("eight suites, first and last the same", front(&[], &[1, 2, 3, 4, 5, 6, 7, 1])),
    ] {
        fronts = fronts.reject(comment, usual(&hello_of(&bytes)), "field");
    }
    let room = padding_bytes(usual_front().len());
    let plan = |header: Header, padding: &[u8]| client().hello(header, &usual_front(), padding).0;
    let mut padding = Vector::new(
        "login_server_padding_is_zero",
        "§10.1.1",
        OP,
        "A HELLO whose Noise payload is not all zero is refused.",
    );
    for at in [0, room / 2, room - 1] {
        let mut text = vec![0; room];
        text[at] = 1;
        padding = padding.reject(format!("byte {at}"), usual(&plan(hello_header(LOGIN_ID), &text)), "field");
    }
    let mut length = Vector::new(
        "login_server_hello_is_512_bytes",
        "§10.1.1",
        OP,
        "A HELLO of any other length is refused.",
    );
    for count in [0, room - 1, room + 1, room + 512] {
        let hello = plan(hello_header(LOGIN_ID), &vec![0; count]);
        length = length.reject(format!("{} bytes", hello.len()), usual(&hello), "field");
    }
    let mut patterns = Vector::new(
        "login_server_pattern_is_1",
        "§10.1",
        OP,
        "A pattern that is reserved or not assigned is refused.",
    );
    for pattern in [0, 2, 3, 0x0101, 0xffff] {
        let header = Header { op: pattern, ..hello_header(LOGIN_ID) };
        patterns =
            patterns.reject(format!("pattern {pattern}"), usual(&plan(header, &vec![0; room])), "field");
    }
    let good = hello_header(LOGIN_ID);
    let zeros = vec![0; room];
    let header =
        Vector::new("login_server_header_is_judged", "§3.2.7", OP, "A HELLO is a frame, and judged as one.")
            .reject("key id", usual(&plan(Header { key_id: 1, ..good }, &zeros)), "field")
            .reject("generation", usual(&plan(Header { generation: 1, ..good }, &zeros)), "field")
            .reject("timestamp", usual(&plan(Header { timestamp: 1, ..good }, &zeros)), "field")
            .reject("flags", usual(&plan(Header { flags: SEALED, ..good }, &zeros)), "flags");
    vec![fronts, padding, length, patterns, header]
}

/// The start of message 1 by an attacker, who needs no private key where a shared secret is known to be zero.
fn attack() -> (Vec<u8>, SymmetricState) {
    let front = usual_front();
    let before = [hello_header(LOGIN_ID).encode(512 - 44).as_slice(), &front].concat();
    let mut symmetric = SymmetricState::new(NAME);
    symmetric.mix_hash(&prologue(&before, &[]));
    symmetric.mix_hash(&server().public);
    (before, symmetric)
}

fn low_order() -> Vec<Vector> {
    let mut e_vector = Vector::new(
        "login_server_low_order_e_is_refused",
        "§10.3.1",
        OP,
        "An ephemeral key of low order ends the handshake, though all the rest of the message is right.",
    );
    let mut s_vector = Vector::new(
        "login_server_low_order_s_is_refused",
        "§10.3.1",
        OP,
        "A static key of low order ends the handshake, even if it is enrolled.",
    );
    let (identity, ephemeral, zero) = (client().identity, client().ephemeral, [0; 32]);
    let padding = vec![0; padding_bytes(usual_front().len())];
    for (i, point) in LOW_ORDER.iter().enumerate() {
        let low: [u8; 32] = array(&decode(point).expect("hex"));
        assert_eq!(server().dh(&low), zero, "the point is of low order");

        let (before, mut symmetric) = attack();
        symmetric.mix_hash(&low);
        symmetric.mix_key(&zero);
        let s = symmetric.encrypt_and_hash(&identity.public);
        symmetric.mix_key(&identity.dh(&server().public));
        let sealed = symmetric.encrypt_and_hash(&padding);
        let hello = finish_hello(&server().public, &before, &[low.as_slice(), &s, &sealed].concat());
        e_vector = e_vector.reject(format!("point {i}"), usual(&hello), "noise");

        let (before, mut symmetric) = attack();
        symmetric.mix_hash(&ephemeral.public);
        symmetric.mix_key(&ephemeral.dh(&server().public));
        let s = symmetric.encrypt_and_hash(&low);
        symmetric.mix_key(&zero);
        let sealed = symmetric.encrypt_and_hash(&padding);
        let message = [ephemeral.public.as_slice(), &s, &sealed].concat();
        let hello = finish_hello(&server().public, &before, &message);
        s_vector = s_vector.reject(format!("point {i}"), case(&hello, &[low, identity.public]), "noise");
    }
    vec![e_vector, s_vector]
}
