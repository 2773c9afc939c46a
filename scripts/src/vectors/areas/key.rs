//! Keys: labels, generations, slots, requests.

use super::material::{KEY_ID, ORIGIN, bytes, key, key_id};
use crate::{hex::encode, vectors::vector::Vector};
use serde_json::{Value, json};

fn label_case(label: &str, context: &[u8], count: u64) -> Value {
    json!({ "key": encode(&key("label key")), "label": label, "context": encode(context), "bytes": count })
}

fn schedule_case(h: &str, k1: &str, k2: &str, id: u64, generation: u16) -> Value {
    json!({
        "h": encode(&key(h)),
        "k1": encode(&key(k1)),
        "k2": encode(&key(k2)),
        "key_id": key_id(id),
        "generation": generation,
    })
}

pub(super) fn vectors() -> Vec<Vector> {
    let mut all = labels();
    all.extend(schedules());
    all.extend(slots());
    all.extend(request_keys());
    all
}

fn labels() -> Vec<Vector> {
    let mut names =
        Vector::new("label_names", "§1", "label", "A label separates outputs, down to a prefix of it.");
    for name in ["", "r", "request", "requests", "ratchet", "resume", "confirm", "ctl c2s", "ctl s2c"] {
        names = names.ok(name, label_case(name, &bytes("context", 10), 32));
    }
    let mut contexts =
        Vector::new("label_contexts", "§1", "label", "A context separates outputs, 0 to 255 bytes.");
    for count in [0, 1, 2, 10, 32, 255] {
        contexts = contexts.ok(format!("{count} bytes"), label_case("request", &bytes("context", count), 32));
    }
    let mut lengths = Vector::new(
        "label_output_lengths",
        "§1",
        "label",
        "The output's length is part of what is derived, so no output is a prefix of a longer one.",
    );
    for count in [1, 16, 31, 32, 33, 64, 255, 256, 8160] {
        lengths = lengths.ok(format!("{count} bytes"), label_case("request", &bytes("context", 10), count));
    }
    let boundary = Vector::new(
        "label_boundary_is_framed",
        "§1",
        "label",
        "A byte moved from label to context gives another output.",
    )
    .ok("label \"ab\", context \"c\"", label_case("ab", b"c", 32))
    .ok("label \"a\", context \"bc\"", label_case("a", b"bc", 32))
    .ok("label \"abc\", no context", label_case("abc", b"", 32));
    vec![names, contexts, lengths, boundary]
}

fn schedules() -> Vec<Vector> {
    let op = "schedule";
    let first =
        Vector::new("schedule_first_generation", "§5.1", op, "The keys of generation 0 of a session.")
            .ok("", schedule_case("h", "k1", "k2", KEY_ID, 0));
    let mut generations = Vector::new(
        "schedule_generation_is_bound",
        "§5.1",
        op,
        "The generation is in every key but GS itself.",
    );
    for generation in [0, 1, 255, 256, 65535] {
        let inputs = schedule_case("h", "k1", "k2", KEY_ID, generation);
        generations = generations.ok(format!("generation {generation}"), inputs);
    }
    let mut ids =
        Vector::new("schedule_key_id_is_bound", "§5.1", op, "The key id is in every key but GS itself.");
    for id in [1, KEY_ID, KEY_ID + 1, KEY_ID ^ 1 << 63, u64::MAX] {
        ids = ids.ok("", schedule_case("h", "k1", "k2", id, 0));
    }
    let inputs = Vector::new(
        "schedule_inputs_are_bound",
        "§10.3",
        op,
        "The handshake hash and both outputs of Split(), in their order, are in every key.",
    )
    .ok("", schedule_case("h", "k1", "k2", KEY_ID, 0))
    .ok("k1 and k2 swapped", schedule_case("h", "k2", "k1", KEY_ID, 0))
    .ok("another h", schedule_case("other h", "k1", "k2", KEY_ID, 0))
    .ok("another k1", schedule_case("h", "other k1", "k2", KEY_ID, 0))
    .ok("another k2", schedule_case("h", "k1", "other k2", KEY_ID, 0));
    vec![first, generations, ids, inputs]
}

fn slots() -> Vec<Vector> {
    let mut chain = Vector::new(
        "slot_chain",
        "§5.2",
        "slot",
        "Each chain key gives the key of its slot and the next chain key.",
    );
    for slot in [0, 1, 2, 3, 13, 255, 256, 1000] {
        chain = chain.ok(format!("slot {slot}"), json!({ "ck0": encode(&key("ck0")), "slot": slot }));
    }
    let at = |origin: u64, timestamp: u64| json!({ "origin": origin, "timestamp": timestamp });
    let mut edges = Vector::new(
        "slot_of_edges",
        "§5.2",
        "slot_of",
        "A slot is 65536 ms, counted from the origin, not from 0.",
    );
    for (after, slot) in
        [(0, 0), (1, 0), (65535, 0), (65536, 1), (131_071, 1), (131_072, 2), (600_000, 9), (900_000, 13)]
    {
        let expect = json!({ "ok": { "slot": slot } });
        edges = edges.gives(format!("{after} ms after"), at(ORIGIN, ORIGIN + after), expect);
    }
    let before = Vector::new(
        "slot_of_before_origin",
        "§5.2",
        "slot_of",
        "A timestamp before the origin lies in no slot.",
    )
    .reject("1 ms before", at(ORIGIN, ORIGIN - 1), "no_slot")
    .reject("a slot before", at(ORIGIN, ORIGIN - 65536), "no_slot")
    .reject("0", at(ORIGIN, 0), "no_slot")
    .reject("0 against 1", at(1, 0), "no_slot");
    let most = (1_u64 << 48) - 1;
    let extremes =
        Vector::new("slot_of_extremes", "§5.2", "slot_of", "Any two times of six bytes have a slot.")
            .gives("0 and 0", at(0, 0), json!({ "ok": { "slot": 0 } }))
            .gives("the last of all", at(0, most), json!({ "ok": { "slot": u32::MAX } }))
            .gives("the last origin", at(most, most), json!({ "ok": { "slot": 0 } }));
    vec![chain, edges, before, extremes]
}

fn request_keys() -> Vec<Vector> {
    let case = |sk: &str, generation: u16, counter: u64| json!({ "sk": encode(&key(sk)), "generation": generation, "counter": counter });
    let mut counters = Vector::new(
        "key_of_each_counter",
        "§5.3.1",
        "request_key",
        "Every counter, six bytes, has its own key.",
    );
    for counter in [0, 1, 2, 255, 256, 1 << 20, (1 << 32) - 1, 1 << 32, (1 << 48) - 1] {
        counters = counters.ok(format!("counter {counter}"), case("sk", 0, counter));
    }
    let mut generations = Vector::new(
        "key_of_each_generation",
        "§5.3.1",
        "request_key",
        "Every generation has its own request keys, also under one slot key.",
    );
    for generation in [0, 1, 256, 65535] {
        generations = generations.ok(format!("generation {generation}"), case("sk", generation, 7));
    }
    let slots =
        Vector::new("key_of_each_slot", "§5.3.1", "request_key", "Every slot key has its own request keys.")
            .ok("", case("sk", 0, 7))
            .ok("another slot key", case("other sk", 0, 7));
    vec![counters, generations, slots]
}
