//! RECOVERs that a server accepts or refuses.

use super::{
    control::bad_points,
    login::LOGIN_ID,
    material::{bytes, flip, key},
    recover::{client, cookie, old_public, server, server_json},
};
use crate::{
    hex::encode,
    reference::{
        frame::Header,
        hpke::{Context, Psk},
        recover::{Client, Server, recover_header, recovery_key, text_bytes},
        resume::with_mac1,
        x25519::KeyPair,
    },
    vectors::vector::Vector,
};
use serde_json::Value;

const OP: &str = "recover_server";

/// Where the parts of a RECOVER with a cookie begin.
const COOKIE: usize = 29;
const CLIENT_ID: usize = COOKIE + 16;
const ENC: usize = CLIENT_ID + 16;
const SEALED: usize = ENC + 32;

fn case_at(server: &Server, frame: &[u8]) -> Value {
    let mut inputs = server_json(server);
    inputs["recover"] = Value::from(encode(frame));
    inputs
}

fn case(frame: &[u8]) -> Value {
    case_at(&server(), frame)
}

fn good() -> Vec<u8> {
    client().recover(LOGIN_ID, &cookie(), &[2, 1])
}

/// mac1 made anew, as anyone can.
fn remac(frame: &[u8]) -> Vec<u8> {
    with_mac1(&server().public, frame.to_vec())
}

/// A RECOVER that seals any text.
fn sealing(text: &[u8]) -> Vec<u8> {
    let client = client();
    client.seal(&client.context(), recover_header(LOGIN_ID), &cookie(), text)
}

/// A good text with other bytes at a place.
fn text_with(at: usize, new: &[u8]) -> Vec<u8> {
    let mut text = client().text(&[2, 1]);
    text.resize(text_bytes(16), 0);
    text[at..at + new.len()].copy_from_slice(new);
    text
}

pub(super) fn vectors() -> Vec<Vector> {
    let mut all = vec![accepts(), mac1(), header(), lengths(), tampered(), unknown(), keyed()];
    all.extend([channel(), padding(), lists(), new_key(), points(), encapsulations()]);
    all
}

fn accepts() -> Vector {
    let other = ([9; 16], key("other recovery secret"));
    let mut several = server();
    several.secrets.insert(0, other);
    let eight = client().recover(LOGIN_ID, &cookie(), &[9, 8, 7, 6, 5, 4, 3, 1]);
    Vector::new("recover_server_accepts", "§13.2", OP, "A good RECOVER is accepted, each time it comes.")
        .ok("", case(&good()))
        .ok("among other clients", case_at(&several, &good()))
        .ok("eight suites, seven unknown", case(&eight))
        .ok("an unknown suite first", case(&client().recover(LOGIN_ID, &cookie(), &[0x7777, 2])))
        .ok("login id 0", case(&client().recover(0, &cookie(), &[1])))
}

fn mac1() -> Vector {
    let mut vector = Vector::new(
        "recover_server_mac1_is_judged_first",
        "§13.2.1",
        OP,
        "A bit turned anywhere without a new mac1 is refused for mac1.",
    );
    for at in [15, 16, 21, 28, COOKIE, CLIENT_ID, ENC, SEALED, 495, 496, 511] {
        vector = vector.reject(format!("byte {at}"), case(&flip(&good(), at, (at % 8) as u8)), "mac1");
    }
    let other = with_mac1(&KeyPair::new(key("other server")).public, good());
    vector.reject("of another server", case(&other), "mac1")
}

fn header() -> Vector {
    let mut vector =
        Vector::new("recover_server_header_is_judged", "§3.2.7", OP, "A changed header is refused.");
    for (region, at, reason) in [
        ("flags", 3, "flags"),
        ("key id", 4, "field"),
        ("generation", 13, "field"),
        ("timestamp", 27, "field"),
    ] {
        vector = vector.reject(region, case(&remac(&flip(&good(), at, 0))), reason);
    }
    let client = client();
    for op in [0, 2, 3, 0x0101, u16::MAX] {
        let header = Header { op, ..recover_header(LOGIN_ID) };
        let frame = client.seal(&client.context(), header, &cookie(), &text_with(0, &[]));
        vector = vector.reject(format!("op {op}, sealed so"), case(&frame), "field");
    }
    vector
}

