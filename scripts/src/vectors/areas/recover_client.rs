//! RECOVER_Rs that a client accepts or refuses.

use super::{
    control::bad_points,
    login::{LOGIN_ID, grant},
    material::{KEY_ID, bytes, cut_end, flip, key},
    recover::{client, client_json, cookie, server},
};
use crate::{
    hex::encode,
    reference::{
        grant::Grant,
        hkdf::hmac16,
        recover::{Client, Server},
        resume::{Form, seal_answer},
        schedule::schedule,
        x25519::KeyPair,
    },
    vectors::vector::Vector,
};
use serde_json::Value;

const OP: &str = "recover_client";
const FORM: Form = Form { kind: "RECOVER_R", context: b"mvt1 recover", with_dh: true };

fn case_of(client: &Client, frame: &[u8]) -> Value {
    let mut inputs = client_json(client);
    inputs["recover_r"] = Value::from(encode(frame));
    inputs
}

fn case(frame: &[u8]) -> Value {
    case_of(&client(), frame)
}

fn answer_to(client: &Client, grant: &[u8]) -> Vec<u8> {
    let server = Server { channel_binding: client.channel_binding.clone(), ..server() };
    let recover = client.recover(LOGIN_ID, &cookie(), &[2, 1]);
    let accepted = server.accept(&recover).expect("a good RECOVER");
    server.answer(&accepted, &recover, &key("nonce_s"), &KeyPair::new(key("recover e_s")), grant).0
}

/// An answer whose GS_0 comes from any secret.
fn forged(e_s: &[u8; 32], form: Form, ikm: &[&[u8]]) -> Vec<u8> {
    let recover = client().recover(LOGIN_ID, &cookie(), &[2, 1]);
    seal_answer(form, &[], &recover, (&key("nonce_s"), e_s), &ikm.concat(), &grant().encode()).0
}

pub(super) fn vectors() -> Vec<Vector> {
    vec![
        accepts(),
        header(),
        sealed(),
        tag(),
        confirm(),
        secrets(),
        one_recover(),
        fields(),
        lengths(),
        points(),
    ]
}

fn accepts() -> Vector {
    let bound = Client { channel_binding: bytes("exporter", 32), ..client() };
    let hs256 = answer_to(&client(), &Grant { suite: 1, ..grant() }.encode());
    Vector::new("recover_client_accepts", "§13.3", OP, "A good RECOVER_R gives the client its session.")
        .ok("", case(&answer_to(&client(), &grant().encode())))
        .ok("suite 1", case(&hs256))
        .ok("on a channel", case_of(&bound, &answer_to(&bound, &grant().encode())))
}

fn header() -> Vector {
    let mut vector =
        Vector::new("recover_client_header_is_judged", "§3.2.7", OP, "A changed header is refused.");
    let good = answer_to(&client(), &grant().encode());
    for (region, at, reason) in [
        ("flags", 3, "flags"),
        ("key id", 4, "field"),
        ("generation", 13, "field"),
        ("op", 15, "field"),
        ("login id", 16, "field"),
        ("login id", 21, "field"),
        ("timestamp", 27, "field"),
    ] {
        vector = vector.reject(region, case(&flip(&good, at, 0)), reason);
    }
    let mut resume = good;
    resume[2] = 0x1c;
    vector.reject("a RESUME_R", case(&resume), "kind")
}

fn sealed() -> Vector {
    let mut vector = Vector::new(
        "recover_client_grant_is_authenticated",
        "§13.3",
        OP,
        "A bit turned in nonce_s, e_s or the grant does not open.",
    );
    let good = answer_to(&client(), &grant().encode());
    for at in [28, 59, 60, 75, 92, 101, 141, 142, 157] {
        vector = vector.reject(format!("byte {at}"), case(&flip(&good, at, 0)), "bad_tag");
    }
    vector
}

fn tag() -> Vector {
    let mut vector = Vector::new(
        "recover_client_tag_is_whole",
        "§10.2.2",
        OP,
        "A bit of any byte of the tag turned is a bad tag.",
    );
    let good = answer_to(&client(), &grant().encode());
    for at in good.len() - 16..good.len() {
        vector = vector.reject(format!("byte {at}"), case(&flip(&good, at, (at % 8) as u8)), "bad_tag");
    }
    vector
}

