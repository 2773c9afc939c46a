//! An established session: every verdict a server can give, at its exact edge (SPEC §4 to §8).

mod support;

use mvt_proto::{
    Limits, Reject, Suite,
    constants::{
        CLOCK_CORRECTION_INTERVAL_MS, FIRST_USE_MS, FUTURE_BOUND_MS, HEADER_BYTES, PAST_BOUND_MS, U48_MAX,
    },
    reject::ErrReason,
    session::{Answer, SealError},
};
use support::{ORIGIN_MS, Pair, SLOT_MS, SUITES, Served, flipped, request_header, sealed};

fn both() -> [Pair; 2] {
    SUITES.map(|suite| Pair::new(suite, Limits::DEFAULT))
}

/// Two unequal halves under a known chain, confirmed: a client that seals anything.
fn known(limits: Limits) -> [(Suite, Pair); 2] {
    SUITES.map(|suite| (suite, Pair::unequal(suite, Limits::DEFAULT, limits)))
}

#[test]
fn a_request_is_verified_and_its_answer_too() {
    for mut pair in both() {
        for payload in [&b""[..], b"hello", &[7; 16_384]] {
            let (pending, mut frame) = pair.request(payload, 100);
            let exchange = pair.serve(&mut frame, 110).expect("verified");
            assert_eq!(mvt_proto::suite::payload_of(&frame), payload);
            let mut answer = Vec::new();
            exchange.respond(3, payload, ORIGIN_MS + 120, &mut answer);
            assert_eq!(pair.answer(&pending, &mut answer, 130), Ok(Answer::Response { status: 3, payload }));
        }
    }
}

#[test]
fn the_payload_is_readable_in_hs256_and_not_in_gcm256() {
    let [mut hs256, mut gcm256] = both();
    assert!(hs256.request(b"attack at dawn", 1).1.windows(14).any(|w| w == b"attack at dawn"));
    assert!(!gcm256.request(b"attack at dawn", 1).1.windows(14).any(|w| w == b"attack at dawn"));
}

#[test]
fn a_flip_of_any_bit_is_refused_and_moves_nothing() {
    for mut pair in both() {
        let (_, frame) = pair.request(b"payload", 100);
        for bit in 0..frame.len() * 8 {
            let served = pair.serve(&mut flipped(&frame, bit), 100);
            assert!(matches!(served, Err(Served::Unverified(_))), "bit {bit}");
        }
        assert!(!pair.server.is_confirmed());
        assert_eq!(pair.verdict(&frame, 100), "accept");
    }
}

#[test]
fn a_forged_counter_far_ahead_leaves_the_window() {
    for mut pair in both() {
        let (_, frame) = pair.request(b"", 100);
        let mut forged = frame.clone();
        forged[18] = 0x1f; // counter 0x1f000000
        assert_eq!(pair.verdict(&forged, 100), "bad_tag");
        assert_eq!(pair.verdict(&frame, 100), "accept");
    }
}

#[test]
fn a_replay_is_refused_with_the_outcome_unknown() {
    for mut pair in both() {
        let (pending, frame) = pair.request(b"once", 100);
        assert_eq!(pair.verdict(&frame, 100), "accept");
        let Err(Served::Refused(refused)) = pair.serve(&mut frame.clone(), 101) else { panic!("refused") };
        assert_eq!(refused.reject, Reject::Replay);
        let mut answer = Vec::new();
        let reason = refused.reason();
        refused.exchange.refuse(reason, ORIGIN_MS + 101, &mut answer);
        assert!(answer.len() <= frame.len());
        assert_eq!(pair.answer(&pending, &mut answer, 102), Ok(Answer::Refused(ErrReason::Replay)));
    }
}