fn lengths() -> Vector {
    let mut vector = Vector::new(
        "recover_server_recover_is_512_bytes",
        "§13.2.1",
        OP,
        "A RECOVER of another length, or with a cookie of another, is refused though it would open.",
    );
    for more in [1, 16, 500] {
        let longer = [text_with(0, &[]), vec![0; more]].concat();
        vector = vector.reject(format!("{more} bytes more"), case(&sealing(&longer)), "field");
    }
    for fewer in [1, 16, 300] {
        let text = text_with(0, &[]);
        let frame = sealing(&text[..text.len() - fewer]);
        vector = vector.reject(format!("{fewer} bytes less"), case(&frame), "field");
    }
    for count in [0, 1, 17, 64, 65] {
        let bytes = recover_header(LOGIN_ID).encode(count);
        let frame = remac(&[bytes.as_slice(), &vec![0; count + 16]].concat());
        vector = vector.reject(format!("{count} bytes of payload"), case(&frame), "field");
    }
    let client = client();
    for count in [1, 15, 17, 32] {
        let mut text = client.text(&[2, 1]);
        text.resize(text_bytes(count), 0);
        let frame = client.seal(&client.context(), recover_header(LOGIN_ID), &vec![0; count], &text);
        vector = vector.reject(format!("cookie of {count} bytes"), case(&frame), "field");
    }
    vector
}

fn tampered() -> Vector {
    let mut vector = Vector::new(
        "recover_server_frame_is_authenticated",
        "§13.1",
        OP,
        "A bit turned anywhere before mac1 does not open though mac1 was made anew.",
    );
    for at in [
        16,
        21,
        COOKIE,
        COOKIE + 15,
        CLIENT_ID,
        CLIENT_ID + 15,
        ENC,
        ENC + 31,
        SEALED,
        SEALED + 33,
        479,
        480,
        495,
    ] {
        let bit = if at == ENC + 31 { 3 } else { (at % 8) as u8 };
        vector = vector.reject(format!("byte {at}"), case(&remac(&flip(&good(), at, bit))), "recovery");
    }
    vector
}

fn unknown() -> Vector {
    let nobody = Client { client_id: [7; 16], ..client() };
    let none = Server { secrets: Vec::new(), ..server() };
    Vector::new(
        "recover_server_unknown_client",
        "§13.2.2",
        OP,
        "A client that is unknown or has no recovery secret is refused like one whose secret is wrong.",
    )
    .reject("unknown", case(&nobody.recover(LOGIN_ID, &cookie(), &[2, 1])), "recovery")
    .reject("no recovery secret", case_at(&none, &good()), "recovery")
    .reject(
        "zeros are no secret",
        case_at(&none, &Client { secret: [0; 32], ..client() }.recover(1, &cookie(), &[2])),
        "recovery",
    )
}

fn keyed() -> Vector {
    let sent = |client: Client| case(&client.recover(LOGIN_ID, &cookie(), &[2, 1]));
    let other_server = KeyPair::new(key("other server")).public;
    let context_of = |psk: Psk<'_>| {
        let client = client();
        let context = Context::sender(&client.encapsulation, &client.recovery_public, psk);
        case(&client.seal(&context, recover_header(LOGIN_ID), &cookie(), &text_with(0, &[])))
    };
    let (id, secret) = (client().client_id, client().secret);
    let info = [b"mvt1 recover".as_slice(), &server().public].concat();
    let foreign = [b"mvt1 recover".as_slice(), &other_server].concat();
    Vector::new(
        "recover_server_context_is_of_secret_id_and_server",
        "§13.1",
        OP,
        "Recovery secret, client id, recovery key and static key are all part of the HPKE context.",
    )
    .ok("all right", context_of(Psk { key: &secret, id: &id, info: &info }))
    .reject("another secret", sent(Client { secret: key("other"), ..client() }), "recovery")
    .reject(
        "another recovery key",
        sent(Client { recovery_public: recovery_key(&key("other")).public, ..client() }),
        "recovery",
    )
    .reject(
        "the static key as recovery key",
        sent(Client { recovery_public: server().public, ..client() }),
        "recovery",
    )
    .reject("mode Base", context_of(Psk { key: &[], id: &[], info: &info }), "recovery")
    .reject("another client id", context_of(Psk { key: &secret, id: &[9; 16], info: &info }), "recovery")
    .reject("another static key", context_of(Psk { key: &secret, id: &id, info: &foreign }), "recovery")
    .reject(
        "no static key",
        context_of(Psk { key: &secret, id: &id, info: b"mvt1 recover" }),
        "recovery",
    )
}

