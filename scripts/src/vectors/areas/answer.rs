//! Answers sealed and opened.

use super::{
    material::{KEY_ID, ORIGIN, bytes, cut_end, flip, key, key_id, request_header},
    request::SUITES,
};
use crate::{
    hex::encode,
    reference::{
        frame::{Header, parts},
        suite::{Suite, seal},
    },
    vectors::vector::Vector,
};
use serde_json::{Value, json};

/// The tag of the request that `bytes` of payload make.
fn request_tag(suite: Suite, payload: &[u8]) -> Vec<u8> {
    let request = seal(suite, &key("k_req"), request_header(), payload, &[]);
    parts(&request).2.to_vec()
}

fn open(suite: u16, request_tag: &[u8], frame: &[u8]) -> Value {
    json!({
        "suite": suite,
        "k_req": encode(&key("k_req")),
        "request_tag": encode(request_tag),
        "frame": encode(frame),
    })
}

fn answer(suite: Suite, kind: &str, status: u16, payload: &[u8]) -> Vec<u8> {
    let header = Header { op: status, timestamp: ORIGIN + 70_012, ..request_header() };
    let header = Header { kind: Header::of(kind).kind, ..header };
    seal(suite, &key("k_req"), header, payload, &request_tag(suite, b"request"))
}

pub(super) fn vectors() -> Vec<Vector> {
    let mut all = seals();
    all.extend(opens());
    all.extend(forgeries());
    all
}

fn seals() -> Vec<Vector> {
    let case = |suite: u16, kind: &str, status: u16, payload: &[u8]| {
        json!({
            "suite": suite,
            "k_req": encode(&key("k_req")),
            "request_tag": encode(&bytes("request tag", 16)),
            "key_id": key_id(KEY_ID),
            "generation": 2,
            "status": status,
            "counter": 77,
            "timestamp": ORIGIN + 9,
            "payload": encode(payload),
            "kind": kind,
        })
    };
    let mut vectors = Vec::new();
    for (suite, resp, err) in [
        (1, "answer_hs256_is_sealed", "answer_hs256_err_is_sealed"),
        (2, "answer_gcm256_is_sealed", "answer_gcm256_err_is_sealed"),
    ] {
        let mut vector =
            Vector::new(resp, "§4", "seal_response", "A RESP is sealed with the tag of its request.");
        for count in [0, 1, 16, 20, 21, 500] {
            vector = vector.ok(format!("{count} bytes"), case(suite, "RESP", 200, &bytes("payload", count)));
        }
        vectors.push(vector.ok("last status", case(suite, "RESP", u16::MAX, b"x")));
        let mut vector =
            Vector::new(err, "§7.3", "seal_response", "An ERR is sealed like a RESP without payload.");
        for (status, reason) in [
            (1, "STALE"),
            (2, "REPLAY"),
            (3, "LIMIT"),
            (4, "RENEW"),
            (5, "REVOKED"),
            (6, "EXPIRED"),
            (7, "PENDING"),
        ] {
            vector = vector.ok(reason, case(suite, "ERR", status, b""));
        }
        vectors.push(vector);
    }
    vectors
}

fn opens() -> Vec<Vector> {
    let op = "open_response";
    let mut good = Vector::new("answer_sealed_is_opened", "§4", op, "What was sealed opens to the same.");
    let mut bound = Vector::new(
        "answer_belongs_to_one_request",
        "§4.4",
        op,
        "An answer does not open with the tag of another request, also not under the same key.",
    );
    let mut kinds = Vector::new(
        "answer_kind_is_authenticated",
        "§4",
        op,
        "A RESP is no ERR, an ERR no RESP, and a request whose kind is made RESP no answer.",
    );
    for (id, name, suite) in SUITES {
        let own = request_tag(suite, b"request");
        for count in [0, 20, 300] {
            let frame = answer(suite, "RESP", 200, &bytes("payload", count));
            good = good.ok(format!("{name}, RESP, {count} bytes"), open(id, &own, &frame));
        }
        for (status, reason) in [(1, "STALE"), (6, "EXPIRED"), (7, "PENDING")] {
            let frame = answer(suite, "ERR", status, &[]);
            good = good.ok(format!("{name}, ERR {reason}"), open(id, &own, &frame));
        }
        let frame = answer(suite, "RESP", 200, b"answer");
        let other = request_tag(suite, b"another");
        bound = bound.reject(format!("{name}, another request"), open(id, &other, &frame), "bad_tag");
        bound = bound.reject(format!("{name}, one bit"), open(id, &flip(&own, 15, 0), &frame), "bad_tag");
        bound = bound.reject(format!("{name}, zeros"), open(id, &[0; 16], &frame), "bad_tag");

        let swapped = flip(&answer(suite, "RESP", 1, &[]), 2, 0);
        kinds = kinds.reject(format!("{name}, RESP made ERR"), open(id, &own, &swapped), "bad_tag");
        let swapped = flip(&answer(suite, "ERR", 1, &[]), 2, 0);
        kinds = kinds.reject(format!("{name}, ERR made RESP"), open(id, &own, &swapped), "bad_tag");
        let request = seal(suite, &key("k_req"), request_header(), b"request", &[]);
        let mut forged = request;
        forged[2] = 0x12;
        kinds = kinds.reject(format!("{name}, REQ made RESP"), open(id, &own, &forged), "bad_tag");
    }
    // HS256 hashes payload ‖ request tag: what moves from one to the other changes the length field.
    let own = request_tag(Suite::Hs256, b"request");
    let frame = answer(Suite::Hs256, "RESP", 200, b"answer");
    let (_, payload, tag) = parts(&frame);
    let longer = Header::decode(&frame).encode(payload.len() + 8);
    let moved = [longer.as_slice(), payload, &own[..8], tag].concat();
    let boundary = Vector::new(
        "answer_hs256_payload_ends_before_the_request_tag",
        "§4",
        op,
        "Half of the request tag moved into the payload is a bad tag.",
    )
    .reject("", open(1, &[&own[8..], &[0; 8]].concat(), &moved), "bad_tag");
    vec![good, bound, kinds, boundary]
}

fn forgeries() -> Vec<Vector> {
    let op = "open_response";
    let mut vectors = Vec::new();
    let names = [
        ["answer_hs256_is_authenticated", "answer_hs256_truncated_is_refused"],
        ["answer_gcm256_is_authenticated", "answer_gcm256_truncated_is_refused"],
    ];
    for ([authentic, truncated], (id, _, suite)) in names.into_iter().zip(SUITES) {
        let own = request_tag(suite, b"request");
        let frame = answer(suite, "RESP", 200, &bytes("payload", 20));
        let mut vector =
            Vector::new(authentic, "§4", op, "A bit of header, payload or tag turned is a bad tag.");
        for at in (3..4).chain(4..64) {
            let bit = if at == 3 { 0 } else { (at % 8) as u8 };
            let inputs = open(id, &own, &flip(&frame, at, bit));
            vector = vector.reject(format!("byte {at}"), inputs, "bad_tag");
        }
        let mut cut = Vector::new(truncated, "§4", op, "An answer that lost bytes at its end is a bad tag.");
        for count in [1, 4, 16, 20] {
            let inputs = open(id, &own, &cut_end(&frame, count));
            cut = cut.reject(format!("{count} bytes less"), inputs, "bad_tag");
        }
        vectors.extend([vector, cut]);
    }
    vectors
}