#[test]
fn time_bounds_are_exact() {
    for mut pair in both() {
        let at = 100_000; // in slot 1, and so are both bounds: 65,536 to 131,071
        pair.confirm();
        let frames: Vec<_> =
            [at - PAST_BOUND_MS - 1, at - PAST_BOUND_MS, at, at + FUTURE_BOUND_MS, at + FUTURE_BOUND_MS + 1]
                .into_iter()
                .map(|when| pair.request(b"", when).1)
                .collect();
        let verdicts: Vec<_> = frames.iter().map(|frame| pair.verdict(frame, at)).collect();
        assert_eq!(verdicts, ["stale", "accept", "accept", "accept", "stale"]);
    }
}

#[test]
fn slot_edges_are_exact() {
    // Server time and timestamp in ms after login; what is out of time but in a held slot is verified.
    let table = [
        (3 * SLOT_MS, 2 * SLOT_MS - 1, "no_slot"),
        (3 * SLOT_MS, 2 * SLOT_MS, "stale"),
        (3 * SLOT_MS, 3 * SLOT_MS - PAST_BOUND_MS - 1, "stale"),
        (3 * SLOT_MS, 3 * SLOT_MS - PAST_BOUND_MS, "accept"),
        (3 * SLOT_MS, 3 * SLOT_MS - 1, "accept"),
        (3 * SLOT_MS, 3 * SLOT_MS, "accept"),
        (3 * SLOT_MS, 4 * SLOT_MS - 1, "stale"),
        (3 * SLOT_MS, 4 * SLOT_MS, "stale"),
        (3 * SLOT_MS, 5 * SLOT_MS - 1, "stale"),
        (3 * SLOT_MS, 5 * SLOT_MS, "no_slot"),
        (4 * SLOT_MS - 1, 2 * SLOT_MS - 1, "no_slot"),
        (4 * SLOT_MS - 1, 2 * SLOT_MS, "stale"),
        (4 * SLOT_MS - 1, 4 * SLOT_MS - 1, "accept"),
        (4 * SLOT_MS - 1, 4 * SLOT_MS, "accept"),
        (4 * SLOT_MS - 1, 4 * SLOT_MS - 1 + FUTURE_BOUND_MS, "accept"),
        (4 * SLOT_MS - 1, 4 * SLOT_MS + FUTURE_BOUND_MS, "stale"),
        (4 * SLOT_MS - 1, 5 * SLOT_MS - 1, "stale"),
        (4 * SLOT_MS - 1, 5 * SLOT_MS, "no_slot"),
        (4 * SLOT_MS, 2 * SLOT_MS, "no_slot"),
        (4 * SLOT_MS, 3 * SLOT_MS, "stale"),
    ];
    for (now, timestamp, expected) in table {
        for (suite, mut pair) in known(Limits::DEFAULT) {
            pair.confirm();
            let frame = sealed(suite, &request_header(suite, 1, timestamp), &[]);
            assert_eq!(pair.verdict(&frame, now), expected, "{} now {now} at {timestamp}", suite.name());
        }
    }
}

#[test]
fn a_time_before_the_origin_or_at_the_end_of_time_has_no_slot() {
    for mut pair in both() {
        let (_, frame) = pair.request(b"", 0);
        for timestamp in [0, ORIGIN_MS - 1, ORIGIN_MS + 2 * SLOT_MS, U48_MAX] {
            let mut forged = frame.clone();
            forged[22..28].copy_from_slice(&timestamp.to_be_bytes()[2..]);
            assert_eq!(pair.verdict(&forged, 0), "no_slot", "{timestamp}");
        }
        assert_eq!(pair.verdict(&frame, 0), "accept");
    }
}

#[test]
fn a_wrong_generation_has_no_slot() {
    for (suite, mut pair) in known(Limits::DEFAULT) {
        for generation in [1, 2, 0x100, u16::MAX] {
            let mut header = request_header(suite, 0, 5);
            header.generation = generation;
            assert_eq!(pair.verdict(&sealed(suite, &header, &[]), 5), "no_slot");
        }
    }
}

