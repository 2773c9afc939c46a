//! Requests sealed and opened.

use super::material::{KEY_ID, ORIGIN, bytes, cut_end, flip, key, key_id, request_header};
use crate::{
    hex::encode,
    reference::{
        frame::{Header, SEALED},
        suite::{Suite, seal},
    },
    vectors::vector::Vector,
};
use serde_json::{Value, json};

/// The suites with their number and name.
pub(super) const SUITES: [(u16, &str, Suite); 2] = [(1, "HS256", Suite::Hs256), (2, "GCM256", Suite::Gcm256)];

fn open(suite: u16, frame: &[u8]) -> Value {
    json!({ "suite": suite, "k_req": encode(&key("k_req")), "frame": encode(frame) })
}

fn sealed(suite: Suite, payload: &[u8]) -> Vec<u8> {
    seal(suite, &key("k_req"), request_header(), payload, &[])
}

pub(super) fn vectors() -> Vec<Vector> {
    let mut all = seals();
    all.extend(opens());
    all.extend(forgeries());
    all.extend(confusions());
    all
}

fn seals() -> Vec<Vector> {
    let case = |suite: u16, payload: &[u8], counter: u64, timestamp: u64| {
        json!({
            "suite": suite,
            "k_req": encode(&key("k_req")),
            "key_id": key_id(KEY_ID),
            "generation": 2,
            "op": 0x0102,
            "counter": counter,
            "timestamp": timestamp,
            "payload": encode(payload),
        })
    };
    let mut vectors = Vec::new();
    for (suite, name, property) in [
        (1, "request_hs256_is_sealed", "HS256 leaves the payload readable under an HMAC of 16 bytes."),
        (2, "request_gcm256_is_sealed", "GCM256 encrypts the payload and says so, also when it is empty."),
    ] {
        let mut vector = Vector::new(name, "§4", "seal_request", property);
        for count in [0, 1, 15, 16, 17, 20, 21, 64, 1000] {
            let inputs = case(suite, &bytes("payload", count), 77, ORIGIN + 5);
            vector = vector.ok(format!("{count} bytes"), inputs);
        }
        let most = (1 << 48) - 1;
        vectors.push(vector.ok("last counter and timestamp", case(suite, b"x", most, most)));
    }
    let largest =
        Vector::new("request_largest_is_sealed", "§2", "seal_request", "A payload of 16384 bytes is sealed.")
            .ok("GCM256", case(2, &bytes("byte", 1).repeat(16384), 77, ORIGIN));
    vectors.push(largest);
    vectors
}

fn opens() -> Vec<Vector> {
    let mut good =
        Vector::new("request_sealed_is_opened", "§4", "open_request", "What was sealed opens to the same.");
    let mut flags = Vector::new(
        "request_flags_are_authenticated",
        "§4.2",
        "open_request",
        "A request does not open with another sealed flag than it was sealed with.",
    );
    for (id, name, suite) in SUITES {
        for count in [0, 1, 20, 300] {
            good =
                good.ok(format!("{name}, {count} bytes"), open(id, &sealed(suite, &bytes("payload", count))));
        }
        let turned = flip(&sealed(suite, b"payload"), 3, 0);
        flags = flags.reject(format!("{name}, sealed turned"), open(id, &turned), "bad_tag");
    }
    let largest =
        Vector::new("request_largest_is_opened", "§2", "open_request", "A payload of 16384 bytes is opened.")
            .ok("HS256", open(1, &sealed(Suite::Hs256, &bytes("byte", 1).repeat(16384))));
    vec![good, flags, largest]
}

fn forgeries() -> Vec<Vector> {
    let names = [
        ["request_hs256_header_is_authenticated", "request_gcm256_header_is_authenticated"],
        ["request_hs256_payload_is_authenticated", "request_gcm256_payload_is_authenticated"],
        ["request_hs256_tag_is_whole", "request_gcm256_tag_is_whole"],
        ["request_hs256_truncated_is_refused", "request_gcm256_truncated_is_refused"],
    ];
    let mut vectors = Vec::new();
    for (i, (id, _, suite)) in SUITES.into_iter().enumerate() {
        let op = "open_request";
        let frame = sealed(suite, &bytes("payload", 40));
        let bad = |vector: Vector, comment: String, frame: &[u8]| {
            vector.reject(comment, open(id, frame), "bad_tag")
        };
        let mut header = Vector::new(names[0][i], "§4", op, "A bit of any header field turned is a bad tag.");
        for at in 4..28 {
            header = bad(header, format!("byte {at}"), &flip(&frame, at, (at % 8) as u8));
        }
        let mut payload = Vector::new(names[1][i], "§4", op, "A bit of the payload turned is a bad tag.");
        for at in [28, 29, 43, 44, 60, 67] {
            payload = bad(payload, format!("byte {at}"), &flip(&frame, at, (at % 8) as u8));
        }
        let mut tag =
            Vector::new(names[2][i], "§4.3", op, "A bit of any byte of the tag turned is a bad tag.");
        for at in 68..84 {
            tag = bad(tag, format!("byte {at}"), &flip(&frame, at, (at % 8) as u8));
        }
        tag = bad(tag, "all zero".to_owned(), &[&frame[..68], &[0; 16]].concat());
        let mut cut = Vector::new(
            names[3][i],
            "§4",
            op,
            "A frame that lost bytes at its end, length field made to fit, is a bad tag.",
        );
        for count in [1, 2, 8, 15, 16, 39, 40] {
            cut = bad(cut, format!("{count} bytes less"), &cut_end(&frame, count));
        }
        vectors.extend([header, payload, tag, cut]);
    }
    vectors
}

fn confusions() -> Vec<Vector> {
    let op = "open_request";
    let mut keys =
        Vector::new("request_key_is_bound", "§5.3", op, "A request does not open under another key.");
    let mut suites = Vector::new(
        "request_sealed_flag_fits_the_suite",
        "§4.2",
        op,
        "A sealed flag that is not the suite's is a bad tag, also when the payload is empty.",
    );
    let mut kinds = Vector::new(
        "request_is_no_answer_relabelled",
        "§4",
        op,
        "A RESP or ERR whose kind is made REQ does not open as a request.",
    );
    for (id, name, suite) in SUITES {
        let (_, _, other) = SUITES[usize::from(2 - id)];
        let foreign = seal(suite, &key("other k_req"), request_header(), b"payload", &[]);
        keys = keys.reject(name, open(id, &foreign), "bad_tag");
        for payload in ["", "payload"] {
            let frame = sealed(suite, payload.as_bytes());
            let comment = format!("{name}, {payload:?}");
            suites =
                suites.reject(format!("{comment}, flag turned"), open(id, &flip(&frame, 3, 0)), "bad_tag");
            let foreign = sealed(other, payload.as_bytes());
            suites = suites.reject(format!("{comment}, of the other suite"), open(id, &foreign), "bad_tag");
            let mut forced = foreign;
            forced[3] = forced[3] & !SEALED | frame[3] & SEALED;
            let comment = format!("{comment}, of the other suite, flag made to fit");
            suites = suites.reject(comment, open(id, &forced), "bad_tag");
        }
        for kind in ["RESP", "ERR"] {
            let header = Header { kind: Header::of(kind).kind, ..request_header() };
            let mut answer = seal(suite, &key("k_req"), header, &[], &bytes("request tag", 16));
            answer[2] = 0x11;
            kinds = kinds.reject(format!("{name}, {kind}"), open(id, &answer), "bad_tag");
        }
    }
    vec![keys, suites, kinds]
}
