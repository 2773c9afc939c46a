//! Frames judged by their header.

use super::material::{KEY_ID, ORIGIN, bytes, frame, request_header};
use crate::{
    hex::encode,
    reference::frame::{ACK, Header, JOINT, KINDS, LAST, SEALED},
    vectors::vector::Vector,
};
use serde_json::{Value, json};

const OP: &str = "header_parse";

fn to(role: &str, frame: &[u8]) -> Value {
    json!({ "role": role, "frame": encode(frame) })
}

/// Kinds with their text in force, by receiver.
const SERVER_KINDS: [&str; 5] = ["REQ", "CTL", "HELLO", "RESUME", "RECOVER"];
const CLIENT_KINDS: [&str; 9] =
    ["RESP", "ERR", "VERDICTS", "CTL", "LOST", "HELLO_R", "RETRY", "RESUME_R", "RECOVER_R"];

/// Kinds that use the key id.
const WITH_KEY_ID: [&str; 6] = ["REQ", "RESP", "ERR", "VERDICTS", "CTL", "LOST"];

/// A good frame of a kind, all fields 0 but what the kind needs.
fn shortest(kind: &str) -> Vec<u8> {
    let (op, payload_bytes) = match kind {
        "HELLO" | "RESUME" | "RECOVER" => (1, 468),
        "HELLO_R" | "RESUME_R" | "RECOVER_R" => (0, 130),
        "CTL" => (1, 33),
        "VERDICTS" => (0, 16),
        "RETRY" => (1, 16),
        "ERR" => (1, 0),
        _ => (0, 0),
    };
    let key_id = if WITH_KEY_ID.contains(&kind) { KEY_ID } else { 0 };
    let counter = if kind == "CTL" { 0 } else { 9 };
    frame(Header { op, key_id, counter, ..Header::of(kind) }, &vec![0; payload_bytes])
}

/// `frame` with another byte at `at`.
fn set(frame: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut out = frame.to_vec();
    out[at] = byte;
    out
}

pub(super) fn vectors() -> Vec<Vector> {
    let mut all = lengths();
    all.extend(versions());
    all.extend(kinds());
    all.extend(flags());
    all.extend(fields());
    all
}

fn lengths() -> Vec<Vector> {
    let mut bounds = Vector::new(
        "frame_length_bounds",
        "§3.2.1",
        OP,
        "A length field below 42 or above 16426 is refused as soon as its two bytes are there.",
    );
    for role in ["server", "client"] {
        for length in [0_u16, 1, 26, 41, 16427, 16428, 0x8000, 0xffff] {
            bounds = bounds.reject(format!("length {length}"), to(role, &length.to_be_bytes()), "length");
        }
        for length in [42_u16, 43, 16425, 16426] {
            let total = json!({ "need": length + 2 });
            bounds = bounds.gives(format!("length {length}"), to(role, &length.to_be_bytes()), total);
        }
    }
    let request = frame(request_header(), &bytes("payload", 20));
    let mut need = Vector::new(
        "frame_length_names_the_bytes_needed",
        "§3.2.1",
        OP,
        "Without a length field 2 bytes are needed, with one the whole frame is.",
    );
    for have in [0, 1, 2, 3, 27, 28, 48, 63] {
        let bytes = if have < 2 { 2 } else { 64 };
        need = need.gives(
            format!("{have} of 64 bytes"),
            to("server", &request[..have]),
            json!({ "need": bytes }),
        );
    }
    let largest = Vector::new("frame_length_payload_extremes", "§3.1", OP, "A payload is 0 to 16384 bytes.")
        .ok("empty", to("server", &frame(request_header(), &[])))
        .ok("20 bytes make a frame of 64", to("server", &request))
        .ok("16384 bytes", to("server", &frame(request_header(), &vec![0; 16384])));
    vec![bounds, need, largest]
}

fn versions() -> Vec<Vector> {
    let mut version =
        Vector::new("frame_version_unknown_is_refused", "§3.2.2", OP, "Every version but 1 is refused.");
    let mut unassigned =
        Vector::new("frame_kind_unassigned_is_refused", "§3.2.3", OP, "Kinds 0 and 7 are refused by both.");
    for (role, kind) in [("server", "REQ"), ("client", "RESP")] {
        let good = shortest(kind);
        for nibble in (0..16_u8).filter(|nibble| *nibble != 1) {
            let frame = set(&good, 2, nibble << 4 | good[2] & 0xf);
            version = version.reject(format!("version {nibble}, else a {kind}"), to(role, &frame), "version");
        }
        for number in [0, 7] {
            let frame = set(&good, 2, 0x10 | number);
            unassigned = unassigned.reject(format!("kind {number}"), to(role, &frame), "kind");
        }
    }
    vec![version, unassigned]
}

