//! Frames cut out of streams.

use super::material::{bytes, cut_end, flip, frame, request_header};
use crate::{hex::encode, reference::frame::Header, vectors::vector::Vector};
use serde_json::{Value, json};

const OP: &str = "stream_cut";

fn chunks(role: &str, chunks: &[&[u8]]) -> Value {
    let chunks: Vec<String> = chunks.iter().map(|chunk| encode(chunk)).collect();
    json!({ "role": role, "chunks": chunks })
}

fn frames(frames: &[&[u8]], end: Value) -> Value {
    let frames: Vec<String> = frames.iter().map(|frame| encode(frame)).collect();
    json!({ "frames": frames, "end": end })
}

/// Three requests of 44, 64 and 144 bytes.
fn requests() -> [Vec<u8>; 3] {
    [0, 20, 100].map(|count| frame(request_header(), &bytes("payload", count)))
}

pub(super) fn vectors() -> Vec<Vector> {
    let mut all = splits();
    all.extend(ends());
    all
}

fn splits() -> Vec<Vector> {
    let [a, b, c] = requests();
    let whole = [a.as_slice(), &b, &c].concat();
    let same = frames(&[&a, &b, &c], json!("clean"));
    let single: Vec<&[u8]> = whole.chunks(1).collect();
    let bytewise =
        Vector::new("stream_of_single_bytes", "§3.2.6", OP, "A stream cut into single bytes means the same.")
            .gives("", chunks("server", &single), same.clone());
    let joined =
        Vector::new("stream_of_one_chunk", "§3.2.6", OP, "Frames that arrive together mean the same.")
            .gives("", chunks("server", &[&whole]), same.clone())
            .gives("empty chunks between", chunks("server", &[&[], &whole, &[]]), same.clone());
    let mut split = Vector::new(
        "stream_split_anywhere",
        "§3.2.6",
        OP,
        "A stream in two chunks means the same, wherever it is split.",
    );
    for at in [1, 2, 3, 27, 28, 43, 44, 45, 46, 91, 92, 107, 108, 109, 110, 251] {
        let (first, second) = whole.split_at(at);
        split = split.gives(format!("at byte {at}"), chunks("server", &[first, second]), same.clone());
    }
    let mut answers = Vec::new();
    for (kind, payload) in [("RESP", 5), ("LOST", 0), ("RESP", 0)] {
        let header = Header { kind: Header::of(kind).kind, op: 0, ..request_header() };
        answers.push(frame(header, &bytes("answer", payload)));
    }
    let client =
        Vector::new("stream_to_a_client", "§3.2.6", OP, "A client cuts answers as a server cuts requests.")
            .gives(
                "",
                chunks(
                    "client",
                    &[&answers[0][..10], &[&answers[0][10..], &answers[1], &answers[2]].concat()],
                ),
                frames(&[&answers[0], &answers[1], &answers[2]], json!("clean")),
            );
    vec![bytewise, joined, split, client]
}

fn ends() -> Vec<Vector> {
    let [a, b, c] = requests();
    let mut truncated = Vector::new(
        "stream_truncated_frame_has_no_effect",
        "§3.2.6",
        OP,
        "A truncated frame at the end of a connection is no frame.",
    )
    .gives("nothing at all", chunks("server", &[]), frames(&[], json!("clean")))
    .gives("at a frame's end", chunks("server", &[&a]), frames(&[&a], json!("clean")));
    for have in [1, 2, 3, 28, 44, 63] {
        truncated = truncated.gives(
            format!("{have} of 64 bytes"),
            chunks("server", &[&a, &b[..have]]),
            frames(&[&a], json!("truncated")),
        );
    }
    let mut refused = Vector::new(
        "stream_refusal_ends_it",
        "§3.2.5",
        OP,
        "Frames before a refused one are cut; nothing after it is.",
    );
    for (reason, bad) in [
        ("version", flip(&b, 2, 5)),
        ("kind", flip(&b, 2, 1)),
        ("flags", flip(&b, 3, 7)),
        ("length", [[0, 41].as_slice(), &b[2..]].concat()),
        ("field", frame(Header { generation: 1, op: 1, ..Header::of("HELLO") }, &[0; 468])),
    ] {
        refused = refused.gives(
            reason,
            chunks("server", &[&a, &b, &bad, &c]),
            frames(&[&a, &b], json!({ "reject": reason })),
        );
    }
    let early = Vector::new(
        "stream_length_is_refused_at_once",
        "§3.2.1",
        OP,
        "Two bytes of a bad length field end a stream; no further byte is needed.",
    )
    .gives("41", chunks("server", &[&a, &[0, 41]]), frames(&[&a], json!({ "reject": "length" })))
    .gives("16427, split", chunks("server", &[&[0x40], &[0x2b]]), frames(&[], json!({ "reject": "length" })))
    .gives("the first byte alone", chunks("server", &[&[0xff]]), frames(&[], json!("truncated")));
    let short = cut_end(&a, 1);
    let shifted = Vector::new(
        "stream_length_alone_bounds_a_frame",
        "§3.2.1",
        OP,
        "The length field alone says where a frame ends.",
    )
    .gives("a length below 42", chunks("server", &[&short, &b]), frames(&[], json!({ "reject": "length" })))
    .gives(
        "one byte less of payload",
        chunks("server", &[&cut_end(&b, 1), &c]),
        frames(&[&cut_end(&b, 1), &c], json!("clean")),
    );
    vec![truncated, refused, early, shifted]
}
