//! Replay windows.

use crate::vectors::vector::Vector;
use serde_json::{Value, json};

const OP: &str = "replay";
const SIZES: [u64; 8] = [64, 128, 256, 512, 1024, 2048, 4096, 8192];

/// Adds a case of counters with their verdicts.
fn script(vector: Vector, comment: impl Into<String>, bits: u64, events: &[(u64, &str)]) -> Vector {
    let counters: Vec<u64> = events.iter().map(|(counter, _)| *counter).collect();
    let verdicts: Vec<&str> = events.iter().map(|(_, verdict)| *verdict).collect();
    vector.gives(comment, json!({ "bits": bits, "counters": counters }), json!({ "verdicts": verdicts }))
}

fn each(counters: impl IntoIterator<Item = u64>, verdict: &'static str) -> Vec<(u64, &'static str)> {
    counters.into_iter().map(|counter| (counter, verdict)).collect()
}

pub(super) fn vectors() -> Vec<Vector> {
    let mut all = edges();
    all.extend(starts());
    all.extend(rings());
    all
}

fn edges() -> Vec<Vector> {
    let order = Vector::new("replay_in_order", "§8.1", OP, "Counters in order are fresh, once.");
    let order = script(order, "", 64, &[each(0..200, "fresh"), each(136..200, "replay")].concat());

    let mut edge = Vector::new(
        "replay_window_edge",
        "§8.2",
        OP,
        "Exactly W counters below top are covered: the last is fresh, the one before it too old.",
    );
    for bits in SIZES {
        let top = 3 * bits + 17;
        let events =
            [(top - 1, "fresh"), (top - bits, "fresh"), (top - bits, "replay"), (top - bits - 1, "too_old")];
        edge = script(edge, format!("{bits} bits, top {top}"), bits, &events);
    }
    let mut jump = Vector::new(
        "replay_window_moves_by_any_step",
        "§8.1",
        OP,
        "Moving on by less than, exactly or more than W forgets what falls out and nothing else.",
    );
    for step in [1_u64, 63, 64, 65, 127, 128, 129, 191, 192, 193, 1 << 20] {
        let mut events = vec![(99, "fresh"), (60, "fresh"), (99 + step, "fresh"), (99 + step, "replay")];
        let low = (100 + step).saturating_sub(128);
        for counter in low..(low + 128).min(99 + step) {
            let seen = counter == 99 || counter == 60;
            events.push((counter, if seen { "replay" } else { "fresh" }));
        }
        events.extend(each(low.saturating_sub(3)..low, "too_old"));
        jump = script(jump, format!("by {step}"), 128, &events);
    }
    vec![order, edge, jump]
}

fn starts() -> Vec<Vector> {
    let backwards =
        Vector::new("replay_window_fills_backwards", "§8.2", OP, "Order within the window does not matter.");
    let backwards = script(
        backwards,
        "",
        64,
        &[each((100..164).rev(), "fresh"), each((100..164).rev(), "replay"), each([99, 0], "too_old")]
            .concat(),
    );
    let mut start = Vector::new(
        "replay_window_starts_at_zero",
        "§8",
        OP,
        "Top starts at 0, so counter 0 is fresh, and once.",
    );
    for bits in SIZES {
        start = script(start, format!("{bits} bits"), bits, &[(0, "fresh"), (0, "replay"), (1, "fresh")]);
    }
    let refused =
        Vector::new("replay_refusal_changes_nothing", "§8.4", OP, "A refused counter moves nothing.");
    let refused = script(
        refused,
        "too old again and again",
        64,
        &[
            (500, "fresh"),
            (3, "too_old"),
            (3, "too_old"),
            (437, "fresh"),
            (436, "too_old"),
            (500, "replay"),
            (501, "fresh"),
            (437, "too_old"),
        ],
    );
    vec![backwards, start, refused]
}

fn rings() -> Vec<Vector> {
    let words = Vector::new(
        "replay_word_boundaries",
        "§8",
        OP,
        "Counters beside the edges of 64-bit words are not confused, nor those one ring apart.",
    );
    let words = script(
        words,
        "one ring of 64 + 64 bits and one of 128 + 64",
        128,
        &[
            each([0, 63, 64, 127, 128], "fresh"),
            each([1, 62, 65, 126], "fresh"),
            each([64, 127, 128], "replay"),
            each([192, 256], "fresh"),
            each([191, 193, 255], "fresh"),
            each([192], "replay"),
            each([128, 127, 64], "too_old"),
            each([320, 384], "fresh"),
            each([257, 383], "fresh"),
            each([256], "too_old"),
            each([257, 384], "replay"),
        ]
        .concat(),
    );
    let high = (1 << 21) - 1;
    let far = Vector::new(
        "replay_far_counters",
        "§8.1",
        OP,
        "A jump to the last counter below a hard limit is fresh.",
    );
    let far = script(
        far,
        "",
        1024,
        &[
            (0, "fresh"),
            (high, "fresh"),
            (0, "too_old"),
            (high - 1023, "fresh"),
            (high - 1024, "too_old"),
            (high, "replay"),
        ],
    );
    let mixed: Vec<Value> = scattered();
    let scattered = Vector::new(
        "replay_scattered_counters",
        "§8.2",
        OP,
        "Counters scattered about a rising line, each sent twice.",
    )
    .gives("", mixed[0].clone(), mixed[1].clone());
    vec![words, far, scattered]
}

/// A rising line with jitter; the verdicts by the definition of §8, computed here a second way.
fn scattered() -> Vec<Value> {
    let (mut state, mut counters) = (1_u64, Vec::new());
    for i in 0..150 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let counter = 3 * i + (state >> 33) % 120;
        counters.extend([counter, counter]);
    }
    let mut verdicts = Vec::new();
    for (i, counter) in counters.iter().enumerate() {
        let top = counters[..i].iter().max().map_or(0, |most| most + 1);
        // A counter too old now was either accepted or too old before: both leave top alone.
        let seen = (0..i).any(|j| counters[j] == *counter && verdicts[j] == "fresh");
        verdicts.push(match () {
            () if *counter + 64 < top => "too_old",
            () if seen => "replay",
            () => "fresh",
        });
    }
    vec![json!({ "bits": 64, "counters": counters }), json!({ "verdicts": verdicts })]
}