fn channel() -> Vector {
    let exporter = bytes("exporter", 32);
    let on_quic = Client { channel_binding: exporter.clone(), ..client() };
    let on_quic = on_quic.recover(LOGIN_ID, &cookie(), &[2, 1]);
    let at = |frame: &[u8], binding: &[u8]| {
        case_at(&Server { channel_binding: binding.to_vec(), ..server() }, frame)
    };
    Vector::new(
        "recover_server_channel_is_bound",
        "§13.1",
        OP,
        "A RECOVER counts on the channel it was made for and on no other.",
    )
    .ok("its channel", at(&on_quic, &exporter))
    .reject("another channel", at(&on_quic, &bytes("other exporter", 32)), "recovery")
    .reject("none", case(&on_quic), "recovery")
    .reject("made for none", at(&good(), &exporter), "recovery")
}

fn padding() -> Vector {
    let mut vector = Vector::new(
        "recover_server_padding_is_zero",
        "§13.2.1",
        OP,
        "A bit of the padding that is not 0 is refused.",
    );
    let end = text_bytes(16);
    for (at, byte) in [(69, 1), (70, 0x80), (200, 8), (end - 1, 1), (end - 1, 0x80)] {
        vector = vector.reject(format!("byte {at}"), case(&sealing(&text_with(at, &[byte]))), "recovery");
    }
    vector
}

fn lists() -> Vector {
    let mut vector = Vector::new(
        "recover_server_suites_are_well_formed",
        "§13.2.1",
        OP,
        "A list of suites that is empty, too long or repeats one is refused.",
    );
    for count in [0_u8, 9, 16, 0xff] {
        let text = text_with(64, &[count]);
        vector = vector.reject(format!("{count} suites claimed"), case(&sealing(&text)), "recovery");
    }
    for list in [vec![1_u16, 1], vec![2, 1, 2], vec![7, 7, 1], vec![1, 2, 3, 4, 5, 6, 7, 1]] {
        let frame = client().recover(LOGIN_ID, &cookie(), &list);
        vector = vector.reject(format!("{list:?}"), case(&frame), "recovery");
    }
    let foreign = client().recover(LOGIN_ID, &cookie(), &[3, 0x0100, 0xffff]);
    vector.reject("none allowed", case(&foreign), "no_suite")
}

fn new_key() -> Vector {
    let mut vector = Vector::new(
        "recover_server_new_key_is_new",
        "§13.2.4",
        OP,
        "A new key that is enrolled already, by whomever, is refused.",
    )
    .reject("the client's own", case(&sealing(&text_with(0, &old_public()))), "recovery");
    let other = KeyPair::new(key("other client")).public;
    let both = Server { enrolled: vec![old_public(), other], ..server() };
    vector = vector.reject("another client's", case_at(&both, &sealing(&text_with(0, &other))), "recovery");
    vector.ok("enrolled nowhere", case(&sealing(&text_with(0, &other))))
}

fn points() -> Vector {
    let mut vector = Vector::new(
        "recover_server_bad_point_is_refused",
        "§13.2.4",
        OP,
        "A new key or an e_c that is not canonical or of low order is refused.",
    );
    for (name, point) in bad_points() {
        vector = vector
            .reject(format!("new key, {name}"), case(&sealing(&text_with(0, &point))), "recovery")
            .reject(format!("e_c, {name}"), case(&sealing(&text_with(32, &point))), "recovery");
    }
    vector
}

/// Encapsulations a server must refuse though the text was sealed under what they give.
fn encapsulations() -> Vector {
    let mut vector = Vector::new(
        "recover_server_bad_encapsulation_is_refused",
        "§13.1",
        OP,
        "An enc that is not canonical or of low order is refused, though what it gives opens.",
    );
    let recovery = server().recovery;
    let info = [b"mvt1 recover".as_slice(), &server().public].concat();
    for (name, point) in bad_points() {
        let mut client = client();
        let psk = Psk { key: &client.secret, id: &client.client_id, info: &info };
        let context = Context::of_secret(&point, &recovery, &recovery.dh(&point), psk);
        client.encapsulation.public = point;
        let frame = client.seal(&context, recover_header(LOGIN_ID), &cookie(), &text_with(0, &[]));
        vector = vector.reject(name, case(&frame), "recovery");
    }
    vector
}