fn kinds() -> Vec<Vector> {
    let mut vectors = Vec::new();
    let sides = [
        ("frame_kind_not_for_a_server_is_refused", "server", SERVER_KINDS.as_slice()),
        ("frame_kind_not_for_a_client_is_refused", "client", CLIENT_KINDS.as_slice()),
    ];
    for (name, role, received) in sides {
        let mut wrong = Vector::new(
            name,
            "§3.2.3",
            OP,
            "A kind that this role never receives, or whose section is not in force, is refused.",
        );
        for kind in KINDS.iter().filter(|kind| !received.contains(&kind.name)) {
            wrong = wrong.reject(kind.name, to(role, &shortest(kind.name)), "kind");
        }
        vectors.push(wrong);
    }
    let mut received = Vector::new(
        "frame_kind_for_the_role_is_read",
        "§3.2.3",
        OP,
        "A role reads the kinds that the other side sends.",
    );
    for (role, kinds) in [("server", SERVER_KINDS.as_slice()), ("client", &CLIENT_KINDS)] {
        for kind in kinds {
            received = received.ok(*kind, to(role, &shortest(kind)));
        }
    }
    vectors.push(received);
    vectors
}

fn flags() -> Vec<Vector> {
    let receivers = [("server", SERVER_KINDS.as_slice()), ("client", &CLIENT_KINDS)];
    let mut reserved = Vector::new(
        "frame_flags_reserved_are_refused",
        "§3.2.4",
        OP,
        "A flag bit that is not assigned is refused on every kind.",
    );
    let mut foreign = Vector::new(
        "frame_flags_of_another_kind_are_refused",
        "§3.2.4",
        OP,
        "An assigned flag is refused on a kind that does not define it.",
    );
    for (role, kinds) in receivers {
        for kind in kinds {
            for bit in 4..8 {
                let frame = set(&shortest(kind), 3, 1 << bit);
                reserved = reserved.reject(format!("{kind}, bit {bit}"), to(role, &frame), "flags");
            }
            for (name, flag) in [("sealed", SEALED), ("ack", ACK), ("last", LAST), ("joint", JOINT)] {
                let defined = match *kind {
                    "REQ" => true,
                    "RESP" | "ERR" | "CTL" => flag == SEALED,
                    _ => false,
                };
                if !defined {
                    let frame = set(&shortest(kind), 3, flag);
                    foreign = foreign.reject(format!("{name} on {kind}"), to(role, &frame), "flags");
                }
            }
        }
    }
    let request = frame(request_header(), b"x");
    let mut defined = Vector::new(
        "frame_flags_defined_are_read",
        "§3.2.4",
        OP,
        "Requests, answers and control frames may carry sealed; requests ack or last, and joint.",
    );
    let mut both = Vector::new(
        "frame_flags_ack_and_last_exclude_each_other",
        "§3.2.4",
        OP,
        "ack and last are never both set.",
    );
    for sealed in [0, SEALED] {
        for (name, flag) in [("no flag", 0), ("ack", ACK), ("last", LAST)] {
            let comment = format!("REQ, {name}, sealed {sealed}");
            defined = defined.ok(comment, to("server", &set(&request, 3, sealed | flag)));
            let comment = format!("REQ, {name}, joint, sealed {sealed}");
            defined = defined.ok(comment, to("server", &set(&request, 3, sealed | flag | JOINT)));
        }
        let frame = set(&request, 3, sealed | ACK | LAST);
        both = both.reject(format!("sealed {sealed}"), to("server", &frame), "flags");
    }
    for kind in ["RESP", "ERR", "CTL"] {
        defined = defined.ok(format!("{kind}, sealed"), to("client", &set(&shortest(kind), 3, SEALED)));
    }
    vec![reserved, foreign, both, defined]
}

