//! RESUME_Rs that a client accepts or refuses.

use super::{
    control::bad_points,
    login::{LOGIN_ID, grant},
    material::{KEY_ID, bytes, cut_end, flip, key},
    resume::{client, client_json, server},
    ticket::ISSUED,
};
use crate::{
    hex::encode,
    reference::{
        frame::Header,
        grant::Grant,
        hkdf::hmac16,
        resume::{ALONE, Client, Form, Server, WITH_DH, seal_answer},
        schedule::schedule,
        x25519::KeyPair,
    },
    vectors::vector::Vector,
};
use serde_json::Value;

const OP: &str = "resume_client";

fn case_of(client: &Client, mode: u16, frame: &[u8]) -> Value {
    let mut inputs = client_json(client, mode);
    inputs["resume_r"] = Value::from(encode(frame));
    inputs
}

fn case(mode: u16, frame: &[u8]) -> Value {
    case_of(&client(mode, 2), mode, frame)
}

/// The answer of a server to a client, any grant sealed in it.
fn answer_to(client: &Client, mode: u16, grant: &[u8]) -> Vec<u8> {
    let server = Server { channel_binding: client.channel_binding.clone(), ..server() };
    let resume = client.resume(mode, LOGIN_ID, &[]);
    let accepted = server.accept(ISSUED + 60_000, &resume).expect("a good RESUME");
    let e_s = KeyPair::new(key("resume e_s"));
    server.answer(&accepted, &resume, &key("nonce_s"), &e_s, grant).0
}

fn answer(mode: u16, grant: &[u8]) -> Vec<u8> {
    answer_to(&client(mode, 2), mode, grant)
}

const MODES: [(&str, u16); 2] = [("with Diffie-Hellman", WITH_DH), ("psk alone", ALONE)];

pub(super) fn vectors() -> Vec<Vector> {
    vec![
        accepts(),
        header(),
        sealed(),
        tag(),
        confirm(),
        one_resume(),
        fields(),
        lengths(),
        points(),
        modes(),
    ]
}

fn accepts() -> Vector {
    let mut vector = Vector::new(
        "resume_client_accepts",
        "§12.4",
        OP,
        "A good RESUME_R gives the client its new session.",
    );
    for (name, mode) in MODES {
        for suite in [1, 2] {
            let client = client(mode, suite);
            let frame = answer_to(&client, mode, &Grant { suite, ..grant() }.encode());
            vector = vector.ok(format!("{name}, suite {suite}"), case_of(&client, mode, &frame));
        }
        let bound = Client { channel_binding: bytes("exporter", 32), ..client(mode, 2) };
        let frame = answer_to(&bound, mode, &grant().encode());
        vector = vector.ok(format!("{name}, on a channel"), case_of(&bound, mode, &frame));
    }
    vector
}

fn header() -> Vector {
    let mut vector =
        Vector::new("resume_client_header_is_judged", "§3.2.7", OP, "A changed header is refused.");
    let good = answer(WITH_DH, &grant().encode());
    for (region, at, reason) in [
        ("flags", 3, "flags"),
        ("key id", 4, "field"),
        ("generation", 13, "field"),
        ("op", 15, "field"),
        ("login id", 16, "field"),
        ("login id", 21, "field"),
        ("timestamp", 27, "field"),
    ] {
        vector = vector.reject(region, case(WITH_DH, &flip(&good, at, 0)), reason);
    }
    vector
}

fn sealed() -> Vector {
    let mut vector = Vector::new(
        "resume_client_grant_is_authenticated",
        "§12.4",
        OP,
        "A bit turned in nonce_s, e_s or the grant does not open.",
    );
    for (name, mode) in MODES {
        let good = answer(mode, &grant().encode());
        let grant_at = if mode == WITH_DH { 92 } else { 60 };
        let mut places = vec![28, 59, grant_at, grant_at + 9, grant_at + 49, grant_at + 50, grant_at + 65];
        if mode == WITH_DH {
            places.extend([60, 75]);
        }
        for at in places {
            vector = vector.reject(format!("{name}, byte {at}"), case(mode, &flip(&good, at, 0)), "bad_tag");
        }
    }
    vector
}

fn tag() -> Vector {
    let mut vector = Vector::new(
        "resume_client_tag_is_whole",
        "§10.2.2",
        OP,
        "A bit of any byte of the tag turned is a bad tag.",
    );
    for (name, mode) in MODES {
        let good = answer(mode, &grant().encode());
        for at in good.len() - 16..good.len() {
            let bad = flip(&good, at, (at % 8) as u8);
            vector = vector.reject(format!("{name}, byte {at}"), case(mode, &bad), "bad_tag");
        }
    }
    vector
}

/// The good answer with a tag under another key.
fn confirm() -> Vector {
    let client = client(WITH_DH, 2);
    let resume = client.resume(WITH_DH, LOGIN_ID, &[]);
    let good = answer(WITH_DH, &grant().encode());
    let (_, keys) = client.read(&resume, &good).expect("a good RESUME_R");
    let before = &good[..good.len() - 16];
    let tagged = |cf: &[u8; 32]| [before, &hmac16(cf, &[before])].concat();
    Vector::new(
        "resume_client_tag_is_of_the_confirm_key",
        "§12.4",
        OP,
        "Only CF_0 of the new key id makes the tag.",
    )
    .reject("CF_1", case(WITH_DH, &tagged(&schedule(keys.gs, KEY_ID, 1).cf)), "bad_tag")
    .reject("CF_0 of another key id", case(WITH_DH, &tagged(&schedule(keys.gs, KEY_ID + 1, 0).cf)), "bad_tag")
    .reject("RS", case(WITH_DH, &tagged(&key("RS"))), "bad_tag")
}

