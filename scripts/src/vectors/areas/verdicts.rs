//! Requests answered together.

use super::{
    material::{KEY_ID, ORIGIN, bytes, flip, key, key_id},
    request::SUITES,
};
use crate::{
    hex::encode,
    reference::suite::Suite,
    vectors::{run::answer_of, vector::Vector},
};
use serde_json::{Value, json};

/// Timestamp of every request: while a session nobody used yet is remembered.
const AT: u64 = ORIGIN + 2_000;
const OP: u16 = 7;

fn session(suite: u16) -> Value {
    json!({
        "suite": suite,
        "gs0": encode(&key("gs0")),
        "key_id": key_id(KEY_ID),
        "origin": ORIGIN,
        "at": AT,
    })
}

fn with(mut inputs: Value, members: Value) -> Value {
    let (Value::Object(inputs_map), Value::Object(members)) = (&mut inputs, members) else {
        unreachable!("both are objects")
    };
    inputs_map.extend(members);
    inputs
}

/// A frame of `counters` as a server with the keys would seal it, also where it should not.
fn answer(suite: Suite, counters: &[u64], extra: &[u8]) -> Vec<u8> {
    answer_of(suite, (KEY_ID, key("gs0"), ORIGIN, AT), (OP, b"body"), counters, extra)
}

/// A client that sealed `count` requests, those from `joint_from` on with `joint`, and gave up some.
fn opened(suite: u16, count: usize, joint_from: u64, given_up: &[u64], frame: &[u8]) -> Value {
    let request = json!({ "op": OP, "payload": encode(b"body") });
    with(
        session(suite),
        json!({
            "joint_from": joint_from,
            "requests": vec![request; count],
            "given_up": given_up,
            "frame": encode(frame),
        }),
    )
}

pub(super) fn vectors() -> Vec<Vector> {
    let mut all = vec![sealed()];
    all.extend(shapes());
    all.push(authenticated());
    all
}

fn sealed() -> Vector {
    let mut vector = Vector::new(
        "verdicts_of_neighbours_are_sealed",
        "§7.4",
        "verdicts",
        "Requests with joint, and the VERDICTS that answers them under the key of the first.",
    );
    for (id, name, _) in SUITES {
        for count in [2_u16, 3, 17, 128] {
            let request = |number: u16| {
                let payload = bytes("payload", usize::from(number % 30));
                json!({ "op": number, "payload": encode(&payload), "status": number * 511 })
            };
            let requests: Vec<_> = (0..count).map(request).collect();
            let inputs = with(session(id), json!({ "now": AT + 3, "requests": requests }));
            vector = vector.ok(format!("{name}, {count} requests"), inputs);
        }
    }
    vector
}

fn shapes() -> Vec<Vector> {
    let op = "open_verdicts";
    let mut good =
        Vector::new("verdicts_are_opened", "§7.4.2", op, "Every entry is a verdict on its request.");
    let mut shape = Vector::new(
        "verdicts_of_another_shape_are_refused",
        "§7.4.2",
        op,
        "Entries are 2 to 128, whole, ascending, and nothing follows them.",
    );
    let mut missing = Vector::new(
        "verdicts_on_a_request_not_waiting_are_refused_whole",
        "§7.4.2",
        op,
        "One entry that names no outstanding request refuses all.",
    );
    let mut alone = Vector::new(
        "verdicts_on_a_request_without_joint_are_refused_whole",
        "§7.4.2",
        op,
        "One entry whose request did not carry joint refuses all.",
    );
    let all: Vec<u64> = (0..129).collect();
    for (id, name, suite) in SUITES {
        let open = |counters: &[u64], extra: &[u8]| opened(id, 129, 0, &[], &answer(suite, counters, extra));
        good = good
            .ok(format!("{name}, neighbours"), open(&[0, 1], &[]))
            .ok(format!("{name}, gaps"), open(&[3, 5, 100], &[]))
            .ok(format!("{name}, 128 entries"), open(&all[..128], &[]));
        for (comment, counters, extra) in [
            ("no entry", &[][..], &[][..]),
            ("one entry", &[3], &[]),
            ("129 entries", &all, &[]),
            ("a counter twice", &[3, 3], &[]),
            ("descending", &[4, 3], &[]),
            ("one byte more", &[3, 4], &[0]),
            ("seven bytes more", &[3, 4], &[0; 7]),
        ] {
            shape = shape.reject(format!("{name}, {comment}"), open(counters, extra), "field");
        }
        let frame = answer(suite, &[1, 2, 3], &[]);
        for given_up in [1, 2, 3] {
            let inputs = opened(id, 4, 0, &[given_up], &frame);
            missing = missing.reject(format!("{name}, entry of counter {given_up}"), inputs, "field");
        }
        missing = missing.reject(format!("{name}, never sent"), opened(id, 3, 0, &[], &frame), "field");
        for joint_from in [2, 3, 4] {
            let inputs = opened(id, 4, joint_from, &[], &frame);
            alone = alone.reject(format!("{name}, joint from counter {joint_from} on"), inputs, "field");
        }
    }
    vec![good, shape, missing, alone]
}

fn authenticated() -> Vector {
    let mut vector = Vector::new(
        "verdicts_are_authenticated",
        "§7.4.2",
        "open_verdicts",
        "A bit turned in timestamp, status or tag is a bad tag; in what names the requests, a wrong field.",
    );
    for (id, name, suite) in SUITES {
        let frame = answer(suite, &[1, 2, 3], &[]);
        for (at, reason) in [
            (4, "field"),
            (13, "field"),
            (21, "field"),
            (22, "bad_tag"),
            (27, "bad_tag"),
            (33, "field"),
            (34, "bad_tag"),
            (35, "bad_tag"),
            (51, "bad_tag"),
            (52, "bad_tag"),
            (67, "bad_tag"),
        ] {
            let inputs = opened(id, 4, 0, &[], &flip(&frame, at, 3));
            vector = vector.reject(format!("{name}, byte {at}"), inputs, reason);
        }
    }
    vector
}