fn fields() -> Vec<Vector> {
    let places = [("key id", 4), ("key id", 11), ("generation", 12), ("generation", 13)];
    let op = [("op", 14), ("op", 15)];
    let timestamp = [("timestamp", 22), ("timestamp", 27)];
    let rows = [
        ("frame_field_hello_unused_are_zero", "server", "HELLO", [&places[..], &timestamp].concat()),
        ("frame_field_hello_r_unused_are_zero", "client", "HELLO_R", [&places[..], &op, &timestamp].concat()),
        ("frame_field_retry_unused_are_zero", "client", "RETRY", [&places[..], &timestamp].concat()),
        ("frame_field_resume_unused_are_zero", "server", "RESUME", [&places[..], &timestamp].concat()),
        (
            "frame_field_resume_r_unused_are_zero",
            "client",
            "RESUME_R",
            [&places[..], &op, &timestamp].concat(),
        ),
        ("frame_field_recover_unused_are_zero", "server", "RECOVER", [&places[..], &timestamp].concat()),
        (
            "frame_field_recover_r_unused_are_zero",
            "client",
            "RECOVER_R",
            [&places[..], &op, &timestamp].concat(),
        ),
        ("frame_field_ctl_counter_is_zero", "server", "CTL", vec![("counter", 16), ("counter", 21)]),
        (
            "frame_field_ctl_counter_is_zero_to_a_client",
            "client",
            "CTL",
            vec![("counter", 16), ("counter", 21)],
        ),
        ("frame_field_verdicts_op_is_zero", "client", "VERDICTS", op.to_vec()),
        ("frame_field_lost_op_is_zero", "client", "LOST", op.to_vec()),
    ];
    let mut vectors = Vec::new();
    for (name, role, kind, zeros) in rows {
        let mut vector =
            Vector::new(name, "§3.2.7", OP, "A field that the kind does not use is refused unless 0.");
        for (field, at) in zeros {
            let bad = set(&shortest(kind), at, 1);
            vector = vector.reject(format!("{field}, byte {at}"), to(role, &bad), "field");
        }
        vectors.push(vector);
    }
    let mut empty =
        Vector::new("frame_field_payload_of_err_and_lost", "§3.2.7", OP, "ERR and LOST have no payload.");
    for kind in ["ERR", "LOST"] {
        let op = u16::from(kind == "ERR");
        for count in [1, 16] {
            let bad = frame(Header { op, key_id: KEY_ID, ..Header::of(kind) }, &vec![0; count]);
            empty = empty.reject(format!("{kind} with {count} bytes"), to("client", &bad), "field");
        }
    }
    let mut named = Vector::new(
        "frame_field_key_id_is_not_zero",
        "§3.2.7",
        OP,
        "A kind that uses the key id is refused with key id 0.",
    );
    for kind in WITH_KEY_ID {
        let role = if SERVER_KINDS.contains(&kind) { "server" } else { "client" };
        let mut bad = shortest(kind);
        bad[4..12].fill(0);
        named = named.reject(kind, to(role, &bad), "field");
    }
    let acknowledged = |generation| Header { flags: ACK, generation, ..request_header() };
    let ack = Vector::new(
        "frame_field_ack_is_not_of_generation_0",
        "§3.2.7",
        OP,
        "Generation 0 is never offered, so ack in it is refused.",
    )
    .reject("generation 0", to("server", &frame(acknowledged(0), &[])), "field")
    .ok("generation 1", to("server", &frame(acknowledged(1), &[])))
    .ok("generation 65535", to("server", &frame(acknowledged(u16::MAX), &[])));
    let full = Header {
        key_id: u64::MAX,
        generation: u16::MAX,
        op: u16::MAX,
        counter: (1 << 48) - 1,
        timestamp: (1 << 48) - 1,
        ..Header::of("REQ")
    };
    let extremes =
        Vector::new("frame_field_extremes_are_read", "§3.1", OP, "Every value of a free field is read.")
            .ok("all ones", to("server", &frame(full, &[])))
            .ok("one", to("server", &frame(Header { key_id: 1, ..Header::of("REQ") }, &[])))
            .ok(
                "distinct bytes",
                to("server", &frame(Header { timestamp: ORIGIN, ..request_header() }, b"x")),
            );
    let mut order = Vector::new(
        "frame_refusal_names_the_first_cause",
        "§3.2",
        OP,
        "Version is judged before kind, kind before flags, flags before fields.",
    );
    let mut bad = set(&shortest("HELLO"), 4, 1);
    order = order.reject("field", to("server", &bad), "field");
    bad[3] = 0xff;
    order = order.reject("flags, field", to("server", &bad), "flags");
    bad[2] = 0x17;
    order = order.reject("kind, flags, field", to("server", &bad), "kind");
    bad[2] = 0x27;
    order = order.reject("version, kind, flags, field", to("server", &bad), "version");
    bad[..2].copy_from_slice(&41_u16.to_be_bytes());
    order = order.reject("length, version, kind, flags, field", to("server", &bad), "length");
    vectors.extend([empty, named, ack, extremes, order]);
    vectors
}
