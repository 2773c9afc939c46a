//! Answers: which of them a client believes, and for which request (SPEC §4.4, §7.1, §9).

mod support;

use mvt_proto::{
    Limits, Reject,
    constants::{FRAME_BYTES_MIN, HEADER_BYTES},
    session::{Answer, Outstanding},
};
use support::{ORIGIN_MS, Pair, SUITES, flipped, lost_keys, request_header, sealed};

fn both() -> [Pair; 2] {
    SUITES.map(|suite| Pair::new(suite, Limits::DEFAULT))
}

#[test]
fn a_flip_of_any_bit_of_an_answer_is_refused_and_the_request_goes_on_waiting() {
    for mut pair in both() {
        let (pending, frame) = pair.request(b"payload", 100);
        let mut response = pair.reply(&frame, 110);
        let error = pair.reply(&frame, 111);
        let lost = lost_keys().answer(&frame, true);
        for answer in [&response[..], &error[..], &lost[..]] {
            for bit in 0..answer.len() * 8 {
                assert!(pair.answer(&pending, &mut flipped(answer, bit), 120).is_err(), "bit {bit}");
            }
        }
        let opened = pair.answer(&pending, &mut response, 130);
        assert_eq!(opened, Ok(Answer::Response { status: 0, payload: b"done" }));
    }
}

/// §4.4, §7.1.2.
#[test]
fn an_answer_belongs_to_one_request() {
    for mut pair in both() {
        let (first, first_frame) = pair.request(b"a", 100);
        let (second, second_frame) = pair.request(b"a", 100);
        let mut answer = pair.reply(&first_frame, 110);
        // Named as the answer of the other request, its tag is still that of the first.
        answer[16..22].copy_from_slice(&second.counter().to_be_bytes()[2..]);
        assert_eq!(pair.answer(&second, &mut answer, 120), Err(Reject::BadTag));
        assert_eq!(pair.answer(&first, &mut answer, 120), Err(Reject::Field));

        let mut right = pair.reply(&second_frame, 110);
        assert!(pair.answer(&second, &mut right, 120).is_ok());
    }
}

#[test]
fn an_answer_under_the_right_key_but_of_another_request_tag_is_refused() {
    for suite in SUITES {
        // Two frames of one counter, as a client that breaks §7.1.1 would make them: one key, two tags.
        let mut pair = Pair::unequal(suite, Limits::DEFAULT, Limits::DEFAULT);
        let (pending, _) = pair.request(b"one", 5);
        let mut header = request_header(suite, pending.counter(), 5);
        header.payload_bytes = 3;
        let mut answer = pair.reply(&sealed(suite, &header, b"two"), 6);
        assert_eq!(pair.answer(&pending, &mut answer, 7), Err(Reject::BadTag));
    }
}

#[test]
fn a_response_cannot_pass_as_an_error_nor_an_error_as_a_response() {
    for mut pair in both() {
        let (pending, frame) = pair.request(b"", 100);
        let mut exchange = Vec::new();
        pair.serve(&mut frame.clone(), 100).expect("fresh").respond(2, &[], ORIGIN_MS + 100, &mut exchange);
        let mut error = pair.reply(&frame, 100);
        assert_eq!((exchange[2], error[2]), (0x12, 0x13));
        exchange[2] = 0x13;
        error[2] = 0x12;
        assert_eq!(pair.answer(&pending, &mut exchange, 101), Err(Reject::BadTag));
        assert_eq!(pair.answer(&pending, &mut error, 101), Err(Reject::BadTag));
    }
}

#[test]
fn a_request_sent_back_is_not_an_answer() {
    for mut pair in both() {
        let (pending, mut frame) = pair.request(b"", 100);
        assert_eq!(pair.answer(&pending, &mut frame.clone(), 101), Err(Reject::Kind));
        for version_kind in [0x12, 0x13, 0x1f] {
            frame[2] = version_kind;
            assert!(pair.answer(&pending, &mut frame.clone(), 101).is_err());
        }
    }
}

/// §7.1.2, §7.2.5.
#[test]
fn one_answer_delivered_twice_is_taken_once() {
    for mut pair in both() {
        let mut outstanding = Outstanding::default();
        let (pending, frame) = pair.request(b"", 100);
        outstanding.push(&pending, "first");
        let answer = pair.reply(&frame, 110);
        for times in 0..2 {
            let counter = outstanding.get(0, 0).map(|(pending, beside)| {
                assert!(pair.answer(pending, &mut answer.clone(), 120).is_ok());
                assert_eq!(*beside, "first");
                pending.counter()
            });
            assert_eq!(counter.is_some(), times == 0);
            counter.map(|counter| outstanding.remove(0, counter));
        }
        assert!(outstanding.is_empty());
    }
}

/// §7.2.6.
#[test]
fn answers_are_taken_in_any_order() {
    for mut pair in both() {
        let mut outstanding = Outstanding::default();
        let mut answers = Vec::new();
        for _ in 0..5 {
            let (pending, frame) = pair.request(b"", 100);
            outstanding.push(&pending, ());
            answers.push(pair.reply(&frame, 110));
        }
        for index in [3, 0, 4, 1, 2] {
            let (pending, ()) = outstanding.get(0, index).expect("waits");
            assert!(pair.answer(pending, &mut answers[index as usize], 120).is_ok());
            assert!(outstanding.remove(0, index).is_some());
            assert!(outstanding.remove(0, index).is_none());
        }
        // The next request after an empty time is found by its counter again.
        let (pending, _) = pair.request(b"", 130);
        outstanding.push(&pending, ());
        assert!(outstanding.get(0, 5).is_some() && outstanding.get(0, 0).is_none());
        assert_eq!(outstanding.len(), 1);
        assert_eq!(outstanding.drain().count(), 1);
        assert!(outstanding.is_empty());
    }
}

