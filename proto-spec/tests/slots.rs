//! Slots of time: what is derived, what is held, what is gone (SPEC §5.2).

mod support;

use mvt_lanes::mac;
use mvt_proto::{
    Limits, Reject, Suite,
    slot::{SlotKey, SlotKeys, slot_of},
    suite::RequestKey,
};
use proptest::prelude::*;
use support::{CHAIN, ORIGIN_MS, Pair, SLOT_MS, SUITES, request_header, sealed, secret};

/// What the held key of `timestamp` makes of a fixed message, if one is held.
fn print_of(slots: &SlotKeys, timestamp: u64) -> Result<[u8; 32], Reject> {
    slots.select(timestamp).map(|slot| mac(slots.key(&slot), b"which key"))
}

fn at_slot(index: u64) -> SlotKeys {
    let mut slots = SlotKeys::new(secret(CHAIN), ORIGIN_MS);
    slots.advance(ORIGIN_MS + index * SLOT_MS);
    slots
}

#[test]
fn exactly_previous_current_and_next_are_held() {
    for index in 0..6 {
        let slots = at_slot(index);
        for asked in 0..9 {
            let held = print_of(&slots, ORIGIN_MS + asked * SLOT_MS).is_ok();
            assert_eq!(held, asked + 1 >= index && asked <= index + 1, "slot {asked} at {index}");
        }
    }
}

#[test]
fn a_slot_has_one_key_whether_it_is_next_current_or_previous() {
    for index in 1..6 {
        let timestamp = ORIGIN_MS + index * SLOT_MS;
        let prints: Vec<_> =
            [index - 1, index, index + 1].iter().map(|now| print_of(&at_slot(*now), timestamp)).collect();
        assert!(prints[0].is_ok());
        assert!(prints.iter().all(|print| *print == prints[0]));
    }
}

#[test]
fn slots_have_different_keys() {
    let mut prints: Vec<_> =
        (0..50).map(|index| print_of(&at_slot(index), ORIGIN_MS + index * SLOT_MS).unwrap()).collect();
    prints.sort_unstable();
    prints.dedup();
    assert_eq!(prints.len(), 50);
}

#[test]
fn the_last_millisecond_of_a_slot_and_the_first_of_the_next_differ() {
    let slots = at_slot(2);
    let edge = ORIGIN_MS + 3 * SLOT_MS;
    assert_eq!(print_of(&slots, edge - 1), print_of(&slots, edge - SLOT_MS));
    assert_ne!(print_of(&slots, edge - 1), print_of(&slots, edge));
    assert_eq!(slots.next_slot_ms(), edge);
}

#[test]
fn selecting_moves_nothing_and_a_clock_that_goes_back_neither() {
    let mut slots = at_slot(3);
    for timestamp in [0, ORIGIN_MS, ORIGIN_MS + 4 * SLOT_MS, ORIGIN_MS + 900 * SLOT_MS, u64::MAX] {
        let _ = slots.select(timestamp);
        assert_eq!(slots.next_slot_ms(), ORIGIN_MS + 4 * SLOT_MS);
    }
    slots.advance(ORIGIN_MS + SLOT_MS);
    slots.advance(0);
    assert_eq!(slots.next_slot_ms(), ORIGIN_MS + 4 * SLOT_MS);
}

#[test]
fn a_frame_of_an_erased_slot_cannot_be_verified_any_more() {
    for suite in SUITES {
        let mut pair = Pair::unequal(suite, Limits::DEFAULT, Limits::DEFAULT);
        pair.confirm();
        let recorded = sealed(suite, &request_header(suite, 1, 10), &[]);
        assert_eq!(pair.verdict(&recorded, 2 * SLOT_MS), "no_slot");
        // Not even by a server whose clock was set back: the key is gone, not only refused.
        assert_eq!(pair.verdict(&recorded, 10), "no_slot");
    }
}

#[test]
fn the_chain_of_a_later_slot_does_not_open_an_earlier_one() {
    // Everything a thief finds at slot 3: previous, current, and all that follow.
    let stolen = at_slot(3);
    for suite in SUITES {
        let mut frame = sealed(suite, &request_header(suite, 1, SLOT_MS + 10), &[]);
        for index in 2..=4 {
            let slot = stolen.select(ORIGIN_MS + index * SLOT_MS).expect("held");
            let key = RequestKey::derive(suite, stolen.key(&slot), 0, 1);
            assert_eq!(key.open(&mut frame, &[]), Err(Reject::BadTag));
        }
    }
}

#[test]
fn the_number_of_a_slot_never_wraps() {
    let last = u64::from(u32::MAX);
    assert_eq!(slot_of(0, (last << 16) - 1), Ok(u32::MAX - 1));
    assert_eq!(slot_of(0, (1 << 48) - 1), Ok(u32::MAX));
    assert_eq!(slot_of(0, 1 << 48), Err(Reject::NoSlot));
    let slots = SlotKeys::new(secret(CHAIN), 0);
    assert_eq!(print_of(&slots, (1 << 48) - 1), Err(Reject::NoSlot), "not previous of slot 0");
    assert_eq!(slot_of(0, u64::MAX), Err(Reject::NoSlot));
    assert_eq!(slot_of(1, 0), Err(Reject::NoSlot));
}

#[test]
fn request_keys_differ_by_slot_generation_and_counter() {
    let slots = at_slot(1);
    let key = |index: u64, generation, counter| {
        let slot = slots.select(ORIGIN_MS + index * SLOT_MS).expect("held");
        let mut frame = [0u8; 44];
        RequestKey::derive(Suite::Hs256, slots.key(&slot), generation, counter).seal(&mut frame, &[]);
        frame[28..].to_vec()
    };
    let mut tags =
        vec![key(0, 0, 0), key(1, 0, 0), key(2, 0, 0), key(1, 1, 0), key(1, 0, 1), key(1, 0, 1 << 40)];
    tags.sort_unstable();
    tags.dedup();
    assert_eq!(tags.len(), 6);
    assert!(matches!(slots.select(ORIGIN_MS + SLOT_MS), Ok(SlotKey::Current)));
}

proptest! {
    #[test]
    fn the_keys_do_not_depend_on_the_steps_taken(mut stops in prop::collection::vec(0u64..40 * SLOT_MS, 1..20)) {
        stops.sort_unstable();
        let end = stops[stops.len() - 1];
        let mut stepped = SlotKeys::new(secret(CHAIN), ORIGIN_MS);
        stops.iter().for_each(|stop| stepped.advance(ORIGIN_MS + stop));
        let leapt = at_slot(end / SLOT_MS);
        for index in 0..45 {
            let timestamp = ORIGIN_MS + index * SLOT_MS;
            prop_assert_eq!(print_of(&stepped, timestamp), print_of(&leapt, timestamp));
        }
    }
}
