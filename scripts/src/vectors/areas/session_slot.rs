//! Sessions at a server: which slots are held.

use super::{
    material::{KEY_ID, ORIGIN, key},
    session::both,
};
use crate::{
    reference::{
        schedule::schedule,
        slot::{request_key, slot_keys},
    },
    vectors::vector::Vector,
};

const SLOT: u64 = 65_536;

pub(super) fn vectors() -> Vec<Vector> {
    let mut all = held();
    all.extend(moving());
    all.extend(bound());
    all
}

fn held() -> Vec<Vector> {
    let previous = both(
        "session_slot_previous_is_held",
        "§5.2.2",
        "The previous slot is held until the current one ends, to the millisecond.",
        64,
        |s| {
            s.sent(SLOT - 1, 1, SLOT - 1, "accept")
                .sent(SLOT, 2, SLOT - 1, "accept")
                .sent(SLOT, 3, SLOT, "accept")
                .sent(SLOT + 29_999, 4, SLOT - 1, "accept")
                .sent(SLOT + 30_000, 5, SLOT - 1, "stale")
                .sent(2 * SLOT - 1, 6, SLOT - 1, "stale")
                .sent(2 * SLOT - 1, 7, 0, "stale")
                .sent(2 * SLOT, 8, SLOT - 1, "no_slot")
                .sent(2 * SLOT, 9, 0, "no_slot")
                .sent(2 * SLOT, 10, SLOT, "stale")
                .sent(2 * SLOT, 11, 2 * SLOT - 1, "accept")
        },
    );
    let next = both(
        "session_slot_next_is_derivable",
        "§5.2.2",
        "The next slot is usable, as far as the future bound lets it; the one after it is not held.",
        64,
        |s| {
            s.sent(SLOT - 5_001, 1, SLOT, "stale")
                .sent(SLOT - 5_000, 2, SLOT, "accept")
                .sent(SLOT - 5_000, 3, 2 * SLOT - 1, "stale")
                .sent(SLOT - 5_000, 4, 2 * SLOT, "no_slot")
                .sent(SLOT - 1, 5, 2 * SLOT, "no_slot")
                .sent(SLOT, 6, 2 * SLOT, "stale")
                .sent(SLOT, 7, 3 * SLOT, "no_slot")
        },
    );
    let origin = both(
        "session_slot_before_the_origin",
        "§5.2",
        "A timestamp before the origin is of no slot, however near.",
        64,
        |s| {
            let sk = slot_keys(&schedule(key("gs0"), KEY_ID, 0).ck0, 0).0;
            let mut frame = s.sealed_with(1, 0, request_key(&sk, 0, 1));
            frame[22..28].copy_from_slice(&(ORIGIN - 1).to_be_bytes()[2..]);
            s.frame(20, &frame, "no_slot").sent(20, 1, 0, "accept")
        },
    );
    vec![previous, next, origin]
}

fn moving() -> Vec<Vector> {
    let own = both(
        "session_slot_moves_by_the_own_clock",
        "§5.2.1",
        "A request of the next slot does not move the current one: the previous slot stays held.",
        64,
        |s| {
            s.sent(SLOT - 536, 1, SLOT + 3_000, "accept")
                .sent(SLOT - 535, 2, SLOT - 1_000, "accept")
                .sent(2 * SLOT - 100, 3, 2 * SLOT + 3_000, "accept")
                .sent(2 * SLOT - 99, 4, SLOT - 1, "stale")
                .sent(2 * SLOT - 98, 5, SLOT + 40_000, "accept")
        },
    );
    let later = both(
        "session_slot_after_a_pause",
        "§5.2.1",
        "After a pause over many slots the slots around the clock are held, and no others.",
        64,
        |s| {
            let now = 9 * SLOT + 1_000;
            s.sent(now, 1, 9 * SLOT, "accept")
                .sent(now, 2, 9 * SLOT - 1, "accept")
                .sent(now, 3, 8 * SLOT, "stale")
                .sent(now, 4, 8 * SLOT - 1, "no_slot")
                .sent(now, 5, 10 * SLOT, "stale")
                .sent(now, 6, 11 * SLOT, "no_slot")
                .sent(10 * SLOT - 1_000, 7, 10 * SLOT + 3_000, "accept")
        },
    );
    vec![own, later]
}

fn bound() -> Vec<Vector> {
    let bound =
        both(
            "session_slot_key_is_of_the_timestamp",
            "§5.3.1",
            "A frame sealed under the key of a neighbouring slot is a bad tag.",
            64,
            |s| {
                let ck0 = schedule(key("gs0"), KEY_ID, 0).ck0;
                let wrong = |slot| request_key(&slot_keys(&ck0, slot).0, 0, 1);
                let (early, late) = (s.sealed_with(1, SLOT, wrong(0)), s.sealed_with(1, SLOT - 1, wrong(1)));
                s.frame(SLOT, &early, "bad_tag")
                    .frame(SLOT, &late, "bad_tag")
                    .sent(SLOT, 1, SLOT, "accept")
                    .sent(SLOT, 2, SLOT - 1, "accept")
            },
        );
    let shared = both(
        "session_slot_does_not_restart_the_counters",
        "§8.5",
        "The window is of the generation: a counter used in one slot is a replay in the next.",
        64,
        |s| {
            s.sent(SLOT - 1, 1, SLOT - 1, "accept")
                .sent(SLOT, 1, SLOT, "replay")
                .sent(SLOT, 2, SLOT, "accept")
        },
    );
    vec![bound, shared]
}
