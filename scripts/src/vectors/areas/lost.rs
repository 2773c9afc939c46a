//! LOST frames.

use super::material::{KEY_ID, bytes, flip, frame, key, request_header};
use crate::{
    hex::encode,
    reference::{
        frame::Header,
        lost::{decoy_key, lost_frame, lost_key},
    },
    vectors::vector::Vector,
};
use serde_json::{Value, json};

fn make(secret: &str, request: &[u8]) -> Value {
    let node_slot = Header::decode(request).key_id >> 48;
    json!({ "reset_secret": encode(&key(secret)), "node_slot": node_slot, "request": encode(request) })
}

fn open(lost_key: &[u8; 16], request: &[u8], frame: &[u8]) -> Value {
    json!({ "lost_key": encode(lost_key), "request": encode(request), "frame": encode(frame) })
}

pub(super) fn vectors() -> Vec<Vector> {
    let request = frame(request_header(), &bytes("payload", 20));
    let of = |header: Header| frame(header, &[]);
    let made = Vector::new(
        "lost_genuine_and_decoy",
        "§9.1",
        "lost",
        "LOST of 44 bytes, genuine and decoy, of a request.",
    )
    .ok("", make("reset", &request))
    .ok("another reset secret", make("other reset", &request))
    .ok("another key id", make("reset", &of(Header { key_id: KEY_ID + 1, ..request_header() })))
    .ok("another node slot", make("reset", &of(Header { key_id: KEY_ID ^ 1 << 48, ..request_header() })))
    .ok("the last node slot", make("reset", &of(Header { key_id: u64::MAX, ..request_header() })));
    let echo = Vector::new(
        "lost_echoes_the_request",
        "§3.2.7",
        "lost",
        "LOST echoes key id, generation, counter and timestamp; op and flags are 0.",
    )
    .ok("flags set", make("reset", &of(Header { flags: 7, ..request_header() })))
    .ok("fields at their most", {
        let most = (1 << 48) - 1;
        let header = Header { generation: u16::MAX, op: u16::MAX, ..request_header() };
        make("reset", &of(Header { counter: most, timestamp: most, ..header }))
    });

    let held = lost_key(&key("reset"), 7, KEY_ID);
    let genuine = lost_frame(&held, &request);
    let good = Vector::new("lost_genuine_is_believed", "§9.3", "open_lost", "A genuine LOST verifies.")
        .gives("", open(&held, &request, &genuine), json!({ "ok": {} }));
    let decoy = lost_frame(&decoy_key(&key("reset"), 7, KEY_ID), &request);
    let other_key = lost_frame(&lost_key(&key("reset"), 7, KEY_ID + 1), &request);
    let bad = Vector::new(
        "lost_decoy_is_not_believed",
        "§9.1",
        "open_lost",
        "No other key makes a LOST that verifies.",
    )
    .reject("decoy", open(&held, &request, &decoy), "bad_tag")
    .reject("lost_key of another key id", open(&held, &request, &other_key), "bad_tag")
    .reject("zeros", open(&held, &request, &[&genuine[..28], &[0; 16]].concat()), "bad_tag");
    let tag_of_other = flip(&request, 50, 0);
    let header_of_other = flip(&request, 15, 0);
    let bound = Vector::new(
        "lost_belongs_to_one_request",
        "§9",
        "open_lost",
        "A LOST verifies only for the request whose header and tag it was made of.",
    )
    .reject("another tag", open(&held, &tag_of_other, &genuine), "bad_tag")
    .reject("another op", open(&held, &header_of_other, &genuine), "bad_tag")
    .gives("another payload alone", open(&held, &flip(&request, 30, 0), &genuine), json!({ "ok": {} }));
    let mut tampered =
        Vector::new("lost_tag_is_whole", "§9.3", "open_lost", "A bit of the tag turned is a bad tag.");
    for at in 28..44 {
        let frame = flip(&genuine, at, (at % 8) as u8);
        tampered = tampered.reject(format!("byte {at}"), open(&held, &request, &frame), "bad_tag");
    }
    vec![made, echo, good, bad, bound, tampered]
}