#[test]
fn a_sealed_flag_of_the_other_suite_is_a_bad_tag() {
    for (suite, mut pair) in known(Limits::DEFAULT) {
        let other = if suite == Suite::Hs256 { Suite::Gcm256 } else { Suite::Hs256 };
        let mut header = request_header(suite, 0, 5);
        // The key holder itself signs the wrong flag, so that only the flag can be what is refused.
        header.flags = other.flags();
        assert_eq!(pair.verdict(&sealed(suite, &header, &[]), 5), "bad_tag");
        assert_eq!(pair.verdict(&sealed(other, &header, &[]), 5), "bad_tag");
        header.flags = suite.flags();
        assert_eq!(pair.verdict(&sealed(suite, &header, &[]), 5), "accept");
    }
}

#[test]
fn stale_is_answered_with_the_servers_time_and_the_client_corrects_itself() {
    for mut pair in both() {
        pair.confirm();
        let (pending, frame) = pair.request(b"late", 100);
        let at = 100 + PAST_BOUND_MS + 1;
        let mut answer = pair.reply(&frame, at);
        assert!(answer.len() <= frame.len());
        assert_eq!(pair.answer(&pending, &mut answer, 200), Ok(Answer::Refused(ErrReason::Stale)));

        // The client's clock showed 200: from now on it shows what the server's showed.
        assert_eq!(pair.client.server_time_ms(support::CLIENT_ORIGIN_MS + 200), ORIGIN_MS + at);
        let (again, frame) = pair.request(b"late", 201);
        assert_eq!(again.counter(), pending.counter() + 1);
        assert_eq!(pair.verdict(&frame, at + 1), "accept");
    }
}

/// §6.2, §6.4.
#[test]
fn a_clock_is_corrected_at_most_once_in_ten_seconds() {
    for mut pair in both() {
        pair.confirm();
        let now = |pair: &Pair, at: u64| pair.client.server_time_ms(support::CLIENT_ORIGIN_MS + at);
        let stale = |pair: &mut Pair, server_at: u64, client_at: u64| {
            let (pending, frame) = pair.request(b"", client_at);
            let mut answer = pair.reply(&frame, server_at);
            assert_eq!(pair.answer(&pending, &mut answer, client_at), Ok(Answer::Refused(ErrReason::Stale)));
        };
        stale(&mut pair, 40_000, 1_000);
        assert_eq!(now(&pair, 1_000), ORIGIN_MS + 40_000);
        let too_soon = 1_000 + CLOCK_CORRECTION_INTERVAL_MS - 1;
        stale(&mut pair, 90_000, too_soon);
        assert_eq!(now(&pair, too_soon), ORIGIN_MS + 40_000 + CLOCK_CORRECTION_INTERVAL_MS - 1);
        stale(&mut pair, 90_000, too_soon + 1);
        assert_eq!(now(&pair, too_soon + 1), ORIGIN_MS + 90_000);
    }
}

#[test]
fn a_clock_that_runs_ahead_into_the_next_slot_is_corrected_back_and_used_again() {
    for mut pair in both() {
        pair.confirm();
        let (pending, frame) = pair.request(b"", SLOT_MS + 20_000);
        let at = SLOT_MS - 100;
        let mut answer = pair.reply(&frame, at);
        let client_at = SLOT_MS + 20_010;
        assert_eq!(pair.answer(&pending, &mut answer, client_at), Ok(Answer::Refused(ErrReason::Stale)));
        let (_, frame) = pair.request(b"", client_at + 1);
        assert_eq!(pair.verdict(&frame, at + 1), "accept");
    }
}

#[test]
fn a_stale_answer_held_back_for_slots_does_not_leave_the_client_without_a_key() {
    for mut pair in both() {
        pair.confirm();
        let (held, frame) = pair.request(b"", 100);
        let mut answer = pair.reply(&frame, 40_000);
        let late = 4 * SLOT_MS;
        let (_, frame) = pair.request(b"", late);
        assert_eq!(pair.verdict(&frame, late), "accept");
        // A correction by an answer that an attacker held back would point at keys erased long ago.
        assert_eq!(pair.answer(&held, &mut answer, late), Ok(Answer::Refused(ErrReason::Stale)));
        let (_, frame) = pair.request(b"", late + 1);
        assert_eq!(pair.verdict(&frame, late + 1), "accept");
    }
}