/// §7.2.6: many at once as one by one, those that are not wanted, that do not wait and that come twice among them.
#[test]
fn answers_of_a_row_are_taken_as_one_by_one() {
    for mut pair in both() {
        let [mut rows, mut alone] = [(); 2].map(|()| Outstanding::default());
        for number in 0..12 {
            let (pending, _) = pair.request(b"", 100);
            rows.push(&pending, number);
            alone.push(&pending, number);
        }
        for (generation, counters) in
            [(0, &[1, 0, 2, 2][..]), (0, &[7, 12, 5, u64::MAX]), (1, &[3]), (0, &[3, 4, 6, 0, 8, 9, 10, 11])]
        {
            let wanted = |number: &i32| number % 5 != 4;
            let expected: Vec<_> = counters
                .iter()
                .map(|counter| (*counter, alone.remove_if(generation, *counter, wanted)))
                .collect();
            let mut found = Vec::new();
            rows.remove_each(generation, counters.iter().copied(), wanted, |counter, removed| {
                found.push((counter, removed));
            });
            assert_eq!(found, expected);
            assert_eq!(rows.len(), alone.len());
            for counter in 0..12 {
                let waits = |one: &Outstanding<i32>| one.get(0, counter).map(|(_, number)| *number);
                assert_eq!(waits(&rows), waits(&alone));
            }
        }
        // Those that were not wanted: 4 and 9.
        assert_eq!(rows.drain().collect::<Vec<_>>(), [4, 9]);
    }
}

#[test]
fn a_genuine_lost_is_believed_and_a_decoy_never() {
    for mut pair in both() {
        let (pending, frame) = pair.request(b"payload", 100);
        let mut genuine = lost_keys().answer(&frame, true);
        let mut decoy = lost_keys().answer(&frame, false);
        assert_eq!(genuine.len(), FRAME_BYTES_MIN);
        assert_eq!(genuine[..HEADER_BYTES], decoy[..HEADER_BYTES]);
        assert_ne!(genuine[HEADER_BYTES..], decoy[HEADER_BYTES..]);
        assert_eq!(pair.answer(&pending, &mut decoy, 110), Err(Reject::BadTag));
        assert_eq!(pair.answer(&pending, &mut genuine, 110), Ok(Answer::Lost));
    }
}

/// SPEC §9.3: once its slot may have passed, a LOST speaks of one request and not of the session.
#[test]
fn a_lost_for_an_old_request_does_not_end_the_session() {
    for (late_ms, is_ended) in [(65_535, false), (65_536, true), (500_000, true)] {
        for mut pair in both() {
            let (old, old_frame) = pair.request(b"payload", 100);
            let (new, new_frame) = pair.request(b"payload", 100 + late_ms);
            let mut lost = lost_keys().answer(&old_frame, true);
            let expected = if is_ended { Answer::Ended } else { Answer::Lost };
            assert_eq!(pair.answer(&old, &mut lost, 100 + late_ms), Ok(expected), "{late_ms}");
            let mut lost = lost_keys().answer(&new_frame, true);
            assert_eq!(pair.answer(&new, &mut lost, 100 + late_ms), Ok(Answer::Lost), "{late_ms}");
        }
    }
}

#[test]
fn a_lost_is_believed_only_for_the_request_it_answers() {
    for mut pair in both() {
        let (first, first_frame) = pair.request(b"a", 100);
        let (second, _) = pair.request(b"a", 100);
        let mut lost = lost_keys().answer(&first_frame, true);
        assert_eq!(pair.answer(&second, &mut lost.clone(), 110), Err(Reject::Field));
        lost[16..22].copy_from_slice(&second.counter().to_be_bytes()[2..]);
        assert_eq!(pair.answer(&second, &mut lost.clone(), 110), Err(Reject::BadTag));
        assert_eq!(pair.answer(&first, &mut lost, 110), Err(Reject::Field));
    }
}

#[test]
fn a_lost_provoked_with_a_changed_header_is_not_believed() {
    // An attacker moves an outstanding frame to a slot or a generation nobody holds: the LOST is genuine, and
    // says so of the frame as it arrived.
    for mut pair in both() {
        let (pending, frame) = pair.request(b"a", 100);
        for at in [13, 22, 27] {
            let mut moved = frame.clone();
            moved[at] ^= 1;
            let mut lost = lost_keys().answer(&moved, true);
            lost[12..14].copy_from_slice(&frame[12..14]);
            lost[22..28].copy_from_slice(&frame[22..28]);
            assert_eq!(pair.answer(&pending, &mut lost, 110), Err(Reject::BadTag), "byte {at}");
        }
    }
}

/// §14.1.
#[test]
fn no_refusal_is_longer_than_what_it_answers() {
    for mut pair in both() {
        let (_, smallest) = pair.request(b"", 100);
        assert_eq!(smallest.len(), FRAME_BYTES_MIN);
        let _ = pair.reply(&smallest, 100);
        assert_eq!(pair.reply(&smallest, 100).len(), FRAME_BYTES_MIN);
        assert_eq!(lost_keys().answer(&smallest, true).len(), FRAME_BYTES_MIN);
        assert_eq!(lost_keys().answer(&smallest, false).len(), FRAME_BYTES_MIN);
    }
}

/// §4.1, §7.3.
#[test]
fn two_errors_of_one_request_are_equal_when_their_time_and_reason_are() {
    for mut pair in both() {
        let (_, frame) = pair.request(b"x", 100);
        let _ = pair.reply(&frame, 100);
        let (first, second, later) =
            (pair.reply(&frame, 101), pair.reply(&frame, 101), pair.reply(&frame, 102));
        assert_eq!(first, second);
        assert_ne!(first, later);
    }
}
