//! Control frames as bytes.

use super::material::{KEY_ID, LOW_ORDER, ORIGIN, bytes, cut_end, flip, key, key_id};
use crate::{
    hex::{decode, encode},
    reference::{
        control::{Control, OFFER, SHARE, TICKET, control_header, seal_control},
        frame::Header,
        schedule::{Schedule, schedule},
        x25519::KeyPair,
    },
    vectors::vector::Vector,
};
use serde_json::{Value, json};

const GENERATION: u16 = 0;
const STAMP: u64 = ORIGIN + 600_000;

fn keys() -> Schedule {
    schedule(key("gs of control"), KEY_ID, GENERATION)
}

fn e_s() -> [u8; 32] {
    KeyPair::new(key("e_s")).public
}

fn offer(with_dh: bool) -> Control {
    Control::Offer(key("N"), with_dh.then(e_s))
}

fn of_generation(generation: u16) -> Value {
    json!({ "gs": encode(&key("gs of control")), "key_id": key_id(KEY_ID), "generation": generation })
}

fn with(mut base: Value, more: Value) -> Value {
    if let (Some(base), Value::Object(more)) = (base.as_object_mut(), more) {
        base.extend(more);
    }
    base
}

fn to(role: &str, frame: &[u8]) -> Value {
    with(of_generation(GENERATION), json!({ "role": role, "frame": encode(frame) }))
}

fn seal(op: u16, payload: &[u8]) -> Vec<u8> {
    let key = if op == SHARE { keys().ctlc } else { keys().ctls };
    seal_control(&key, control_header(KEY_ID, GENERATION, op, STAMP), payload)
}

/// Receiver, op and a good payload of every control frame.
fn all_good() -> [(&'static str, &'static str, u16, Vec<u8>); 4] {
    [
        ("offer of form 0", "client", OFFER, offer(false).payload()),
        ("offer of form 1", "client", OFFER, offer(true).payload()),
        ("share", "server", SHARE, KeyPair::new(key("e_c")).public.to_vec()),
        ("ticket", "client", TICKET, bytes("a ticket", 117)),
    ]
}

pub(super) fn vectors() -> Vec<Vector> {
    vec![sealed(), opened(), next(), payloads(), foreign_op(), readable(), tampered(), truncated(), keyed()]
}

fn sealed() -> Vector {
    let mut vector = Vector::new(
        "control_is_sealed",
        "§11.1",
        "control",
        "A control frame is AES-256-GCM whatever the suite.",
    );
    let base = |generation, stamp: u64| with(of_generation(generation), json!({ "timestamp": stamp }));
    for generation in [0, 6, u16::MAX - 1] {
        for (what, more) in [
            ("offer", json!({ "what": "offer", "n": encode(&key("N")), "e_s": "" })),
            ("offer of form 1", json!({ "what": "offer", "n": encode(&key("N")), "e_s": encode(&e_s()) })),
            ("share", json!({ "what": "share", "e_c": encode(&KeyPair::new(key("e_c")).public) })),
            ("ticket", json!({ "what": "ticket", "ticket": encode(&bytes("a ticket", 117)) })),
        ] {
            let comment = format!("{what}, generation {generation}");
            vector = vector.ok(comment, with(base(generation, STAMP), more));
        }
    }
    vector
}

fn opened() -> Vector {
    let mut vector = Vector::new(
        "control_is_opened",
        "§11.1",
        "open_control",
        "A good control frame is read by the other side.",
    );
    for (what, role, op, payload) in all_good() {
        vector = vector.ok(what, to(role, &seal(op, &payload)));
    }
    vector
}

fn next() -> Vector {
    let mut vector = Vector::new(
        "control_offer_makes_the_next_generation",
        "§11",
        "next_generation",
        "RT_g, N and with form 1 the Diffie-Hellman and both its public keys make the next generation.",
    );
    let own = encode(&key("e_c"));
    for generation in [0, 6, u16::MAX - 1] {
        for (form, private, public) in [(0, String::new(), String::new()), (1, own.clone(), encode(&e_s()))] {
            let more = json!({
                "n": encode(&key("N")),
                "client_ephemeral_private": private,
                "server_ephemeral_public": public,
            });
            let comment = format!("form {form}, from generation {generation}");
            vector = vector.ok(comment, with(of_generation(generation), more));
        }
    }
    vector
}

fn payloads() -> Vector {
    let mut vector = Vector::new(
        "control_payload_is_exact",
        "§11.1.1",
        "open_control",
        "A payload that is shorter, longer or of no form is refused though its tag holds.",
    );
    for (what, role, op, good) in all_good() {
        for count in [0, 1, good.len() - 1, good.len() + 1, good.len() + 16, 400] {
            let mut payload = good.clone();
            payload.resize(count, 0);
            vector =
                vector.reject(format!("{what}, {count} bytes"), to(role, &seal(op, &payload)), "control");
        }
    }
    for (form, count) in [(1, 33), (0, 65), (2, 33), (2, 65), (0xff, 33), (0x81, 65)] {
        let mut payload = offer(true).payload();
        payload.truncate(count);
        payload[32] = form;
        let comment = format!("form {form} in {count} bytes");
        vector = vector.reject(comment, to("client", &seal(OFFER, &payload)), "control");
    }
    vector
}