#[test]
fn counters_at_and_beyond_the_hard_limit_are_refused_and_move_nothing() {
    let limits = Limits { renew_after_requests: 8, reject_after_requests: 10, ..Limits::DEFAULT };
    for (suite, mut pair) in known(limits) {
        let frame = |counter| sealed(suite, &request_header(suite, counter, 5), &[]);
        for counter in
            [10, 11, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 40, U48_MAX - 1024, U48_MAX - 1, U48_MAX]
        {
            assert_eq!(pair.verdict(&frame(counter), 5), "limit", "{counter}");
            assert_eq!(pair.verdict(&frame(counter), 5), "limit", "{counter}, not recorded");
        }
        assert!(!pair.server.is_confirmed());
        for counter in (0..10).rev() {
            assert_eq!(pair.verdict(&frame(counter), 5), "accept", "{counter}");
        }
        assert_eq!(pair.verdict(&frame(9), 5), "replay");
    }
}

/// §7.1.3.
#[test]
fn a_client_seals_nothing_at_its_hard_limits() {
    let limits = Limits { renew_after_requests: 1, reject_after_requests: 2, ..Limits::DEFAULT };
    for suite in SUITES {
        let mut out = Vec::new();
        let mut seal = |pair: &mut Pair, at: u64| {
            pair.client.seal_request(0, &[], support::CLIENT_ORIGIN_MS + at, &mut out).map(|_| ())
        };
        let mut pair = Pair::new(suite, limits);
        assert!(!pair.client.replacement_is_due(support::CLIENT_ORIGIN_MS));
        assert_eq!(seal(&mut pair, 0), Ok(()));
        assert!(pair.client.replacement_is_due(support::CLIENT_ORIGIN_MS));
        assert_eq!(seal(&mut pair, 0), Ok(()));
        assert_eq!(seal(&mut pair, 0), Err(SealError::Exhausted));
        let mut pair = Pair::new(suite, Limits::DEFAULT);
        assert_eq!(seal(&mut pair, 899_999), Ok(()));
        assert_eq!(seal(&mut pair, 900_000), Err(SealError::Exhausted));
    }
}

#[test]
fn too_old_is_exact_at_the_edge_of_the_window() {
    for window in [64, 1024, 8192] {
        let limits = Limits { replay_window_bits: window, ..Limits::DEFAULT };
        for (suite, mut pair) in known(limits) {
            let frame = |counter| sealed(suite, &request_header(suite, counter, 5), &[]);
            let (w, top) = (u64::from(window), 20_000);
            assert_eq!(pair.verdict(&frame(top - 1), 5), "accept");
            assert_eq!(pair.verdict(&frame(top - w - 1), 5), "too_old");
            assert_eq!(pair.verdict(&frame(top - w), 5), "accept");
            assert_eq!(pair.verdict(&frame(top - w), 5), "replay");
            assert_eq!(pair.verdict(&frame(0), 5), "too_old");
            assert_eq!(pair.verdict(&frame(top), 5), "accept");
            assert_eq!(pair.verdict(&frame(top - w), 5), "too_old");
        }
    }
}

#[test]
fn a_session_nobody_used_is_forgotten_after_ten_seconds() {
    for at in [FIRST_USE_MS - 1, FIRST_USE_MS] {
        for mut pair in both() {
            let (_, frame) = pair.request(b"", at);
            assert_eq!(pair.server.deadline_ms(), ORIGIN_MS + FIRST_USE_MS);
            let expected = if at < FIRST_USE_MS { "accept" } else { "no_slot" };
            assert_eq!(pair.verdict(&frame, at), expected);
        }
    }
}

