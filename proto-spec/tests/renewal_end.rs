//! The end of a generation that can accept nothing any more, for the next OFFER (SPEC §11.3.8).

mod support;

use mvt_proto::{
    Header, Limits, Reject, Role,
    constants::{DRAIN_MS_MIN, EXCHANGE_GENERATIONS, OFFER_AGAIN_MS, STAY_MS},
    session::{Answer, Told},
};
use support::{ORIGIN_MS, Pair, SUITES, lost_keys, renewing::used};

/// Granted limits that nothing here reaches.
const LIMITS: Limits = Limits { replay_window_bits: 64, ..Limits::DEFAULT };
/// A node that would offer with every request.
const SOFT: Limits = Limits { renew_after_requests: 1, ..LIMITS };

/// Offered at 10, committed at 20.
const DRAINED_MS: u64 = 20 + DRAIN_MS_MIN + 4 * 10;

/// A pair whose generation 0 drains, with the frames of it: all but those that `keep` names have arrived, the last one of them
/// last. Committed at 20.
fn draining(mut pair: Pair, keep: &[usize]) -> (Pair, Vec<Vec<u8>>) {
    let mut frames: Vec<_> = pair.requests(4, 10).into_iter().map(|(_, frame)| frame).collect();
    pair.offer_and_take(1, 10);
    frames.push(pair.request(b"", 10).1);
    assert!(Header::parse(&frames[4], Role::Server).unwrap().flags.last());
    for (number, frame) in frames.iter().enumerate().filter(|(number, _)| !keep.contains(number)) {
        assert_eq!(pair.verdict(frame, 15), "accept", "{number}");
    }
    pair.exchange(20);
    assert_eq!(pair.server.generation(), 1);
    (pair, frames)
}

fn wants_offer(pair: &Pair, at_ms: u64) -> bool {
    pair.server.wants_offer(&SOFT, ORIGIN_MS + at_ms)
}

/// K-01: before the last tick, at it, one later.
#[test]
fn a_spent_generation_ends_with_the_millisecond_in_which_it_keeps_an_offer_waiting() {
    for pair in used(LIMITS) {
        let (mut pair, frames) = draining(pair, &[]);
        assert_eq!(pair.verdict(&frames[2], 1_000), "replay", "nothing asks for its end");
        assert!(wants_offer(&pair, 1_000));
        assert_eq!(pair.offer(2, 1_000), Vec::<u8>::new());
        assert!(!wants_offer(&pair, 1_000), "its end is asked for once");
        assert_eq!(pair.verdict(&frames[2], 1_000), "replay");
        assert_eq!(pair.verdict(&frames[4], 1_000), "replay");
        assert_eq!(pair.verdict(&frames[2], 1_001), "no_slot");
        assert!(pair.server.renewal().is_none(), "erased");
        assert!(wants_offer(&pair, 1_001));
        pair.renew(2, 1_001);
        assert_eq!(pair.server.generation(), 2);
    }
}

/// A node that has no need of another OFFER answers what is repeated as ever: REPLAY says more than LOST.
#[test]
fn a_spent_generation_that_keeps_nothing_waiting_drains() {
    for pair in used(LIMITS) {
        let (mut pair, frames) = draining(pair, &[]);
        assert!(!pair.server.wants_offer(&LIMITS, ORIGIN_MS + 30));
        assert_eq!(pair.verdict(&frames[1], DRAINED_MS - 1), "replay");
        assert_eq!(pair.verdict(&frames[1], DRAINED_MS), "no_slot");
    }
}

/// A lost `last`, and a lost request before it: there is no telling that nothing comes any more.
#[test]
fn a_generation_that_can_accept_something_drains_to_its_end() {
    for lost in [vec![4], vec![0], vec![3], vec![1, 2], vec![0, 4]] {
        for pair in used(LIMITS) {
            let (mut pair, frames) = draining(pair, &lost);
            assert!(!wants_offer(&pair, 30), "{lost:?}");
            pair.offer(2, 30);
            assert_eq!(pair.verdict(&frames[lost[0]], DRAINED_MS - 1), "accept", "{lost:?}");
        }
    }
}

/// Over two connections `last` may come before what was sealed before it, and anything may come twice.
#[test]
fn whatever_the_order_it_is_spent_with_the_last_one_to_come() {
    for late in [vec![4], vec![0], vec![2, 1], vec![4, 3, 0], vec![1, 4]] {
        for pair in used(LIMITS) {
            let (mut pair, frames) = draining(pair, &late);
            let (last_to_come, before) = late.split_last().expect("some");
            for number in before {
                assert_eq!(pair.verdict(&frames[*number], 40), "accept", "{late:?}");
                for again in (0..5).filter(|again| again != last_to_come && !late.contains(again)) {
                    assert_eq!(pair.verdict(&frames[again], 41), "replay", "{late:?}");
                }
                assert!(!wants_offer(&pair, 42), "{late:?}");
            }
            assert_eq!(pair.verdict(&frames[*last_to_come], 50), "accept", "{late:?}");
            assert!(wants_offer(&pair, 50), "{late:?}");
            pair.offer(2, 50);
            assert_eq!(pair.verdict(&frames[*last_to_come], 51), "no_slot", "{late:?}");
        }
    }
}