fn foreign_op() -> Vector {
    let mut vector = Vector::new(
        "control_op_is_of_the_receiver",
        "§11.1.1",
        "open_control",
        "An op that its receiver does not take is refused, whoever sealed it.",
    );
    for op in [0, 4, 0x0100, 0x0101, u16::MAX] {
        for (role, key) in [("server", keys().ctlc), ("client", keys().ctls)] {
            let frame = seal_control(&key, control_header(KEY_ID, GENERATION, op, STAMP), &[0; 33]);
            vector = vector.reject(format!("op {op} to a {role}"), to(role, &frame), "control");
        }
    }
    for (what, role, op, payload) in all_good() {
        let other = if role == "server" { "client" } else { "server" };
        let key = if other == "server" { keys().ctlc } else { keys().ctls };
        let frame = seal_control(&key, control_header(KEY_ID, GENERATION, op, STAMP), &payload);
        vector = vector.reject(format!("{what} to a {other}"), to(other, &frame), "control");
        let reflected = seal(op, &payload);
        vector = vector.reject(format!("{what} sent back to its sender"), to(other, &reflected), "control");
    }
    vector
}

fn readable() -> Vector {
    let mut vector = Vector::new(
        "control_is_never_readable",
        "§11.1.1",
        "open_control",
        "A control frame without sealed is refused, also if its tag was made so.",
    );
    for (what, role, op, payload) in all_good() {
        let key = if role == "server" { keys().ctlc } else { keys().ctls };
        let header = Header { flags: 0, ..control_header(KEY_ID, GENERATION, op, STAMP) };
        vector = vector.reject(what, to(role, &seal_control(&key, header, &payload)), "control");
        let turned = flip(&seal(op, &payload), 3, 0);
        vector = vector.reject(format!("{what}, turned on the way"), to(role, &turned), "control");
    }
    vector
}

fn tampered() -> Vector {
    let mut vector = Vector::new(
        "control_is_authenticated",
        "§11.1",
        "open_control",
        "A bit turned in the header, the payload or the tag does not open.",
    );
    for (what, role, op, payload) in all_good() {
        let good = seal(op, &payload);
        let places = [14, 15, 22, 27, 28, 59, good.len() - 17, good.len() - 16, good.len() - 1];
        for at in places {
            let bad = flip(&good, at, (at % 8) as u8);
            vector = vector.reject(format!("{what}, byte {at}"), to(role, &bad), "control");
        }
    }
    vector
}

fn truncated() -> Vector {
    let mut vector = Vector::new(
        "control_truncated_is_refused",
        "§11.1.1",
        "open_control",
        "A frame whose end was cut off, its length made to fit, does not open.",
    );
    for (what, role, op, payload) in all_good() {
        let good = seal(op, &payload);
        for count in [1, 16, payload.len()] {
            let bad = cut_end(&good, count);
            vector = vector.reject(format!("{what}, {count} bytes cut"), to(role, &bad), "control");
        }
    }
    vector
}

fn keyed() -> Vector {
    let mut vector = Vector::new(
        "control_key_is_of_the_direction",
        "§11.1",
        "open_control",
        "Only the control key of the direction, the generation and the key id opens.",
    );
    let other_generation = schedule(key("gs of control"), KEY_ID, GENERATION + 1);
    let other_id = schedule(key("gs of control"), KEY_ID + 1, GENERATION);
    for (what, role, op, payload) in all_good() {
        let by_role = |keys: &Schedule| if role == "server" { keys.ctlc } else { keys.ctls };
        let reversed = if role == "server" { keys().ctls } else { keys().ctlc };
        for (name, key) in [
            ("the other direction", reversed),
            ("another generation", by_role(&other_generation)),
            ("another key id", by_role(&other_id)),
            ("the request chain", keys().ck0),
            ("GS_g", keys().gs),
        ] {
            let frame = seal_control(&key, control_header(KEY_ID, GENERATION, op, STAMP), &payload);
            vector = vector.reject(format!("{what} under the key of {name}"), to(role, &frame), "control");
        }
    }
    vector
}

/// Points that §10.3.1 refuses: of low order, or not canonical.
pub(super) fn bad_points() -> Vec<(String, [u8; 32])> {
    let low = |(i, point): (usize, &&str)| {
        (format!("low order {i}"), decode(point).expect("hex").try_into().expect("32 bytes"))
    };
    let mut points: Vec<(String, [u8; 32])> = LOW_ORDER.iter().enumerate().map(low).collect();
    let mut high = KeyPair::new(key("a point")).public;
    high[31] |= 0x80;
    let mut nine = [0xff; 32];
    (nine[0], nine[31]) = (0xf6, 0x7f);
    points.push(("a good point with bit 255".to_owned(), high));
    points.push(("9, written as p + 9".to_owned(), nine));
    points
}