#[test]
fn a_recorded_counter_is_the_first_use_and_a_refused_one_is_not() {
    for (suite, mut pair) in known(Limits::DEFAULT) {
        let limit = sealed(suite, &request_header(suite, 1 << 21, 5), &[]);
        assert_eq!(pair.verdict(&limit, 5), "limit");
        assert!(!pair.server.is_confirmed());
        assert_eq!(pair.server.deadline_ms(), ORIGIN_MS + FIRST_USE_MS);
        let stale = sealed(suite, &request_header(suite, 0, 60_000), &[]);
        assert_eq!(pair.verdict(&stale, 5), "stale");
        assert!(pair.server.is_confirmed());
    }
}

#[test]
fn what_was_answered_stale_is_never_executed() {
    for (suite, mut pair) in known(Limits::DEFAULT) {
        let ahead = sealed(suite, &request_header(suite, 0, 60_000), &[]);
        assert_eq!(pair.verdict(&ahead, 5), "stale");
        assert_eq!(pair.verdict(&ahead, 60_000), "replay");
        let behind = sealed(suite, &request_header(suite, 1, 60_000), &[]);
        assert_eq!(pair.verdict(&behind, 60_000), "accept");
        assert_eq!(
            pair.verdict(&behind, 60_000 + PAST_BOUND_MS + 1),
            "replay",
            "and not stale: it was executed"
        );
    }
}

#[test]
fn the_hard_time_limit_is_exact() {
    for mut pair in both() {
        pair.confirm();
        let (_, before) = pair.request(b"", 899_998);
        let (_, at_limit) = pair.request(b"", 899_999);
        assert_eq!(pair.verdict(&before, 899_999), "accept");
        assert_eq!(pair.verdict(&at_limit, 900_000), "no_slot");
    }
}

#[test]
fn a_hard_time_limit_below_ten_seconds_binds_the_first_use_too() {
    let limits = Limits { renew_after_ms: 3_000, reject_after_ms: 4_000, ..Limits::DEFAULT };
    for (suite, mut pair) in known(limits) {
        assert_eq!(pair.server.deadline_ms(), ORIGIN_MS + 4_000);
        let frame = sealed(suite, &request_header(suite, 0, 4_000), &[]);
        assert_eq!(pair.verdict(&frame, 4_000), "no_slot");
    }
}

#[test]
fn the_order_of_a_batch_decides_which_copy_is_accepted_and_nothing_else() {
    for mut pair in both() {
        let frames: Vec<_> = (0..4).map(|_| pair.request(b"", 100).1).collect();
        let bad = flipped(&frames[1], 8 * HEADER_BYTES);
        let batch = [&frames[2], &frames[2], &bad, &frames[0], &frames[1], &frames[0], &frames[3], &bad];
        let verdicts: Vec<_> = batch.iter().map(|frame| pair.verdict(frame, 100)).collect();
        let expected = ["accept", "replay", "bad_tag", "accept", "accept", "replay", "accept", "bad_tag"];
        assert_eq!(verdicts, expected);
    }
}

/// §9.2.
#[test]
fn an_unknown_key_id_costs_a_verification_and_changes_nothing() {
    for mut pair in both() {
        let (_, frame) = pair.request(b"", 100);
        let header = mvt_proto::Header::parse(&frame, mvt_proto::Role::Server).unwrap();
        let fresh = pair.server.check_unknown(&header);
        assert_eq!(pair.server.open(fresh, &mut frame.clone()).map(|_| ()), Err(Reject::UnknownKey));
        assert!(!pair.server.is_confirmed());
    }
}

#[test]
fn a_payload_over_the_bound_is_not_sealed_and_costs_no_counter() {
    for mut pair in both() {
        let mut out = Vec::new();
        let sealed = pair.client.seal_request(0, &[0; 16_385], support::CLIENT_ORIGIN_MS, &mut out);
        assert_eq!(sealed.map(|_| ()), Err(SealError::PayloadTooLong));
        assert_eq!((pair.client.counter(), out.len()), (0, 0));
    }
}
