//! An established session: every verdict a server can give, every answer a client can get (SPEC §4 to §9).

mod support;

use mvt_proto::{
    Limits, Reject, Suite,
    constants::{FUTURE_BOUND_MS, PAST_BOUND_MS},
    reject::ErrReason,
    session::Answer,
};
use support::{ORIGIN_MS, Pair, Served, lost_keys};

fn both() -> [Pair; 2] {
    [Suite::Hs256, Suite::Gcm256].map(|suite| Pair::new(suite, Limits::DEFAULT))
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
            let mut forged = frame.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(pair.serve(&mut forged, 100), Err(Served::Unverified(_))), "bit {bit}");
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
        let (_, first) = pair.request(b"", 1);
        assert_eq!(pair.verdict(&first, 1), "accept", "a session nobody used is forgotten");
        let frames: Vec<_> =
            [at - PAST_BOUND_MS - 1, at - PAST_BOUND_MS, at, at + FUTURE_BOUND_MS, at + FUTURE_BOUND_MS + 1]
                .into_iter()
                .map(|when| pair.request(b"", when).1)
                .collect();
        let verdicts: Vec<_> = frames.iter().map(|frame| pair.verdict(frame, at)).collect();
        assert_eq!(verdicts, ["stale", "accept", "accept", "accept", "stale"]);
    }
}