/// What is below the window was refused before the generation was spent, and is after.
#[test]
fn counters_below_the_window_are_no_hole() {
    for mut pair in used(LIMITS) {
        let early = pair.request(b"", 5).1;
        for (_, frame) in pair.requests(70, 10) {
            assert_eq!(pair.verdict(&frame, 10), "accept");
        }
        assert_eq!(pair.verdict(&early, 10), "too_old");
        pair.renew(1, 12);
        assert!(wants_offer(&pair, 20));
    }
}

/// §11.2.3, §11.2.6: the client of an OFFER that was sent twice may answer the second one, with a SHARE that opens.
#[test]
fn an_offer_that_was_sent_twice_lets_its_generation_drain() {
    for mut pair in used(LIMITS) {
        let offer = pair.offer(1, 10);
        assert_eq!(pair.offer(1, 10 + OFFER_AGAIN_MS), offer);
        pair.tell(&offer, 1_020).0.expect("authentic");
        pair.exchange(1_020);
        pair.exchange(1_021);
        assert_eq!(pair.server.generation(), 1);
        assert!(!wants_offer(&pair, 1_030));
    }
}

/// K-04, K-07: a thousand generations in as many milliseconds and a half; nothing of an old one is taken, in either direction.
#[test]
fn nothing_of_a_generation_that_was_cut_short_comes_back() {
    for suite in SUITES {
        let mut pair = Pair::new(suite, LIMITS);
        pair.exchange(1);
        let (mut at_ms, mut captured) = (2, Vec::new());
        for generation in 0..1_000u16 {
            if pair.server.renewal().is_some() {
                assert!(wants_offer(&pair, at_ms), "{generation}");
                pair.offer(0, at_ms);
                at_ms += 1;
                pair.exchange(at_ms);
            }
            let offer = pair.offer(generation as u8, at_ms);
            let (told, share) = pair.tell(&offer, at_ms);
            assert!(matches!(told, Ok(Told::Renewed)), "{generation}");
            if !share.is_empty() {
                pair.share(&share, at_ms).expect("asked for");
                at_ms += STAY_MS;
            }
            let (pending, frame) = pair.request(b"", at_ms);
            let mut answer = pair.reply(&frame, at_ms);
            pair.answer(&pending, &mut answer, at_ms).expect("an honest answer");
            pair.exchange(at_ms);
            if generation % 64 < 10 {
                captured.push((offer, share, frame));
            }
        }
        assert_eq!((pair.server.generation(), pair.client.generation()), (1_000, 1_000));
        assert!(at_ms < 1_600 + 1_000 / u64::from(EXCHANGE_GENERATIONS) * STAY_MS, "{at_ms}");
        for (offer, share, frame) in &captured {
            assert!(matches!(pair.tell(offer, at_ms).0, Err(Reject::Control)));
            assert!(share.is_empty() || pair.share(share, at_ms) == Err(Reject::Control));
            assert_eq!(pair.verdict(frame, at_ms), "no_slot");
        }
        assert_eq!((pair.server.generation(), pair.client.generation()), (1_000, 1_000));
        pair.exchange(at_ms);
    }
}

/// §11.3.6: a repeated request whose generation was cut short is answered LOST, perhaps before any answer of the next one
/// arrived. The session goes on.
#[test]
fn lost_for_a_generation_that_ended_loses_no_session() {
    for mut pair in used(LIMITS) {
        let (first, first_frame) = pair.request(b"", 10);
        assert_eq!(pair.verdict(&first_frame, 10), "accept");
        pair.offer_and_take(1, 10);
        let last = pair.request(b"", 10).1;
        assert_eq!(pair.verdict(&last, 10), "accept");
        let (next, next_frame) = pair.request(b"", 11);
        let mut answer = pair.reply(&next_frame, 11);
        assert!(wants_offer(&pair, 11));
        pair.offer(2, 11);
        assert_eq!(pair.verdict(&first_frame, 12), "no_slot");
        let mut lost = lost_keys().answer(&first_frame, true);
        assert_eq!(pair.answer(&first, &mut lost, 13), Ok(Answer::Ended));
        assert!(matches!(pair.answer(&next, &mut answer, 14), Ok(Answer::Response { .. })));
        // What the newest generation is answered decides.
        let mut lost = lost_keys().answer(&next_frame, true);
        assert_eq!(pair.answer(&next, &mut lost, 15), Ok(Answer::Lost));
    }
}