fn one_resume() -> Vector {
    let mut vector = Vector::new(
        "resume_client_answer_is_of_one_resume",
        "§12.4",
        OP,
        "A RESUME_R to another RESUME, on another channel or under another RS is not this client's.",
    );
    for (name, mode) in MODES {
        let base = client(mode, 2);
        let of_nonce = Client { nonce: key("other nonce"), ..base.clone() };
        let of_channel = Client { channel_binding: bytes("exporter", 32), ..base.clone() };
        for (what, other) in [("another nonce_c", of_nonce), ("another channel", of_channel)] {
            let frame = answer_to(&other, mode, &grant().encode());
            vector = vector.reject(format!("{name}, {what}"), case(mode, &frame), "bad_tag");
        }
        let resume = base.resume(mode, LOGIN_ID, &[]);
        let e_s = KeyPair::new(key("resume e_s"));
        let form = Form { kind: "RESUME_R", context: b"mvt1 resume", with_dh: mode == WITH_DH };
        let forged = |context: &'static [u8], rs: &[u8]| {
            let dh = if mode == WITH_DH { e_s.dh(&base.ephemeral.public).to_vec() } else { Vec::new() };
            let form = Form { context, ..form };
            let ikm = [rs, &dh].concat();
            let nonce = key("nonce_s");
            seal_answer(form, &[], &resume, (&nonce, &e_s.public), &ikm, &grant().encode()).0
        };
        let (other_rs, recover) =
            (forged(b"mvt1 resume", &key("other RS")), forged(b"mvt1 recover", &base.rs));
        vector = vector
            .ok(format!("{name}, this one"), case(mode, &forged(b"mvt1 resume", &base.rs)))
            .reject(format!("{name}, another RS"), case(mode, &other_rs), "bad_tag")
            .reject(format!("{name}, transcript of a recovery"), case(mode, &recover), "bad_tag");
    }
    vector
}

fn fields() -> Vector {
    let mut vector = Vector::new(
        "resume_client_grant_is_judged",
        "§12.4.1",
        OP,
        "A grant out of bounds, or of another suite than the old session's, is refused.",
    );
    for (name, bad) in [
        ("key id 0", Grant { key_id: 0, ..grant() }),
        ("suite 1", Grant { suite: 1, ..grant() }),
        ("suite 0", Grant { suite: 0, ..grant() }),
        ("suite 3", Grant { suite: 3, ..grant() }),
        ("requests by one", Grant { reject_after_requests: (1 << 20) - 1, ..grant() }),
        ("ms by one", Grant { reject_after_ms: 599_999, ..grant() }),
        ("window of 0", Grant { replay_window_bits: 0, ..grant() }),
        ("window of 63", Grant { replay_window_bits: 63, ..grant() }),
        ("window of 16384", Grant { replay_window_bits: 16384, ..grant() }),
    ] {
        for (mode_name, mode) in MODES {
            let frame = answer(mode, &bad.encode());
            vector = vector.reject(format!("{name}, {mode_name}"), case(mode, &frame), "field");
        }
    }
    vector
}

fn lengths() -> Vector {
    let mut vector = Vector::new(
        "resume_client_answer_has_one_length",
        "§12.4.1",
        OP,
        "Trailing bytes, sealed or not, and a shorter answer are refused.",
    );
    for (name, mode) in MODES {
        let good = answer(mode, &grant().encode());
        for more in [1, 119, 400] {
            let longer = answer(mode, &[grant().encode(), vec![0; more]].concat());
            vector = vector.reject(format!("{name}, {more} bytes more sealed"), case(mode, &longer), "field");
        }
        let shorter = answer(mode, &grant().encode()[..49]);
        vector = vector.reject(format!("{name}, a grant of 49 bytes"), case(mode, &shorter), "field");
        for count in [1, 16, 66, good.len() - 44] {
            let frame = cut_end(&good, count);
            vector = vector.reject(format!("{name}, {count} bytes cut"), case(mode, &frame), "field");
        }
    }
    vector
}

fn points() -> Vector {
    let mut vector = Vector::new(
        "resume_client_bad_point_is_refused",
        "§12.4.1",
        OP,
        "An e_s that is not canonical or of low order is refused, though all the rest is right.",
    );
    let client = client(WITH_DH, 2);
    let resume = client.resume(WITH_DH, LOGIN_ID, &[]);
    for (name, point) in bad_points() {
        let form = Form { kind: "RESUME_R", context: b"mvt1 resume", with_dh: true };
        let ikm = [client.rs, client.ephemeral.dh(&point)].concat();
        let nonce = key("nonce_s");
        let (frame, _) = seal_answer(form, &[], &resume, (&nonce, &point), &ikm, &grant().encode());
        vector = vector.reject(name, case(WITH_DH, &frame), "binder");
    }
    vector
}

fn modes() -> Vector {
    let as_recover = |mut frame: Vec<u8>| {
        frame[2] = 0x10 | Header::of("RECOVER_R").kind;
        frame
    };
    let (with_dh, alone) = (answer(WITH_DH, &grant().encode()), answer(ALONE, &grant().encode()));
    Vector::new(
        "resume_client_answer_is_of_its_mode",
        "§12.4",
        OP,
        "An answer of the other mode, or of another kind, is refused.",
    )
    .reject("psk alone to mode 1", case(WITH_DH, &alone), "field")
    .reject("with Diffie-Hellman to mode 2", case(ALONE, &with_dh), "field")
    .reject("a RECOVER_R", case(WITH_DH, &as_recover(with_dh)), "kind")
}