fn confirm() -> Vector {
    let client = client();
    let recover = client.recover(LOGIN_ID, &cookie(), &[2, 1]);
    let good = answer_to(&client, &grant().encode());
    let (_, keys) = client.read(&recover, &[2, 1], &good).expect("a good RECOVER_R");
    let before = &good[..good.len() - 16];
    let tagged = |cf: &[u8; 32]| [before, &hmac16(cf, &[before])].concat();
    Vector::new(
        "recover_client_tag_is_of_the_confirm_key",
        "§13.3",
        OP,
        "Only CF_0 of the new key id makes the tag.",
    )
    .reject("CF_1", case(&tagged(&schedule(keys.gs, KEY_ID, 1).cf)), "bad_tag")
    .reject("CF_0 of another key id", case(&tagged(&schedule(keys.gs, KEY_ID + 1, 0).cf)), "bad_tag")
}

fn secrets() -> Vector {
    let client = client();
    let e_s = KeyPair::new(key("recover e_s"));
    let export = client.context().export(b"mvt1 recover");
    let one = e_s.dh(&client.ephemeral.public);
    let two = e_s.dh(&client.identity.public);
    let with = |ikm: &[&[u8]]| case(&forged(&e_s.public, FORM, ikm));
    let resume = Form { context: b"mvt1 resume", ..FORM };
    Vector::new(
        "recover_client_keys_need_every_secret",
        "§13.3",
        OP,
        "Export, the Diffie-Hellman of the ephemerals and that of the new static key all make GS_0, in this order.",
    )
    .ok("all", with(&[&export, &one, &two]))
    .reject("without the export", with(&[&one, &two]), "bad_tag")
    .reject("without the ephemerals", with(&[&export, &two]), "bad_tag")
    .reject("without the new static key", with(&[&export, &one]), "bad_tag")
    .reject("in another order", with(&[&export, &two, &one]), "bad_tag")
    .reject("another export", with(&[&client.context().export(b"mvt1 resume"), &one, &two]), "bad_tag")
    .reject(
        "transcript of a resume",
        case(&forged(&e_s.public, resume, &[&export, &one, &two])),
        "bad_tag",
    )
}

fn one_recover() -> Vector {
    let of_encapsulation = Client { encapsulation: KeyPair::new(key("other")), ..client() };
    let of_channel = Client { channel_binding: bytes("exporter", 32), ..client() };
    let of_key = Client { identity: KeyPair::new(key("other")), ..client() };
    let mut vector = Vector::new(
        "recover_client_answer_is_of_one_recover",
        "§13.3",
        OP,
        "A RECOVER_R to another RECOVER, or on another channel, is not this client's.",
    );
    for (name, other) in
        [("another enc", of_encapsulation), ("another channel", of_channel), ("another new key", of_key)]
    {
        vector = vector.reject(name, case(&answer_to(&other, &grant().encode())), "bad_tag");
    }
    vector
}

fn fields() -> Vector {
    let mut vector = Vector::new(
        "recover_client_grant_is_judged",
        "§13.3",
        OP,
        "A grant out of bounds, or of a suite that was not offered, is refused.",
    );
    for (name, bad) in [
        ("key id 0", Grant { key_id: 0, ..grant() }),
        ("suite 0", Grant { suite: 0, ..grant() }),
        ("suite 3", Grant { suite: 3, ..grant() }),
        ("requests by one", Grant { reject_after_requests: (1 << 20) - 1, ..grant() }),
        ("ms by one", Grant { reject_after_ms: 599_999, ..grant() }),
        ("window of 0", Grant { replay_window_bits: 0, ..grant() }),
        ("window of 1000", Grant { replay_window_bits: 1000, ..grant() }),
    ] {
        vector = vector.reject(name, case(&answer_to(&client(), &bad.encode())), "field");
    }
    vector
}

fn lengths() -> Vector {
    let mut vector = Vector::new(
        "recover_client_answer_has_one_length",
        "§13.3",
        OP,
        "Trailing bytes, sealed or not, and a shorter answer are refused.",
    );
    for more in [1, 119, 400] {
        let longer = answer_to(&client(), &[grant().encode(), vec![0; more]].concat());
        vector = vector.reject(format!("{more} bytes more sealed"), case(&longer), "field");
    }
    let good = answer_to(&client(), &grant().encode());
    for count in [1, 16, 66, 98, 130] {
        vector = vector.reject(format!("{count} bytes cut"), case(&cut_end(&good, count)), "field");
    }
    vector
}

fn points() -> Vector {
    let mut vector = Vector::new(
        "recover_client_bad_point_is_refused",
        "§13.3",
        OP,
        "An e_s that is not canonical or of low order is refused, though all the rest is right.",
    );
    let client = client();
    let export = client.context().export(b"mvt1 recover");
    for (name, point) in bad_points() {
        let (one, two) = (client.ephemeral.dh(&point), client.identity.dh(&point));
        vector = vector.reject(name, case(&forged(&point, FORM, &[&export, &one, &two])), "recovery");
    }
    vector
}
